"""The two kinds of tokens. `family` names the sign-in that they come from."""

from __future__ import annotations

import datetime
import uuid

from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import Token

from accounts.tokens.backend import KeySetBackend, backend

FAMILY = "family"


class FamilyToken(Token):
    """A token by our keys."""

    @property
    def token_backend(self) -> KeySetBackend:
        return backend()

    def verify(self) -> None:
        """Raises TokenError if it belongs to no family: such a token could not be ended."""
        super().verify()
        try:
            uuid.UUID(self.payload[FAMILY])
        except (KeyError, ValueError, AttributeError, TypeError):
            raise TokenError("The token has no family.") from None

    @property
    def family_id(self) -> uuid.UUID:
        return uuid.UUID(self.payload[FAMILY])

    @property
    def jti(self) -> str:
        return str(self.payload[api_settings.JTI_CLAIM])


class AccessToken(FamilyToken):
    token_type = "access"  # noqa: S105  the kind's name
    lifetime: datetime.timedelta = api_settings.ACCESS_TOKEN_LIFETIME


class RefreshToken(FamilyToken):
    token_type = "refresh"  # noqa: S105  the kind's name
    lifetime: datetime.timedelta = api_settings.REFRESH_TOKEN_LIFETIME
