"""Ed25519 private keys as settings hold them: PEM (PKCS #8), several in one text."""

from __future__ import annotations

import re

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.core.exceptions import ImproperlyConfigured

_PEM = re.compile(r"-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----", re.DOTALL)
MAKE_ONE = "Make one: openssl genpkey -algorithm ed25519"


def ed25519_keys(setting: str, text: str) -> list[Ed25519PrivateKey]:
    """The keys in `text`, in their order. Raises ImproperlyConfigured, naming `setting`, if there is none or one is wrong."""
    blocks = _PEM.findall(text)
    if not blocks:
        raise ImproperlyConfigured(f"{setting} has no PEM private key. {MAKE_ONE}, and set {setting}_FILE to its path.")
    keys = []
    for block in blocks:
        try:
            key = load_pem_private_key(block.encode() + b"\n", password=None)
        except (ValueError, TypeError) as error:
            raise ImproperlyConfigured(f"{setting} is no private key without a password: {error}. {MAKE_ONE}") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ImproperlyConfigured(f"{setting} is no Ed25519 key. {MAKE_ONE}")
        keys.append(key)
    return keys
