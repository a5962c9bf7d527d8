"""A data key: what the fields of one data subject's entries are encrypted with. Pure, but for the making of a new one.

The 32 bytes that are wrapped and kept encrypt nothing themselves: one subkey encrypts, another makes nonces (HKDF-Expand, RFC 5869 §2.3).

Nonces are not random: they are 96 bits of HMAC-SHA256 over where the text stands and what it says. A retry of an entry with an idempotency
key (same id, same content) so has the same bytes, and is known for a retry. The same nonce comes again for the same bytes in the
same place only, which says nothing new; for other bytes by chance alone: below 2^-32 for 2^32 fields of one data subject
(docs/decisions/0019).
"""

from __future__ import annotations

import hmac
import threading

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
# The first byte of what is encrypted.
RAW, ZSTD = b"\x00", b"\x01"
# Shorter texts hardly shrink, and the attempt takes longer than the rest.
LEAST_COMPRESSED_BYTES = 256
ZSTD_LEVEL = 3


class Damaged(Exception):
    """The bytes are not what this key has sealed at this place."""


class _Zstd(threading.local):
    """Compressors hold buffers and are for one thread at a time."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_zstd = _Zstd()


def expand(key: bytes, label: bytes) -> bytes:
    """32 bytes that follow from a key, for one purpose: HKDF-Expand with SHA-256, its only block."""
    return hmac.digest(key, label + b"\x01", "sha256")


class DataKey:
    """An unwrapped data key. `id` is its row's."""

    __slots__ = ("_cipher", "_nonce_key", "id", "pseudonym")

    def __init__(self, id: int, key: bytes, pseudonym: str) -> None:
        self.id = id
        self.pseudonym = pseudonym
        self._cipher = AESGCM(expand(key, b"auditlog.field.encryption.v1"))
        self._nonce_key = expand(key, b"auditlog.field.nonce.v1")

    def seal(self, place: bytes, text: bytes) -> bytes:
        """Nonce, ciphertext and tag of `text`; it opens at the same place only."""
        plain = RAW + text
        if len(text) >= LEAST_COMPRESSED_BYTES:
            packed = ZSTD + _zstd.compress(text)
            if len(packed) < len(plain):
                plain = packed
        # Over the very bytes that are encrypted: should another version of zstd pack them in another way, the nonce is another too.
        nonce = hmac.digest(self._nonce_key, b"%d|%b%b" % (len(place), place, plain), "sha256")[:NONCE_BYTES]
        return nonce + self._cipher.encrypt(nonce, plain, place)

    def open(self, place: bytes, sealed: bytes) -> bytes:
        """The text that was sealed. Raises Damaged."""
        try:
            plain = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place)
            match plain[:1]:
                case b"\x00":
                    return plain[1:]
                case b"\x01":
                    return _zstd.decompress(plain[1:])
        except (InvalidTag, ValueError, zstandard.ZstdError):
            raise Damaged("the ciphertext does not open here") from None
        raise Damaged("the text has a form that is not known")


def place_of_field(tenant_id: str, entry_id: str, key_id: int, pointer: str) -> bytes:
    """Where a field stands: what its ciphertext is bound to (the associated data). None of the parts before the pointer can hold a `|`."""
    return f"auditlog.field.v1|{tenant_id}|{entry_id}|{key_id}|{pointer}".encode()


def place_of_subject(tenant_id: str, pseudonym: str) -> bytes:
    """Where a data subject's own id is kept, sealed by their key."""
    return f"auditlog.subject.v1|{tenant_id}|{pseudonym}".encode()


def wrap_context(tenant_id: str, subject_digest: bytes) -> bytes:
    """What a wrapped data key is bound to: in another tenant's or another subject's row it does not unwrap."""
    return b"auditlog.data_key.v1|%b|%b" % (tenant_id.encode(), subject_digest)
