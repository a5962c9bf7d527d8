"""Opaque credentials: `<mark><prefix>_<secret>`, with 12 and 43 characters. The prefix is public, the secret has 256 random bits.

(A plain hash of the secret is enough: there is nothing to guess that a slow hash would slow.)
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

_PREFIX_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
# What follows the mark.
FORM = r"([a-z0-9]{12})_([A-Za-z0-9_-]{43})"
_FORM = re.compile(FORM)


@dataclass(frozen=True)
class Opaque:
    """A credential. `text` is all of it."""

    prefix: str
    digest: bytes
    text: str = field(repr=False)


def new_opaque(mark: str) -> Opaque:
    """A new credential of the kind that begins with `mark`."""
    prefix = "".join(secrets.choice(_PREFIX_ALPHABET) for _ in range(12))
    secret = secrets.token_urlsafe(32)
    return Opaque(prefix, _digest(secret), f"{mark}{prefix}_{secret}")


def read_opaque(mark: str, text: str) -> Opaque | None:
    """The credential in `text`; None if it has not the form."""
    match = _FORM.fullmatch(text.removeprefix(mark)) if text.startswith(mark) else None
    return Opaque(match[1], _digest(match[2]), text) if match else None


def is_stored_as(given: Opaque | None, digest: bytes | memoryview | None) -> bool:
    """Is this the credential with that stored digest? Compares in any case, so that the time does not tell which prefixes there are."""
    matches = hmac.compare_digest(bytes(digest or bytes(32)), given.digest if given else _digest(""))
    return matches and given is not None and digest is not None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
