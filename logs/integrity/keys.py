"""The keys that sign and verify checkpoints, from the settings: never from the database."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from accounts.private_keys import ed25519_keys
from auditlog_verify.notes import VerifierKey, is_key_name, keys_of


def private_keys() -> list[Ed25519PrivateKey]:
    """The keys that sign, the first being the one that stays. Raises ImproperlyConfigured if there is none or one is wrong."""
    return ed25519_keys("AUDITLOG_SIGNING_KEY", settings.AUDITLOG_SIGNING_KEY)


def public_keys() -> list[bytes]:
    """The public keys (32 bytes each) that are trusted: of those that sign, then those of AUDITLOG_VERIFIER_KEYS."""
    found = [key.public_key().public_bytes_raw() for key in private_keys()] if settings.AUDITLOG_SIGNING_KEY else []
    for text in settings.AUDITLOG_VERIFIER_KEYS:
        try:
            raw = base64.b64decode(text, validate=True)
        except binascii.Error:
            raw = b""
        if len(raw) != 32:
            raise ImproperlyConfigured(f"AUDITLOG_VERIFIER_KEYS: {text!r} is not the base64 of 32 bytes.")
        if raw not in found:
            found.append(raw)
    return found


def verifier_keys(origin: str) -> list[VerifierKey]:
    """The keys by which checkpoints of the log `origin` are trusted."""
    return keys_of(origin, public_keys())


def encode_public_keys(keys: Iterable[bytes]) -> str:
    """The value of AUDITLOG_VERIFIER_KEYS for these keys."""
    return ",".join(base64.b64encode(key).decode() for key in keys)


def new_origin(tenant_id: uuid.UUID) -> str:
    """The name of a tenant's log that begins now. Raises ImproperlyConfigured."""
    origin = f"{settings.AUDITLOG_ORIGIN}/{tenant_id}"
    if not is_key_name(origin):
        raise ImproperlyConfigured(f"AUDITLOG_ORIGIN={settings.AUDITLOG_ORIGIN!r} may have neither spaces nor plus signs.")
    return origin


def origins_of(origin: str) -> list[str]:
    """The names that a log has had, this one last: each accepted restore begins a new one (`…/tenant`, `…/tenant.2`, `…/tenant.3`)."""
    first, found, number = origin.rpartition(".")
    if not (found and number.isdigit() and "/" not in number):
        return [origin]
    return [first, *(f"{first}.{count}" for count in range(2, int(number) + 1))]


def next_origin(origin: str) -> str:
    """The name under which a log goes on after a restore."""
    names = origins_of(origin)
    return f"{names[0]}.{len(names) + 1}"
