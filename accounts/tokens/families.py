"""Families of tokens: begun by a sign-in, carried on by refreshing, ended as a whole.

Invariants:

- Of the refresh tokens of a family one is good: the one whose `jti` the family's row holds. It is exchanged by one conditional UPDATE, so of
  two requests with one token one wins, on any number of machines.
- A refresh token that is ours, of a family that goes on, and not the good one, was used before: its thief or its owner is late, nobody can tell
  which, so the family ends at once. There is no grace period in which a token works twice.
- Who dies between the exchange and the answer leaves a client with a used token: it has to sign in again.
- What has ended never goes on.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import cast

from django.conf import settings
from django.utils import timezone
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed, InvalidToken, TokenError

from accounts.deeds import actors_of_user
from accounts.models import TokenFamily, User
from accounts.problems import NotAuthenticated
from accounts.tokens.kinds import FAMILY, AccessToken, RefreshToken

# Rows of families that are over, for whoever looks into what happened.
KEPT = datetime.timedelta(days=90)
REMOVED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Tokens:
    """A pair of tokens, as the API gives it."""

    user: User
    access: str
    refresh: str


class RefreshReused(NotAuthenticated):
    """A refresh token came a second time; its family has been ended."""

    code = "refresh_reused"

    def __init__(self, user: User, family: TokenFamily) -> None:
        super().__init__("This refresh token was used before. Every token of its sign-in has been ended. Sign in again.")
        self.user = user
        self.family = family


def start_family(user: User, *, ip_address: str | None = None, user_agent: str = "") -> Tokens:
    """The tokens of a new sign-in. The caller has made sure who it is."""
    now = timezone.now()
    _forget_old(now)
    refresh = RefreshToken.for_user(user)
    family = TokenFamily.objects.create(
        user=user,
        jti=refresh.jti,
        started_at=now,
        refreshed_at=now,
        expires_at=now + datetime.timedelta(days=settings.AUDITLOG_SIGN_IN_DAYS),
        ip_address=ip_address,
        user_agent=user_agent[:200],
    )
    return _pair(user, family, refresh)


def rotate(text: str) -> Tokens:
    """A new pair for a refresh token, which is used up. Raises NotAuthenticated; RefreshReused, once the family has been ended."""
    used = _decoded_refresh(text)
    user = _user_of(used)
    family = _family_of(used, user)
    refresh = RefreshToken.for_user(user)
    now = timezone.now()
    going_on = TokenFamily.objects.filter(pk=family.pk, ended_at=None, expires_at__gt=now)
    if going_on.filter(jti=used.jti).update(jti=refresh.jti, refreshed_at=now) == 1:
        return _pair(user, family, refresh)
    if going_on.update(ended_at=now, ended_because=TokenFamily.Reason.REUSED) == 1:
        raise RefreshReused(user, family)
    raise _ended()


def end_family(text: str) -> User:
    """Sign out: end the family of a refresh token. Answers whose it was. Raises NotAuthenticated if it is none, or has ended."""
    token = _decoded_refresh(text)
    user = _user_of(token)
    family = _family_of(token, user)
    if TokenFamily.objects.filter(pk=family.pk, ended_at=None).update(ended_at=timezone.now(), ended_because=TokenFamily.Reason.SIGNED_OUT) == 0:
        raise _ended()
    return user


def end_families_of(user: User, reason: TokenFamily.Reason) -> int:
    """End all of a person's families. Answers how many there were."""
    return TokenFamily.objects.filter(user=user, ended_at=None).update(ended_at=timezone.now(), ended_because=reason)


def decode_access(text: str) -> tuple[User, datetime.datetime]:
    """The person behind an access token, and when it expires. Raises NotAuthenticated if it, its family or its user is no good any more."""
    try:
        token = AccessToken(text)  # type: ignore[arg-type]  # text is what it takes; the stub says Token
    except TokenError as error:
        raise NotAuthenticated("The access token is not valid or has expired. Get a new one.", code="invalid_token") from error
    try:
        user = _user_of(token)
        _family_of(token, user)
    except NotAuthenticated as error:
        problem = NotAuthenticated("The access token's sign-in has ended, or its user can't sign in any more.", code="invalid_token")
        # The token itself is ours, so it is known whose it was.
        holder = User.objects.filter(pk=str(token.get("user_id"))).first()
        raise problem.blaming(*(actors_of_user(holder) if holder else ())) from error
    return user, datetime.datetime.fromtimestamp(token["exp"], datetime.UTC)


def _decoded_refresh(text: str) -> RefreshToken:
    try:
        return RefreshToken(text)  # type: ignore[arg-type]  # text is what it takes; the stub says Token
    except TokenError as error:
        raise NotAuthenticated("The refresh token is not valid or has expired. Sign in.") from error


def _user_of(token: AccessToken | RefreshToken) -> User:
    """Whose it is. Raises NotAuthenticated for one who may not sign in, and after a change of the password."""
    try:
        return cast("User", JWTAuthentication().get_user(token))
    except (AuthenticationFailed, InvalidToken, ValueError) as error:
        raise NotAuthenticated("The token's user can't sign in any more, or has another password now. Sign in.") from error


def _family_of(token: AccessToken | RefreshToken, user: User) -> TokenFamily:
    """The family that goes on. Raises NotAuthenticated."""
    family = TokenFamily.objects.filter(pk=token.family_id, user=user, ended_at=None, expires_at__gt=timezone.now()).first()
    if family is None:
        raise _ended()
    return family


def _ended() -> NotAuthenticated:
    return NotAuthenticated("The sign-in that this token comes from has ended. Sign in.")


def _pair(user: User, family: TokenFamily, refresh: RefreshToken) -> Tokens:
    """The two tokens as texts. Neither outlives the family."""
    access = AccessToken.for_user(user)
    for token in (access, refresh):
        token[FAMILY] = str(family.pk)
        token["exp"] = min(token["exp"], int(family.expires_at.timestamp()))
    return Tokens(user, str(access), str(refresh))


def _forget_old(now: datetime.datetime) -> None:
    """Each sign-in makes a row and removes up to a hundred, so the table does not grow for ever."""
    old = TokenFamily.objects.filter(expires_at__lt=now - KEPT).values("pk")[:REMOVED_AT_ONCE]
    TokenFamily.objects.filter(pk__in=old).delete()
