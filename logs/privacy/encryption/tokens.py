"""What an encrypted value looks like in an entry.

A JSON value is `{"$encrypted": "<token>"}`, a text is `[encrypted:<token>]`; a token is `v1.<data key's id>.<base64url of nonce, ciphertext
and tag>`. Posted entries may have neither, so what has this form was made here.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from accounts.problems import escape_pointer

RESERVED_KEY = "$encrypted"
# Nonce (12 bytes), form (1) and tag (16) are 39 characters at least.
_FORM = r"v1\.([1-9][0-9]{0,18})\.([A-Za-z0-9_-]{39,})"
_PARTS = re.compile(_FORM)
_SEALED_TEXT = re.compile(rf"\[encrypted:({_FORM})\]")
# The same for PostgreSQL.
TEXT_PATTERN = rf"^\[encrypted:{_FORM}\]$"
TEXT_START = "[encrypted:v1."
# In JSON text, of ours or as PostgreSQL prints it. Within a JSON string the quotes would be escaped, so this is always a value.
SEALED_VALUE = re.compile(r'\{"\$encrypted": ?"([^"\\]*)"\}')
# The same for PostgreSQL.
VALUE_PATTERN = r'\{"\$encrypted": "[^"]*"\}'
VALUE_MARK = '{"$encrypted"'
_RESERVED_MARK = b'"$encrypted"'


def token_of(key_id: int, sealed: bytes) -> str:
    """The token of what a data key has sealed."""
    return f"v1.{key_id}.{base64.urlsafe_b64encode(sealed).rstrip(b'=').decode()}"


def parts_of(token: str) -> tuple[int, bytes] | None:
    """The data key's id and the sealed bytes; None: that is no token."""
    match = _PARTS.fullmatch(token)
    if match is None or int(match[1]) >= 2**63:
        return None
    try:
        return int(match[1]), base64.b64decode(match[2] + "=" * (-len(match[2]) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return None


def sealed_value(token: str) -> dict[str, Any]:
    return {RESERVED_KEY: token}


def sealed_value_text(token: str) -> bytes:
    """`sealed_value` as canonical JSON."""
    return f'{{"$encrypted":"{token}"}}'.encode()


def sealed_text(token: str) -> str:
    return f"[encrypted:{token}]"


def token_in_text(text: str | None) -> str | None:
    """The token, if this is a sealed text."""
    if text is None or not text.startswith(TEXT_START):
        return None
    match = _SEALED_TEXT.fullmatch(text)
    return match[1] if match else None


def has_sealed_value(text: str | None) -> bool:
    """Is there a sealed value in this JSON text?"""
    return text is not None and VALUE_MARK in text


def reserved_key_in(value: Any, text: bytes | None) -> str | None:
    """JSON Pointer of the first RESERVED_KEY in a JSON value; `text` is the same as canonical JSON. None: there is none."""
    return _pointer_of_key(value) if text is not None and _RESERVED_MARK in text else None


def _pointer_of_key(value: Any) -> str | None:
    members: Any = ()
    if isinstance(value, dict):
        if RESERVED_KEY in value:
            return f"/{RESERVED_KEY}"
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    for step, member in members:
        found = _pointer_of_key(member)
        if found is not None:
            return f"/{escape_pointer(str(step))}{found}"
    return None
