"""Making, changing and giving grants, and what members are: by Admins of the tenant.

Invariants:
- A grant and its holder are of one tenant.
- A grant that somebody holds is not deleted.
- A tenant that has an Admin who may do something keeps one: the last can't be made anything else.
- Changes of one tenant's members come one after the other (the tenant's row is locked), or two Admins could take the role from each other.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, Q
from django.utils import timezone

from accounts.models import AccessGrant, ApiKey, Membership, Role, Tenant
from accounts.problems import Fault, Invalid, NotFound
from accounts.versions import locked


def make_grant(tenant_id: uuid.UUID, values: dict[str, Any]) -> AccessGrant:
    """Keep a new grant. Raises Invalid if there is one of this name."""
    try:
        with transaction.atomic():
            return AccessGrant.objects.create(tenant_id=tenant_id, **values)
    except IntegrityError as error:
        raise _exists() from error


def change_grant(tenant_id: uuid.UUID, id: int, values: dict[str, Any], etags: Collection[str] | None) -> AccessGrant:
    """Change a grant, if it still has one of `etags` (None: whichever it has). Raises NotFound or Invalid.

    Holders see and may do accordingly within AUDITLOG_CREDENTIAL_CACHE_SECONDS.
    """
    try:
        with transaction.atomic():
            grant = _locked(tenant_id, id, etags)
            for name, value in values.items():
                setattr(grant, name, value)
            if values:
                _check_range(grant)
                grant.version += 1
                grant.save()
            return grant
    except IntegrityError as error:
        raise _exists() from error


def delete_grant(tenant_id: uuid.UUID, id: int, etags: Collection[str] | None) -> None:
    """Delete a grant that nobody holds. Raises NotFound or Invalid."""
    try:
        with transaction.atomic():
            _locked(tenant_id, id, etags).delete()
    except ProtectedError as error:
        detail = f"{len(error.protected_objects)} members and keys hold this grant. Give them another first, or make it inactive: then they have nothing."
        raise Invalid([Fault("", "in_use", detail)]) from error


def lock_for_holder(tenant_id: uuid.UUID, grant: AccessGrant | None) -> None:
    """Keep the grant from being deleted until the transaction has given it to somebody. Raises Invalid if it is gone."""
    if grant is not None and not AccessGrant.objects.select_for_update().filter(tenant_id=tenant_id, pk=grant.pk):
        raise Invalid([Fault("/grant", "unknown_grant", f"There is no grant {grant.pk}.")])


def change_key(tenant_id: uuid.UUID, id: int, grant: AccessGrant | None) -> ApiKey:
    """Give a key another grant, or none. Raises NotFound."""
    with transaction.atomic():
        lock_for_holder(tenant_id, grant)
        key = ApiKey.objects.select_for_update().filter(tenant_id=tenant_id, pk=id).first()
        if key is None:
            raise NotFound(f"There is no API key {id}.")
        key.grant = grant
        key.save(update_fields=["grant"])
        return key


def change_member(tenant_id: uuid.UUID, id: int, values: dict[str, Any]) -> Membership:
    """Change a member's role or grant. Raises NotFound, or Invalid where the tenant would have no Admin left."""
    with transaction.atomic():
        Tenant.objects.select_for_update().get(pk=tenant_id)
        member = Membership.objects.select_related("user", "tenant").filter(tenant_id=tenant_id, pk=id).first()
        if member is None:
            raise NotFound(f"There is no member {id}.")
        administered = _has_admin(tenant_id)
        lock_for_holder(tenant_id, values.get("grant"))
        for name, value in values.items():
            setattr(member, name, value)
        member.save(update_fields=list(values))
        if administered and not _has_admin(tenant_id):
            raise Invalid([Fault("/role" if "role" in values else "/grant", "last_admin", "The tenant would have no Admin left. Make another one first.")])
        return member


def _has_admin(tenant_id: uuid.UUID) -> bool:
    """Is there an Admin who can sign in, and whose grant, if there is one, is not over?"""
    lasts = Q(grant__valid_until=None) | Q(grant__valid_until__gt=timezone.now())
    holds = Q(grant=None) | (Q(grant__is_active=True) & lasts)
    return Membership.objects.filter(holds, tenant_id=tenant_id, role=Role.ADMIN, user__is_active=True).exists()


def _locked(tenant_id: uuid.UUID, id: int, etags: Collection[str] | None) -> AccessGrant:
    """The grant, for the rest of the transaction nobody else's to change. Raises NotFound or ChangedMeanwhile."""
    return locked(AccessGrant.objects.select_for_update().filter(tenant_id=tenant_id, pk=id), etags, NotFound(f"There is no grant {id}."))


def _check_range(grant: AccessGrant) -> None:
    if grant.from_at is not None and grant.until_at is not None and grant.from_at >= grant.until_at:
        raise Invalid([Fault("/until_at", "bad_range", "The end is not after the beginning.")])


def _exists() -> Invalid:
    return Invalid([Fault("/name", "exists", "The tenant has a grant of this name already.")])
