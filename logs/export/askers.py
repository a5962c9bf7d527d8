"""Whose rights a job has: those that its asker has at this moment, not those of when they asked."""

from __future__ import annotations

from accounts import standing
from accounts.deeds import Actor
from accounts.models import Membership
from accounts.principals import Principal
from logs.models import ExportJob


def asker_of(job: ExportJob) -> Principal | None:
    """The principal that asked for `job`, with the rights of now. None if they may not export any more what they asked for.

    That is so too if they see more or less than when they asked: the file would not be what it says.
    """
    principal = standing.of_now(job.tenant_id, job.asked_by, job.asked_by_user_id)
    is_allowed = principal is not None and principal.may_read and principal.may_export
    return principal if principal is not None and is_allowed and principal.restriction.digest == job.restriction else None


def actor_of(job: ExportJob) -> Actor:
    """Who asked for `job`, as entries name them; whatever rights they have now."""
    membership = None
    if job.asked_by_user_id is not None:
        membership = Membership.objects.select_related("user").filter(user_id=job.asked_by_user_id, tenant_id=job.tenant_id).first()
    return Actor(job.tenant_id, membership.own_user_id if membership else job.asked_by, job.asked_by)
