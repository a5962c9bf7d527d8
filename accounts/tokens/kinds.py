"""The two kinds of tokens. `family` names the sign-in that they come from."""

from __future__ import annotations

import datetime
import re
import uuid

from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import Token

from accounts.tokens.backend import KeySetBackend, backend

FAMILY = "family"
_USER_ID = re.compile(r"[1-9][0-9]{0,18}")
_FAMILY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class FamilyToken(Token):
    """A token by our keys."""

    @property
    def token_backend(self) -> KeySetBackend:
        return backend()

    def verify(self) -> None:
        """Raises TokenError if it is nobody's, or belongs to no family: such a token could not be ended."""
        super().verify()
        user_id, family = self.payload.get(api_settings.USER_ID_CLAIM), self.payload.get(FAMILY)
        if not (isinstance(user_id, str) and _USER_ID.fullmatch(user_id)):
            raise TokenError("The token has no user.")
        if not (isinstance(family, str) and _FAMILY.fullmatch(family)):
            raise TokenError("The token has no family.")

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
