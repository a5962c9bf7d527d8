"""The keys that sign and verify tokens, from the settings: never from a token."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings

from accounts.private_keys import ed25519_keys


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """One key signs under the name `key_id`; `verifying` has all that are trusted, by their names."""

    signing: Ed25519PrivateKey
    key_id: str
    verifying: Mapping[str, Ed25519PublicKey]


def token_keys() -> TokenKeys:
    """The keys of AUDITLOG_TOKEN_KEY. Raises ImproperlyConfigured if there is none or one is wrong."""
    return _read(settings.AUDITLOG_TOKEN_KEY)


@functools.lru_cache(maxsize=4)
def _read(text: str) -> TokenKeys:
    keys = ed25519_keys("AUDITLOG_TOKEN_KEY", text)
    verifying = {thumbprint(key.public_key()): key.public_key() for key in keys}
    return TokenKeys(keys[0], thumbprint(keys[0].public_key()), verifying)


def thumbprint(key: Ed25519PublicKey) -> str:
    """The key's `kid`: base64url of the SHA-256 of its members in the order of their names (RFC 7638, RFC 8037 §2)."""
    # The names are sorted already, and there is no white space.
    members = msgspec.json.encode({"crv": "Ed25519", "kty": "OKP", "x": _base64url(key.public_bytes_raw())})
    return _base64url(hashlib.sha256(members).digest())


def key_set() -> dict[str, list[dict[str, Any]]]:
    """The public keys as a JSON Web Key Set (RFC 7517 §5, RFC 8037)."""
    return {
        "keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": _base64url(key.public_bytes_raw()), "use": "sig", "alg": "EdDSA", "kid": key_id}
            for key_id, key in token_keys().verifying.items()
        ]
    }


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
