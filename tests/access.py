"""Grants and viewer tokens for tests, and who holds them."""

from __future__ import annotations

import uuid
from typing import Any

from accounts import standing
from accounts.models import AccessGrant, ApiKey, Membership, Role, Tenant
from accounts.principals import cache
from accounts.viewer_tokens import MARK, mint_viewer_token
from tests.api import Api
from tests.storing import new_key, new_token


def new_grant(tenant: Tenant, **fields: Any) -> AccessGrant:
    """A grant of the tenant. What it does not say leaves everything, and allows nothing."""
    return AccessGrant.objects.create(tenant=tenant, name=uuid.uuid4().hex, **fields)


def granted_token(tenant: Tenant, role: Role, grant: AccessGrant | None, log_user_id: str = "") -> str:
    """The access token of a new member who holds the grant."""
    token = new_token(tenant, role, log_user_id)
    newest = Membership.objects.filter(tenant=tenant).order_by("-pk")[0]
    newest.grant = grant
    newest.save()
    return token


def granted_key(tenant: Tenant, grant: AccessGrant | None, *scopes: str) -> str:
    """A new key that holds the grant."""
    key = new_key(tenant, *scopes)
    ApiKey.objects.filter(prefix=key.removeprefix("alk_")[:12]).update(grant=grant)
    return key


def row_of(key: str) -> ApiKey:
    return ApiKey.objects.get(prefix=key.removeprefix("alk_")[:12])


def viewer_token(tenant: Tenant, query: str, *, minter: str | None = None, may_export: bool = False, seconds: int = 900) -> str:
    """A viewer token, minted by the key `minter` or by one of its own."""
    key = minter or new_key(tenant)
    return mint_viewer_token(standing.of_key(row_of(key)), query, seconds=seconds, may_export=may_export)[1]


def viewer(tenant: Tenant, query: str, **how: Any) -> Api:
    token = viewer_token(tenant, query, **how)
    assert token.startswith(MARK)
    return Api(token)


def forget_principals() -> None:
    """Have every credential looked up again, as it is after AUDITLOG_CREDENTIAL_CACHE_SECONDS."""
    cache.clear()
