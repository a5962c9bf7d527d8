"""Making, checking and revoking API keys.

A key reads `alk_<prefix>_<secret>`: 12 and 43 characters. The prefix is public (logs, admin, `source`); secret
scanners can match the whole by `alk_[a-z0-9]{12}_[A-Za-z0-9_-]{43}`.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable

from django.utils import timezone

from accounts.deeds import Actor
from accounts.models import ApiKey, Tenant, User
from accounts.principals import Principal, abilities_of_scopes
from accounts.problems import NotAuthenticated

KEY = re.compile(r"alk_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")
MARK = "alk_"
_PREFIX_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
LAST_USED_PRECISION = datetime.timedelta(minutes=1)


def create_api_key(
    tenant: Tenant, name: str, scopes: Iterable[str], *, expires_at: datetime.datetime | None = None, created_by: User | None = None
) -> tuple[ApiKey, str]:
    """Make a key. Answers the row and the key itself, which can't be had again."""
    prefix = "".join(secrets.choice(_PREFIX_ALPHABET) for _ in range(12))
    secret = secrets.token_urlsafe(32)
    row = ApiKey.objects.create(
        tenant=tenant, name=name, scopes=sorted(set(scopes)), prefix=prefix, digest=_digest(secret), expires_at=expires_at, created_by=created_by
    )
    return row, f"{MARK}{prefix}_{secret}"


def revoke_api_key(row: ApiKey) -> None:
    """End a key for good. Every process refuses it within `AUDITLOG_CREDENTIAL_CACHE_SECONDS`."""
    if row.revoked_at is None:
        row.revoked_at = timezone.now()
        row.save(update_fields=["revoked_at"])


def principal_of_key(key: str) -> Principal:
    """The principal that `key` stands for. Raises NotAuthenticated if it is malformed, unknown, expired or revoked."""
    match = KEY.fullmatch(key)
    row = ApiKey.objects.select_related("tenant").filter(prefix=match[1]).first() if match else None
    # The comparison runs for unknown prefixes too, so that timing does not tell which prefixes exist.
    stored = bytes(row.digest) if row else bytes(32)
    matches = hmac.compare_digest(stored, _digest(match[2] if match else ""))
    if row is None or not matches:
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
    return Principal(
        tenant_id=row.tenant_id,
        tenant_slug=row.tenant.slug,
        source=source,
        scopes=frozenset(row.scopes),
        abilities=abilities_of_scopes(row.scopes),
        expires_at=row.expires_at,
    )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
