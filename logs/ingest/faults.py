"""From msgspec's error messages to our faults: a code, a JSON Pointer and a sentence."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from accounts.problems import Fault, escape_pointer

_PATH_MARK = " - at `$"
_STEP = re.compile(r"\.([A-Za-z0-9_]+)|\[(\d+|\.\.\.)\]")
_FIELD = re.compile(r"field `(.*?)`", re.DOTALL)
# The first that fits a message gives the code.
_CODES: tuple[tuple[str, str], ...] = (
    ("missing required field", "missing_field"),
    ("unknown field", "unknown_field"),
    ("with a timezone component", "timestamp_without_offset"),
    ("RFC3339", "bad_timestamp"),
    ("Timestamp is out of range", "bad_timestamp"),
    ("of length <=", "too_long"),
    ("of length >=", "too_short"),
    ("matching regex", "bad_format"),
    ("Invalid enum value", "unknown_value"),
    ("Expected", "wrong_type"),
)
_HINTS = {
    "timestamp_without_offset": "The timestamp has no offset: write 2026-01-31T12:00:00Z or 2026-01-31T13:00:00+01:00.",
    "bad_timestamp": "The timestamp is no RFC 3339 date and time, such as 2026-01-31T12:00:00.123456Z.",
}
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def fault_of(error: msgspec.ValidationError, prefix: str) -> Fault:
    """The fault that a failed decoding stands for. `prefix` is the pointer of the decoded value itself."""
    message = str(error)
    pointer = prefix
    # The last one: the message before it may quote a field's name, which is the sender's, as long as an entry may be.
    before, mark, path = message.rpartition(_PATH_MARK)
    if mark and path.endswith("`"):
        message = before
        for step in _STEP.finditer(path[:-1]):
            pointer += "/" + escape_pointer(step[1] or step[2])
    code = next((code for text, code in _CODES if text in message), "invalid")
    if code in ("missing_field", "unknown_field"):
        field = _FIELD.search(message)
        pointer += "/" + escape_pointer(field[1]) if field else ""
    return Fault(pointer, code, _HINTS.get(code, message.replace("Object ", "The entry ") + "."))


def fault_of_bad_json(raw: bytes, error: Exception, prefix: str) -> Fault:
    """The fault of text that is not JSON: lone surrogates and invalid UTF-8 get codes of their own."""
    if isinstance(error, RecursionError):
        return too_deep(prefix)
    try:
        text = raw.decode()
    except UnicodeDecodeError as wrong:
        return Fault(prefix, "not_utf8", f"The text is not UTF-8 (byte {wrong.start}).")
    if _SURROGATE.search(text):
        try:
            # Python's own parser lets lone surrogates pass, so it can tell where they are.
            found = find_text(json.loads(text), _has_surrogate)
        except (ValueError, RecursionError):
            found = None
        if found is not None:
            return Fault(prefix + found, "lone_surrogate", "The text has half a surrogate pair (\\ud800-\\udfff), which is no character.")
    return Fault(prefix, "not_json", f"This is not JSON: {error}.")


def too_deep(pointer: str) -> Fault:
    return Fault(pointer, "too_deep", "The entry is nested over 32 levels deep.")


def find_text(value: Any, is_bad: Any) -> str | None:
    """Pointer of the first text (key or value) in `value` for which `is_bad` holds."""
    if isinstance(value, str):
        return "" if is_bad(value) else None
    if isinstance(value, dict):
        for key, item in value.items():
            step = "/" + escape_pointer(key.encode("utf-8", "replace").decode().replace("\x00", "�"))
            if is_bad(key):
                return step
            found = find_text(item, is_bad)
            if found is not None:
                return step + found
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found = find_text(item, is_bad)
            if found is not None:
                return f"/{index}{found}"
    return None


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def has_nul(text: str) -> bool:
    return "\x00" in text


def depth_of(value: Any) -> int:
    """Levels of objects and arrays: 0 for a number, 1 for {}."""
    deepest, level = 0, [value]
    while level:
        below: list[Any] = []
        is_nested = False
        for item in level:
            if isinstance(item, dict):
                is_nested = True
                below.extend(item.values())
            elif isinstance(item, list):
                is_nested = True
                below.extend(item)
        deepest += is_nested
        level = below
    return deepest
