"""From the `Authorization` header to a principal.

`Authorization: Bearer <API key, viewer token or access token>`; a key may also come as `X-API-Key`. A person who belongs to several
tenants says which one by `X-Tenant: <slug>`.
"""

from __future__ import annotations

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts import api_keys, standing, viewer_tokens
from accounts.deeds import Actor
from accounts.models import Membership, User
from accounts.principals import Principal, cache, credential_digest
from accounts.problems import NotAllowed, NotAuthenticated, NotFound, Refused
from accounts.tokens import decode_access


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
    return decode_access(credential)[0]


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


def _principal_of_token(credential: str, tenant: str | None) -> Principal:
    user, expires_at = decode_access(credential)
    memberships = list(Membership.objects.select_related(*standing.MEMBER_RELATED).filter(user=user, tenant__is_active=True))
    if tenant is not None:
        # The same answer for a tenant that does not exist and for one that is not yours: neither is confirmed.
        own, memberships = memberships, [membership for membership in memberships if membership.tenant.slug == tenant]
        if not memberships:
            raise NotFound(f"You belong to no tenant {tenant!r}.").blaming(*map(Actor.of_member, own))
    if not memberships:
        raise NotAllowed("You belong to no tenant.")
    if len(memberships) > 1:
        slugs = ", ".join(sorted(membership.tenant.slug for membership in memberships))
        raise Refused(f"You belong to several tenants ({slugs}): say which by the header X-Tenant.")
    return standing.of_member(memberships[0], expires_at=expires_at)
