"""Whose rights a job has: those that its asker has at this moment, not those of when they asked."""

from __future__ import annotations

from django.utils import timezone

from accounts.authentication import principal_of_member
from accounts.deeds import Actor
from accounts.models import ApiKey, Membership
from accounts.principals import Principal, abilities_of_scopes
from logs.models import ExportJob

_KEY = "key:"


def asker_of(job: ExportJob) -> Principal | None:
    """The principal that asked for `job`, with the rights of now. None if they may not read any more."""
    principal = _key(job) if job.asked_by_user_id is None else _member(job, job.asked_by_user_id)
    return principal if principal is not None and principal.may_read else None


def actor_of(job: ExportJob) -> Actor:
    """Who asked for `job`, as entries name them; whatever rights they have now."""
    membership = None
    if job.asked_by_user_id is not None:
        membership = Membership.objects.select_related("user").filter(user_id=job.asked_by_user_id, tenant_id=job.tenant_id).first()
    return Actor(job.tenant_id, membership.own_user_id if membership else job.asked_by, job.asked_by)


def _member(job: ExportJob, user_pk: int) -> Principal | None:
    members = Membership.objects.select_related("tenant", "user")
    found = members.filter(user_id=user_pk, user__is_active=True, tenant_id=job.tenant_id, tenant__is_active=True).first()
    return principal_of_member(found) if found else None


def _key(job: ExportJob) -> Principal | None:
    keys = ApiKey.objects.select_related("tenant").filter(tenant_id=job.tenant_id, tenant__is_active=True, revoked_at=None)
    key = keys.filter(prefix=job.asked_by.removeprefix(_KEY)).first()
    if key is None or (key.expires_at is not None and key.expires_at <= timezone.now()):
        return None
    return Principal(key.tenant_id, key.tenant.slug, f"{_KEY}{key.prefix}", frozenset(key.scopes), abilities_of_scopes(key.scopes), expires_at=key.expires_at)
