"""Making, checking and revoking API keys.

A key reads `alk_<prefix>_<secret>`: 12 and 43 characters. The prefix is public (logs, admin, `source`); secret
scanners can match the whole by `alk_[a-z0-9]{12}_[A-Za-z0-9_-]{43}`.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable

from django.utils import timezone

from accounts import standing
from accounts.deeds import Actor
from accounts.models import AccessGrant, ApiKey, Tenant, User
from accounts.opaque import FORM, is_stored_as, new_opaque, read_opaque
from accounts.principals import Principal
from accounts.problems import NotAuthenticated

MARK = "alk_"
KEY = re.compile(MARK + FORM)
LAST_USED_PRECISION = datetime.timedelta(minutes=1)


def create_api_key(
    tenant: Tenant,
    name: str,
    scopes: Iterable[str],
    *,
    expires_at: datetime.datetime | None = None,
    created_by: User | None = None,
    grant: AccessGrant | None = None,
) -> tuple[ApiKey, str]:
    """Make a key. Answers the row and the key itself, which can't be had again."""
    made = new_opaque(MARK)
    row = ApiKey.objects.create(
        tenant=tenant,
        name=name,
        scopes=sorted(set(scopes)),
        grant=grant,
        prefix=made.prefix,
        digest=made.digest,
        expires_at=expires_at,
        created_by=created_by,
    )
    return row, made.text


def revoke_api_key(row: ApiKey) -> None:
    """End a key for good. Every process refuses it within `AUDITLOG_CREDENTIAL_CACHE_SECONDS`."""
    if row.revoked_at is None:
        row.revoked_at = timezone.now()
        row.save(update_fields=["revoked_at"])


def principal_of_key(key: str) -> Principal:
    """The principal that `key` stands for. Raises NotAuthenticated if it is malformed, unknown, expired or revoked."""
    given = read_opaque(MARK, key)
    row = ApiKey.objects.select_related(*standing.KEY_RELATED).filter(prefix=given.prefix).first() if given else None
    if not is_stored_as(given, row.digest if row else None) or row is None:
        raise NotAuthenticated("The API key is not known.", code="unknown_api_key")
    now = timezone.now()
    source = f"key:{row.prefix}"
    # Of these, and of no other, is it known that somebody holds the key itself.
    holder = Actor(row.tenant_id, source, source)
    if row.revoked_at is not None:
        raise NotAuthenticated("The API key was revoked.", code="revoked_api_key").blaming(holder)
    if row.expires_at is not None and row.expires_at <= now:
        raise NotAuthenticated("The API key has expired.", code="expired_api_key").blaming(holder)
    if not row.tenant.is_active:
        raise NotAuthenticated("The API key's tenant is not active.", code="inactive_tenant").blaming(holder)
    if row.last_used_at is None or now - row.last_used_at >= LAST_USED_PRECISION:
        ApiKey.objects.filter(pk=row.pk).update(last_used_at=now)
    return standing.of_key(row)
