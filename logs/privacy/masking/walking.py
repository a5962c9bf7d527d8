"""Going through one field of one entry: every key, every text at any depth, texts that are JSON, parameters in addresses.

Nothing is changed in place; what holds no secret comes back as the same object. Order within a text: a tenant's own patterns; JSON as a
whole; secrets that may hold others (private keys, tokens); parameters; names with values; the other detectors. It is gone through again
until nothing more is found, for what is left beside a secret may form another.
"""

from __future__ import annotations

import bisect
import contextlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from accounts.problems import escape_pointer
from auditlog_verify.canonical import CanonicalError, decode_json, encode_json
from logs.models.masking import MaskingAction
from logs.privacy.masking.marks import REDACTED, Marks, Seal, is_mark, is_sealed, mark_spans
from logs.privacy.masking.pairs import find_pairs, find_parameters, header_end
from logs.privacy.masking.selection import KeyRule, Selection, Step

# JSON in strings in JSON, parameters of addresses in parameters: what is nested deeper and may hold a secret is redacted as a whole.
MAX_STRING_DEPTH = 4
# Levels of the JSON in a string.
MAX_LEVELS = 64
MAX_ROUNDS = 4
_CARD_RANGE = range(10**12, 10**19)
_NAME_KEYS = frozenset({"name", "key", "field", "header", "parameter", "property", "attribute", "parameterKey", "Name", "Key"})
_VALUE_KEYS = frozenset(
    {"value", "old", "new", "from", "to", "before", "after", "old_value", "new_value", "oldValue", "newValue", "parameterValue", "Value"}
)  # fmt: skip
MAX_NAME_CHARACTERS = 200
_DROPPED = object()


class Walk:
    """Masks one field. `pointers` gets the JSON Pointers of what was masked."""

    def __init__(self, selection: Selection, marks: Marks, seal: Seal | None, pointers: list[str]) -> None:
        self._selection = selection
        self._marks = marks
        self._seal = seal
        self._pointers = pointers
        self._string_depth = 0
        # A rule says to encrypt something in the text at hand: the text is sealed as a whole.
        self._is_to_seal = False

    # -- values --------------------------------------------------------------------------------------------------

    def column(self, text: str, pointer: str) -> str:
        """A text that is a column of its own."""
        found = self._masked_text(text)
        if self._take_seal() and self._seal is not None:
            found = self._seal.seal_text(pointer, found)
        if found != text:
            self._pointers.append(pointer)
        return found

    def value(self, value: Any, pointer: str) -> Any:
        """A JSON value. The same object if nothing of it was masked."""
        if isinstance(value, str):
            return self._string(value, pointer)
        if isinstance(value, dict):
            return self._object(value, pointer)
        if isinstance(value, list):
            items = [self.value(item, f"{pointer}/{index}") for index, item in enumerate(value)]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        if type(value) is int and value in _CARD_RANGE:
            text = self._masked_text(str(value))
            if self._take_seal() and self._seal is not None and not self._string_depth:
                text, value = "", self._seal.seal_value(pointer, value)
                self._pointers.append(pointer)
            if text and text != str(value):
                self._pointers.append(pointer)
                return text
        return value

    def _string(self, text: str, pointer: str) -> Any:
        found = self._masked_text(text)
        if self._string_depth:
            return text if found == text else found
        if self._take_seal() and self._seal is not None:
            self._pointers.append(pointer)
            return self._seal.seal_value(pointer, found)
        if found == text:
            return text
        self._pointers.append(pointer)
        return found

    def _object(self, given: dict[str, Any], pointer: str) -> dict[str, Any]:
        if is_sealed(given):
            return given
        is_plain, key_facts = self._selection.is_plain, self._selection.key_facts
        named = None if _NAME_KEYS.isdisjoint(given) else self._named_rule(given)
        changes: dict[str, tuple[str, Any]] = {}
        new_keys: _NewKeys | None = None
        for key, value in given.items():
            facts = key_facts(key)
            rule = named if facts.rule is None and key in _VALUE_KEYS else facts.rule
            if rule is None and facts.is_plain:
                kind = type(value)
                # Nearly every value goes one of these two ways.
                if kind is str:
                    if is_plain(value):
                        continue
                elif kind is not dict and kind is not list and kind is not int:
                    continue
            new_key = key
            if not facts.is_plain:
                new_keys = new_keys or _NewKeys(given)
                new_key = new_keys.free(key, self._key(key))
            if new_key != key and rule is None:
                # What is left of it may be such a name.
                rule = key_facts(new_key).rule
            place = f"{pointer}/{facts.escaped if new_key is key else escape_pointer(new_key)}"
            if rule is not None and _may_hide(rule, value):
                new = self._hidden(rule.action, value, place)
            else:
                new = self.value(value, place)
            if new is value and new_key == key:
                continue
            if new_key != key:
                self._pointers.append(place)
            changes[key] = new_key, new
        if not changes:
            return given
        pairs = (changes.get(key, (key, value)) for key, value in given.items())
        return {key: value for key, value in pairs if value is not _DROPPED}

    def _hidden(self, action: MaskingAction, value: Any, pointer: str) -> Any:
        """What takes the place of the value under a key of a rule."""
        if action is MaskingAction.ENCRYPT and self._seal is not None:
            if self._string_depth:
                self._is_to_seal = True
                return value
            self._pointers.append(pointer)
            return self._seal.seal_value(pointer, value)
        self._pointers.append(pointer)
        return _DROPPED if action is MaskingAction.DROP else self._marks.of_value(action, value)

    def _key(self, key: str) -> str:
        """The key itself may be a secret: a map from addresses to people."""
        was_to_seal = self._is_to_seal
        new = self._masked_text(key, is_sealed_as_redacted=True)
        self._is_to_seal = was_to_seal
        return new

    def _named_rule(self, given: dict[str, Any]) -> KeyRule | None:
        """The rule for the values of an object such as {"name": "password", "value": "x"}."""
        names = [value for key, value in given.items() if key in _NAME_KEYS and isinstance(value, str) and len(value) <= MAX_NAME_CHARACTERS]
        return next((rule for name in names if (rule := self._selection.key_rule(name)) is not None), None)

    def _take_seal(self) -> bool:
        found, self._is_to_seal = self._is_to_seal, False
        return found

    # -- texts ---------------------------------------------------------------------------------------------------

    def _masked_text(self, text: str, *, is_sealed_as_redacted: bool = False) -> str:
        """The text without its secrets; those to be encrypted stay in it, and `_is_to_seal` is set."""
        if self._selection.is_plain(text) or is_mark(text):
            return text
        content = text.encode()
        for _ in range(MAX_ROUNDS):
            found = self._once(content, is_sealed_as_redacted=is_sealed_as_redacted)
            if found == content:
                return text if found == text.encode() else found.decode()
            content = found
        # Each round took something away, and there is still more.
        return REDACTED

    def _once(self, content: bytes, *, is_sealed_as_redacted: bool) -> bytes:
        hits = self._selection.hits(content)
        if hits is None:
            return content
        numbers = set(hits)
        for step in self._selection.own_steps:
            content = self._step(step, content, numbers, is_sealed_as_redacted)
        as_json = self._json(content)
        if as_json is not None:
            return as_json
        for step in self._selection.early_steps:
            content = self._step(step, content, numbers, is_sealed_as_redacted)
        has_names, is_encoded = self._selection.names_number in numbers, self._selection.encoded_number in numbers
        if (has_names or is_encoded) and b"=" in content:
            content = self._parameters(content)
        if has_names or is_encoded:
            content = self._pairs(content)
        for step in self._selection.late_steps:
            content = self._step(step, content, numbers, is_sealed_as_redacted)
        return content

    def _step(self, step: Step, content: bytes, numbers: set[int], is_sealed_as_redacted: bool) -> bytes:
        if step.number not in numbers:
            return content
        action = step.action
        if action is MaskingAction.ENCRYPT and is_sealed_as_redacted:
            action = MaskingAction.REDACT
        return self._replaced(content, ((begin, end, action) for begin, end in step.find(content)))

    def _replaced(self, content: bytes, spans: Iterable[tuple[int, int, MaskingAction]]) -> bytes:
        """The text with marks in the place of the spans. What a mark holds stays; of two that overlap, the first counts."""
        marked = _mark_spans(content)
        pieces: list[bytes] = []
        reached = 0
        for begin, end, action in sorted(spans, key=lambda span: span[:2]):
            nearest = bisect.bisect_right(marked, (begin, len(content) + 1)) - 1
            if begin < reached or (nearest >= 0 and end <= marked[nearest][1]):
                continue
            if action is MaskingAction.ENCRYPT and self._seal is not None:
                self._is_to_seal = True
                continue
            pieces += (content[reached:begin], self._marks.of(action, content[begin:end].decode()).encode())
            reached = end
        return b"".join((*pieces, content[reached:])) if pieces else content

    def _json(self, content: bytes) -> bytes | None:
        """The text as JSON, masked; None if it is none."""
        stripped = content.strip()
        if stripped[:1] not in (b"{", b"[") or stripped[-1:] not in (b"}", b"]"):
            return None
        try:
            value = decode_json(stripped)
        except CanonicalError:
            return None
        if self._string_depth >= MAX_STRING_DEPTH or _levels(stripped) > MAX_LEVELS:
            return REDACTED.encode()
        pointers, self._pointers = self._pointers, []
        self._string_depth += 1
        try:
            found = self.value(value, "")
        finally:
            self._string_depth -= 1
            self._pointers = pointers
        return content if found is value else encode_json(found)

    def _parameters(self, content: bytes) -> bytes:
        """The text with masked parameters, in the encoding that they had."""
        pieces: list[bytes] = []
        reached = 0
        for parameter in find_parameters(content):
            new = self._parameter(unquote_plus(parameter.name.decode()), parameter.value.decode())
            if new is None:
                continue
            pieces += (content[reached : parameter.begin], new.encode())
            reached = parameter.end
        return b"".join((*pieces, content[reached:])) if pieces else content

    def _parameter(self, name: str, value: str) -> str | None:
        """The new value, percent-encoded; None: it stays."""
        decoded = unquote_plus(value)
        if is_mark(decoded):
            return None
        rule = self._selection.key_rule(name)
        if rule is not None and _may_hide(rule, decoded):
            if rule.action is MaskingAction.ENCRYPT and self._seal is not None:
                self._is_to_seal = True
                return None
            return quote(self._marks.of(rule.action, decoded), safe="")
        if decoded == value:
            return None
        if self._string_depth >= MAX_STRING_DEPTH:
            return None if self._selection.hits(decoded.encode()) is None else quote(REDACTED, safe="")
        self._string_depth += 1
        try:
            new = self._masked_text(decoded)
        finally:
            self._string_depth -= 1
        if new == decoded:
            return None
        return quote_plus(new) if "+" in value else quote(new, safe="")

    def _pairs(self, content: bytes) -> bytes:
        """The text with the values of secret names masked."""
        spans: list[tuple[int, int, MaskingAction]] = []
        for pair in find_pairs(content, lambda name: self._rule_in_text(name) is not None):
            rule = self._rule_in_text(pair.name)
            if rule is None:
                continue
            end = header_end(content, pair.begin) if rule.is_header and pair.is_header else pair.end
            value = content[pair.begin : end].decode()
            if is_mark(value) or not _may_hide(rule, value):
                continue
            spans.append((pair.begin, end, rule.action))
        return self._replaced(content, spans)

    def _rule_in_text(self, name: str) -> KeyRule | None:
        return self._selection.key_rule(unquote(name) if "%" in name else name)


class _NewKeys:
    """The keys of an object that is being masked: no two become one."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._taken = set(given)
        self._numbers: dict[str, int] = {}

    def free(self, key: str, new: str) -> str:
        """`new`, with a number behind it if it is taken."""
        if new == key:
            return key
        number = self._numbers.get(new, 0) + 1
        while (candidate := new if number == 1 else f"{new} ({number})") in self._taken:
            number += 1
        self._numbers[new] = number
        self._taken.add(candidate)
        return candidate


def _may_hide(rule: KeyRule, value: Any) -> bool:
    """Is the value under the key of a rule to be masked? Flags and nothing are not, nor what is masked already."""
    if value is None or isinstance(value, bool) or value in ("", [], {}):
        return False
    if isinstance(value, str):
        if is_mark(value) or value in ("true", "false", "null", "None", "none"):
            return False
    elif isinstance(value, dict) and is_sealed(value):
        return False
    return rule.has_secret(value)


def _mark_spans(content: bytes) -> list[tuple[int, int]]:
    """As `mark_spans`, in bytes."""
    text = content.decode()
    spans = mark_spans(text)
    if not spans or text.isascii():
        return spans
    found, characters, offset = [], 0, 0
    for begin, end in spans:
        offset += len(text[characters:begin].encode())
        size = len(text[begin:end].encode())
        found.append((offset, offset + size))
        offset, characters = offset + size, end
    return found


def _levels(text: bytes) -> int:
    """At most so many levels has the JSON; brackets in its strings count too."""
    deepest = level = 0
    with contextlib.suppress(ValueError):
        for byte in text.translate(None, _NO_BRACKETS):
            level += 1 if byte in b"{[" else -1
            deepest = max(deepest, level)
    return deepest


_NO_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
