"""Page cursors: opaque, signed, and good for the question that they were made for only.

49 bytes in base64url: direction, id of the entry at the page's edge, digest of the question (16), HMAC (16). A cursor
never expires: it names a place in the order, not a state of the server.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import hmac
import uuid
from dataclasses import dataclass

from django.utils.crypto import salted_hmac

from accounts.problems import Fault
from logs.errors import InvalidQuery

_BODY_BYTES = 33
_MAC_BYTES = 16


class Direction(enum.Enum):
    """Which way a cursor leads from its entry."""

    OLDER = 0
    NEWER = 1


@dataclass(frozen=True)
class Cursor:
    """A place between two pages: everything older, or newer, than the entry `id`."""

    direction: Direction
    id: uuid.UUID

    def encode(self, question: bytes) -> str:
        """The cursor as text, bound to `question` (any bytes that tell one question from another)."""
        body = bytes([self.direction.value]) + self.id.bytes + hashlib.sha256(question).digest()[:16]
        return base64.urlsafe_b64encode(body + _mac(body)).rstrip(b"=").decode()


def decode(text: str, question: bytes) -> Cursor:
    """The cursor in `text`. Raises InvalidQuery if it is damaged, forged, or was made for another question."""
    try:
        whole = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _wrong("bad_cursor", "The cursor is damaged. Take it from an answer's `next` or `previous` as it is.") from None
    body, mac = whole[:_BODY_BYTES], whole[_BODY_BYTES:]
    if len(whole) != _BODY_BYTES + _MAC_BYTES or not hmac.compare_digest(mac, _mac(body)):
        raise _wrong("bad_cursor", "The cursor is damaged. Take it from an answer's `next` or `previous` as it is.")
    if body[17:] != hashlib.sha256(question).digest()[:16]:
        raise _wrong("cursor_of_other_query", "The cursor belongs to another question. Repeat the filters that it came with.")
    return Cursor(Direction(body[0]), uuid.UUID(bytes=body[1:17]))


def _wrong(code: str, detail: str) -> InvalidQuery:
    return InvalidQuery([Fault("cursor", code, detail)])


def _mac(body: bytes) -> bytes:
    return salted_hmac("auditlog.search.cursor", body, algorithm="sha256").digest()[:_MAC_BYTES]
