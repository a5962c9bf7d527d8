"""Small secrets of ours at rest: AES-256-GCM under keys derived from AUDITLOG_SECRET_KEY.

A copy of the database alone gives none of them away. They are bound to their owner: moved to another row, they do not open. What was
sealed under one of AUDITLOG_OLD_SECRET_KEYS still opens.
"""

from __future__ import annotations

import functools
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

NONCE_BYTES = 12


class NotSealedHere(Exception):
    """Sealed under a key that is gone, for somebody else, or damaged."""


def seal(purpose: str, owner: str, secret: bytes) -> bytes:
    """Nonce ‖ ciphertext ‖ tag."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + _cipher(settings.SECRET_KEY, purpose).encrypt(nonce, secret, owner.encode())


def unseal(purpose: str, owner: str, sealed: bytes) -> bytes:
    """What `seal` was given. Raises NotSealedHere."""
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return _cipher(key, purpose).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], owner.encode())
        except (InvalidTag, ValueError):
            continue
    raise NotSealedHere


@functools.lru_cache(maxsize=16)
def _cipher(key: str, purpose: str) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt=None, info=f"auditlog {purpose}".encode()).derive(key.encode()))
