"""Whose rights a job or a stream has: those that its asker has at this moment, not those of when they asked."""

from __future__ import annotations

from accounts import standing
from accounts.principals import Principal
from logs.models import ExportJob


def asker_of(job: ExportJob) -> Principal | None:
    """The principal that asked for `job`, with the rights of now. None if they may not export any more what they asked for.

    That is so too if they see more or less than when they asked: the file would not be what it says.
    """
    principal = standing.of_now(job.tenant_id, job.asked_by, job.asked_by_user_id)
    return principal if principal is not None and may_export(principal) and principal.restriction.digest == job.restriction else None


def still_may(principal: Principal) -> bool:
    """Does the principal that began to export still see the same, and may it still export and decrypt as then?"""
    now = standing.of_now(principal.tenant_id, principal.source, principal.user_pk)
    return now is not None and may_export(now) and now.restriction == principal.restriction and (now.may_decrypt or not principal.may_decrypt)


def may_export(principal: Principal) -> bool:
    return principal.may_read and principal.may_export
