"""How tokens are signed and read: EdDSA alone, by the keys of our own set alone.

djangorestframework-simplejwt's backend knows one key and no `kid`. This one writes `kid` and `typ` into the header, and reads no header
that has anything else: `jku`, `jwk`, `x5u`, `x5c` and `crit` are not looked at but refused.
"""

from __future__ import annotations

import functools
from typing import Any

import jwt
from django.conf import settings
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenBackendExpiredToken

from accounts.tokens.keys import token_keys

ALGORITHM = "EdDSA"
# The kind stands in the signed header as well as in the claims (RFC 8725 §3.11), so that neither can be taken for the other.
TYPES = {"access": "at+jwt", "refresh": "rt+jwt"}
MAX_TOKEN_CHARACTERS = 4096
_MEMBERS = {"alg", "kid", "typ"}
_REQUIRED = ["exp", "iat", "jti", "iss", "aud"]


class KeySetBackend(TokenBackend):
    """Signs with the first key of AUDITLOG_TOKEN_KEY, verifies with any of them."""

    def encode(self, payload: dict[str, Any]) -> str:
        keys = token_keys()
        claims = payload | {"aud": self.audience, "iss": self.issuer}
        return jwt.encode(claims, keys.signing, ALGORITHM, headers={"kid": keys.key_id, "typ": TYPES[payload["token_type"]]})

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        """The claims of a token that is ours and in its time. Raises TokenBackendError. Nothing is ever read unverified."""
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise TokenBackendError("The token is too long.")
        try:
            header = jwt.get_unverified_header(token)
            if set(header) != _MEMBERS or header["alg"] != ALGORITHM:
                raise TokenBackendError("The token's header is not one of ours.")
            key = token_keys().verifying.get(header["kid"])
            if key is None:
                raise TokenBackendError("The token names no key of ours.")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self.audience,
                issuer=self.issuer,
                leeway=self.get_leeway(),
                options={"require": _REQUIRED},
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenBackendExpiredToken("The token has expired.") from error
        except (jwt.InvalidTokenError, ValueError) as error:
            raise TokenBackendError("The token is not valid.") from error
        if header["typ"] != TYPES.get(str(claims.get("token_type"))):
            raise TokenBackendError("The token is of another kind than its header says.")
        return claims


@functools.cache
def backend() -> KeySetBackend:
    given: dict[str, Any] = dict(settings.SIMPLE_JWT)
    return KeySetBackend(ALGORITHM, audience=given["AUDIENCE"], issuer=given["ISSUER"], leeway=given["LEEWAY"])
