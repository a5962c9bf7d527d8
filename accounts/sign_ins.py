"""Deeds of sessions (accounts.sign_in), recorded in the log of each tenant that the person belongs to.

Who belongs to none, and names that nobody has, are recorded in the operator's tenant (AUDITLOG_OPERATOR_TENANT). So the answer to a name
that nobody has waits for a commit too, as that to a wrong password does.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from accounts import extensions, refusals
from accounts.addresses import client_address
from accounts.deeds import Actor, Deed, actors_of_user
from accounts.extensions import Outcome, Record
from accounts.models import Tenant, User
from accounts.recording import Whence, whence

logger = logging.getLogger(__name__)
NOBODY = "unknown"


def record_session(request: HttpRequest | None, user: User | None, deed: Deed, outcome: Outcome = "success", /, **metadata: Any) -> None:
    """Record what became of a session, in each log that it concerns: in all or none. Raises NotRecorded.

    `user` None: somebody by a name that nobody has. Failures are bounded as refused attempts are (accounts.refusals).
    """
    address = client_address(request) if request else None
    records = []
    for actor in session_actors(user):
        more = dict(metadata)
        if outcome == "failure":
            suppressed = refusals.bound.admit(actor, address)
            if suppressed is None:
                continue
            more |= {"suppressed": suppressed} if suppressed else {}
        if request is not None:
            more |= {"path": request.path_info}
        origin: Whence = whence(request) if request is not None else {"ip_address": None, "user_agent": None, "request_id": None}
        records.append(Record(actor.tenant_id, actor.user_id, deed, outcome, metadata=more | {"principal": actor.source}, **origin))
    extensions.record_all(records)


def session_actors(user: User | None) -> Sequence[Actor]:
    """A person in each log that their sessions concern."""
    found = actors_of_user(user) if user is not None else []
    if found:
        return found
    operators = operator_tenant()
    if operators is None:
        return ()
    # A name that nobody has may be a password in the wrong field: it is not kept.
    name = user.get_username() if user is not None else NOBODY
    return (Actor(operators.pk, name, f"user:{name}"),)


def operator_tenant() -> Tenant | None:
    """The tenant whose log has what concerns no other: the one that is named for it, else the oldest that is active."""
    slug = settings.AUDITLOG_OPERATOR_TENANT
    if slug:
        named = Tenant.objects.filter(slug=slug).first()
        if named is not None:
            return named
        logger.error("there is no tenant AUDITLOG_OPERATOR_TENANT=%s: its entries go to the oldest tenant", slug)
    return Tenant.objects.filter(is_active=True).order_by("created_at", "slug").first()
