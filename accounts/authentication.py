"""From the `Authorization` header to a principal.

`Authorization: Bearer <API key, viewer token or access token>`; a key may also come as `X-API-Key`. A person who belongs to several
tenants says which one by `X-Tenant: <slug>`.
"""

from __future__ import annotations

import datetime
from typing import cast

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed, InvalidToken
from rest_framework_simplejwt.tokens import AccessToken

from accounts import api_keys, standing, viewer_tokens
from accounts.deeds import Actor
from accounts.models import Membership, User
from accounts.principals import Principal, cache, credential_digest
from accounts.problems import NotAllowed, NotAuthenticated, NotFound, Refused


class PrincipalAuthentication(BaseAuthentication):
    """Django REST framework authentication that makes `request.user` a `Principal`."""

    def authenticate(self, request: Request) -> tuple[Principal, str] | None:
        principal = authenticate(request._request)
        return (principal, "") if principal else None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="auditlog"'


def authenticate(request: HttpRequest) -> Principal | None:
    """The principal of a request, or None if it carries no credential. Raises a Problem for a bad one."""
    credential = _credential(request)
    if credential is None:
        return None
    tenant = request.META.get("HTTP_X_TENANT")
    digest = credential_digest(credential, tenant)
    principal = cache.get(digest)
    if principal is None:
        if credential.startswith(api_keys.MARK):
            principal = _in_tenant(api_keys.principal_of_key(credential), tenant)
        elif credential.startswith(viewer_tokens.MARK):
            principal = _in_tenant(viewer_tokens.principal_of_viewer(credential), tenant)
        else:
            principal = _principal_of_token(credential, tenant)
        cache.put(digest, principal)
    return principal


def _in_tenant(principal: Principal, tenant: str | None) -> Principal:
    if tenant is not None and tenant != principal.tenant_slug:
        raise NotAllowed("The credential belongs to another tenant than X-Tenant says.").blaming(Actor.of(principal))
    return principal


def user_of_request(request: HttpRequest) -> User:
    """The person behind an access token, whatever tenants they have. Raises NotAuthenticated."""
    credential = _credential(request)
    if credential is None or credential.startswith((api_keys.MARK, viewer_tokens.MARK)):
        raise NotAuthenticated("Send an access token: Authorization: Bearer ...")
    return _user_of_token(_decoded(credential))


def _credential(request: HttpRequest) -> str | None:
    header: str | None = request.META.get("HTTP_AUTHORIZATION")
    key: str | None = request.META.get("HTTP_X_API_KEY")
    if header is None:
        return key
    if key is not None:
        raise Refused("Send one credential: either Authorization or X-API-Key.")
    scheme, _, credential = header.partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise NotAuthenticated("The Authorization header has to read: Bearer <API key or access token>.", code="malformed_credential")
    return credential.strip()


def _decoded(token: str) -> AccessToken:
    try:
        return AccessToken(token)  # type: ignore[arg-type]  # text is what it takes; the stub says Token
    except Exception as error:
        # simplejwt raises several kinds, all of which mean the same to the caller.
        raise NotAuthenticated("The access token is not valid or has expired. Get a new one.", code="invalid_token") from error


def _user_of_token(token: AccessToken) -> User:
    try:
        return cast("User", JWTAuthentication().get_user(token))
    except (AuthenticationFailed, InvalidToken) as error:
        problem = NotAuthenticated("The access token's user can't sign in any more.", code="invalid_token")
        user = User.objects.filter(pk=str(token.get("user_id"))).first()
        raise problem.blaming(*(actors_of_user(user) if user else ())) from error


def _principal_of_token(credential: str, tenant: str | None) -> Principal:
    token = _decoded(credential)
    user = _user_of_token(token)
    memberships = list(Membership.objects.select_related(*standing.MEMBER_RELATED).filter(user=user, tenant__is_active=True))
    if tenant is not None:
        # The same answer for a tenant that does not exist and for one that is not yours: neither is confirmed.
        own, memberships = memberships, [membership for membership in memberships if membership.tenant.slug == tenant]
        if not memberships:
            raise NotFound(f"You belong to no tenant {tenant!r}.").blaming(*map(actor_of_member, own))
    if not memberships:
        raise NotAllowed("You belong to no tenant.")
    if len(memberships) > 1:
        slugs = ", ".join(sorted(membership.tenant.slug for membership in memberships))
        raise Refused(f"You belong to several tenants ({slugs}): say which by the header X-Tenant.")
    return standing.of_member(memberships[0], expires_at=datetime.datetime.fromtimestamp(token["exp"], datetime.UTC))


def actor_of_member(membership: Membership) -> Actor:
    """A person as the log of one of their tenants names them."""
    return Actor(membership.tenant_id, membership.own_user_id, f"user:{membership.user.get_username()}")


def actors_of_user(user: User) -> list[Actor]:
    """A person in the log of each of their tenants that are active."""
    return [actor_of_member(membership) for membership in user.memberships.select_related("tenant", "user").filter(tenant__is_active=True)]
