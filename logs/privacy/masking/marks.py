"""What stands in the place of what was masked, and how it is known again.

Invariant: a mark is never masked again, so masking the masked gives the same.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import unquote

from auditlog_verify.canonical import encode_json
from logs.models.masking import MaskingAction

REDACTED = "[redacted]"
BULLETS = "••••"
SHOWN_CHARACTERS = 4
# Of a shorter text too little would be left to hide.
LEAST_PARTIAL_CHARACTERS = 8
HASH_DIGITS = 16
SEALED_KEY = "$encrypted"

_SEALED = r"v1\.[0-9]+\.[A-Za-z0-9_-]+"
_MARK = re.compile(rf"\[redacted\]|\[hash:[0-9a-f]{{{HASH_DIGITS}}}\]|\[encrypted:{_SEALED}\]|\[encrypted\]|{BULLETS}[\s\S]{{{SHOWN_CHARACTERS}}}")
_SEALED_TOKEN = re.compile(_SEALED)


class Seal(Protocol):
    """Encrypts what a rule says to encrypt, for one entry and the pointer where it stands."""

    def seal_value(self, pointer: str, value: Any) -> Any:
        """A JSON value in the place of `value`."""

    def seal_text(self, pointer: str, text: str) -> str:
        """A text in the place of `text`, which is a column of its own."""


def is_mark(text: str) -> bool:
    """Is the text, as it is or percent-encoded, one that masking put there?"""
    if not text.startswith(("[", BULLETS, "%")):
        return False
    return _MARK.fullmatch(unquote(text) if text[0] == "%" else text) is not None


def is_sealed(value: Mapping[str, Any]) -> bool:
    """Is the object one that encryption put there?"""
    if len(value) != 1:
        return False
    token = value.get(SEALED_KEY)
    return isinstance(token, str) and _SEALED_TOKEN.fullmatch(token) is not None


def mark_spans(text: str) -> list[tuple[int, int]]:
    """Where marks stand in the text."""
    if "[" not in text and BULLETS not in text:
        return []
    return [match.span() for match in _MARK.finditer(text)]


class Marks:
    """Makes marks for one tenant. `secret`: the key of its hashes."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def of(self, action: MaskingAction, text: str) -> str:
        """What takes the place of `text`. What is to be dropped leaves nothing; sealing is the caller's: here it redacts."""
        if action is MaskingAction.DROP:
            return ""
        if action is MaskingAction.PARTIAL:
            compact = text.replace(" ", "").replace("-", "")
            return BULLETS + compact[-SHOWN_CHARACTERS:] if len(compact) >= LEAST_PARTIAL_CHARACTERS else REDACTED
        if action is MaskingAction.HASH:
            return f"[hash:{self._digest(text.encode())}]"
        return REDACTED

    def of_value(self, action: MaskingAction, value: Any) -> str:
        """What takes the place of a JSON value; of objects and arrays no part is shown."""
        if isinstance(value, str):
            return self.of(action, value)
        text = encode_json(value).decode()
        if action is MaskingAction.PARTIAL and isinstance(value, dict | list):
            return REDACTED
        return self.of(action, text)

    def _digest(self, content: bytes) -> str:
        return hmac.new(self._secret, content, hashlib.sha256).hexdigest()[:HASH_DIGITS]
