"""The keys of tokens: what their names are, and which texts are none."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from django.core.exceptions import ImproperlyConfigured

from accounts.tokens.keys import key_set, thumbprint, token_keys

# RFC 8037, appendix A.
X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def pem(key: Any, encryption: Any = None) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()).decode())


def test_thumbprint_is_that_of_the_rfc() -> None:
    assert thumbprint(Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(X + "="))) == THUMBPRINT


def test_first_key_signs_and_all_verify(settings: Any) -> None:
    new, old = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    settings.AUDITLOG_TOKEN_KEY = f"{pem(new)}\n{pem(old)}"
    assert token_keys().key_id == thumbprint(new.public_key())
    assert [key["kid"] for key in key_set()["keys"]] == [thumbprint(new.public_key()), thumbprint(old.public_key())]


def test_key_set_has_no_private_member(settings: Any) -> None:
    settings.AUDITLOG_TOKEN_KEY = pem(Ed25519PrivateKey.generate())
    assert all(set(key) == {"kty", "crv", "x", "use", "alg", "kid"} for key in key_set()["keys"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a secret that everybody could guess",
        pem(generate_private_key(SECP256R1())),
        pem(Ed25519PrivateKey.generate(), BestAvailableEncryption(b"password")),
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    ],
)
def test_text_that_is_no_key_is_refused(settings: Any, text: str) -> None:
    settings.AUDITLOG_TOKEN_KEY = text
    with pytest.raises(ImproperlyConfigured, match="AUDITLOG_TOKEN_KEY"):
        token_keys()
