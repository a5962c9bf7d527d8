"""Master keys: what wraps data keys. They are never in the database.

`MasterKeys` is the interface at which a key management service (KMS) can stand; the implementation here takes keys from the settings.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import os
import re
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

KEY_BYTES = 32
NONCE_BYTES = 12
_ID_LABEL = b"auditlog.master_key.v1|"
MAKE_ONE = "Make one: head -c 32 /dev/urandom | base64 > master-key, and set AUDITLOG_MASTER_KEY_FILE to its path."


class KeyLost(Exception):
    """A wrapped key can't be unwrapped: its master key is not here, or the bytes are not what was wrapped."""


class MasterKeys(Protocol):
    """Wraps data keys. Safe for threads. An implementation that asks over a network raises KeyLost when it gets no answer, within a bound."""

    @property
    def current_id(self) -> str:
        """The id of the key that wraps now."""

    def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """The id of the master key, and the wrapped key. It unwraps with the same context only."""

    def unwrap(self, master_key_id: str, wrapped: bytes, context: bytes) -> bytes:
        """The key that was wrapped. Raises KeyLost."""


class KeysOfSettings:
    """AES-256-GCM with keys from the settings: the first wraps, all unwrap. Nonces are random: 2^32 wraps for each key are safe (NIST SP 800-38D)."""

    def __init__(self, keys: list[bytes]) -> None:
        self._ciphers = {id_of(key): AESGCM(key) for key in keys}
        self._current_id = next(iter(self._ciphers))

    @property
    def current_id(self) -> str:
        return self._current_id

    def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        nonce = os.urandom(NONCE_BYTES)
        return self._current_id, nonce + self._ciphers[self._current_id].encrypt(nonce, key, context)

    def unwrap(self, master_key_id: str, wrapped: bytes, context: bytes) -> bytes:
        cipher = self._ciphers.get(master_key_id)
        if cipher is None:
            raise KeyLost(f"the master key {master_key_id} is not among those of AUDITLOG_MASTER_KEY")
        try:
            return cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            raise KeyLost(f"the bytes are not what the master key {master_key_id} has wrapped") from None


def id_of(key: bytes) -> str:
    """What a master key is called in the database: nothing of the key follows from it."""
    return hashlib.sha256(_ID_LABEL + key).hexdigest()[:16]


def master_keys() -> MasterKeys:
    """The master keys of this installation. Raises ImproperlyConfigured if there is none or one is wrong."""
    return _keys_of_settings(settings.AUDITLOG_MASTER_KEY)


@functools.lru_cache(maxsize=4)
def _keys_of_settings(text: str) -> KeysOfSettings:
    keys = []
    for number, item in enumerate(filter(None, re.split(r"[,\s]+", text)), start=1):
        try:
            key = base64.b64decode(item, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            # Never the text itself: it may be a key with a letter too many.
            raise ImproperlyConfigured(f"AUDITLOG_MASTER_KEY: key {number} is not the base64 of {KEY_BYTES} bytes.")
        keys.append(key)
    if not keys:
        raise ImproperlyConfigured("AUDITLOG_MASTER_KEY is not set, so no field of an entry can be encrypted.")
    return KeysOfSettings(keys)
