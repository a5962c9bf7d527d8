"""Acts under dual control on record: asked for, confirmed by another person, carried out; or refused, expired, failed.

Invariants:
- A step is taken on the locked row, from the state that it needs; an end is never left.
- The entry about a step is written before the step is committed. If it can't be, the step is not taken.
- The waiting time counts from the confirmation; until it is over any Admin can refuse the act.
"""

from __future__ import annotations

import datetime
import logging
import uuid
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.deeds import Deed
from accounts.extensions import record
from accounts.principals import Principal
from accounts.problems import NotAllowed, NotFound, Problem
from accounts.recording import Whence, whence
from accounts.standing import of_now
from archival.dual_control.settings import waiting_hours
from archival.errors import ActOver
from archival.models import WAITING, ActKind, ActState, PendingAct

logger = logging.getLogger(__name__)
ACT = "audit_log_pending_act"
# What nobody confirms for so long is off.
EXPIRES_AFTER = datetime.timedelta(days=7)
NOWHERE: Whence = {"ip_address": None, "user_agent": None, "request_id": None}


@dataclass(frozen=True)
class Asker:
    """Who asks for something that may need a second Admin, and from where. `principal` None: an operator who is no member of the tenant."""

    tenant_id: uuid.UUID
    source: str
    principal: Principal | None
    whence: Whence

    @classmethod
    def of(cls, principal: Principal, request: HttpRequest) -> Asker:
        return cls(principal.tenant_id, principal.source, principal, whence(request))

    @classmethod
    def in_admin(cls, tenant_id: uuid.UUID, request: HttpRequest) -> Asker:
        """Whoever uses the Django admin, as the member of the tenant that they may be."""
        source = f"user:{request.user.get_username()}"
        return cls(tenant_id, source, of_now(tenant_id, source, request.user.pk), whence(request))


def ask(asker: Asker, kind: ActKind, what: dict[str, Any], reason: str, now: datetime.datetime) -> PendingAct:
    """Put an act on record that waits for a second Admin. Raises NotAllowed for who is no person, and NotRecorded."""
    principal = asker.principal
    if principal is None or principal.user_pk is None:
        raise NotAllowed("This is under dual control: a member of the tenant asks for it in person, and an Admin confirms it.")
    with transaction.atomic():
        act = PendingAct.objects.create(
            tenant_id=asker.tenant_id,
            kind=kind,
            what=what,
            reason=reason,
            asked_by=principal.source,
            asked_by_user_id=principal.user_pk,
            asked_at=now,
            expires_at=now + EXPIRES_AFTER,
        )
        record(asker.tenant_id, Deed("ASK", ACT), actor=principal, resource_id=str(act.pk), metadata=told(act), **asker.whence)
    return act


def confirm(principal: Principal, id: int, now: datetime.datetime) -> PendingAct:
    """Confirm an act. Its waiting time begins. Raises NotFound, NotAllowed or ActOver. Whoever calls records it."""
    act = _locked(principal, id)
    if act.state != ActState.ASKED or act.expires_at <= now:
        raise ActOver(act)
    if principal.user_pk is None or not may_confirm(principal, ActKind(act.kind)):
        raise NotAllowed("An Admin confirms, in person, who might ask for the same.")
    if principal.user_pk == act.asked_by_user_id:
        raise NotAllowed("You have asked for it yourself. Another Admin has to confirm it.")
    act.state, act.decided_by, act.decided_by_user_id, act.decided_at = ActState.CONFIRMED, principal.source, principal.user_pk, now
    act.not_before = now + datetime.timedelta(hours=waiting_hours(act.tenant_id))
    act.save()
    return act


def refuse(principal: Principal, id: int, now: datetime.datetime) -> PendingAct:
    """Refuse an act, or take back what one has asked for. Raises NotFound, NotAllowed or ActOver. Whoever calls records it."""
    act = _locked(principal, id)
    if act.state not in WAITING:
        raise ActOver(act)
    act.decided_by, act.decided_by_user_id, act.decided_at = principal.source, principal.user_pk, now
    _end(act, ActState.REFUSED, "", now)
    return act


def expire(now: datetime.datetime) -> None:
    """End the acts that nobody confirmed in time."""
    for id in PendingAct.objects.filter(state=ActState.ASKED, expires_at__lte=now).order_by("id").values_list("id", flat=True):
        try:
            with transaction.atomic():
                act = PendingAct.objects.select_for_update(of=("self",)).filter(pk=id, state=ActState.ASKED).first()
                if act is not None:
                    finish(act, ActState.EXPIRED, "", now)
        except Problem as problem:
            logger.warning("pending act %d can't be ended now: %s", id, problem)


def finish(act: PendingAct, state: ActState, outcome: str, now: datetime.datetime) -> None:
    """End a locked act, with an entry about it. Raises NotRecorded."""
    deed = Deed("EXPIRE" if state == ActState.EXPIRED else "CARRY_OUT", ACT)
    metadata = told(act) | {"outcome": outcome}
    is_done = state in (ActState.DONE, ActState.EXPIRED)
    record(act.tenant_id, deed, actor="auditlog", outcome="success" if is_done else "failure", resource_id=str(act.pk), metadata=metadata)
    _end(act, state, outcome, now)


def visible_acts(principal: Principal) -> QuerySet[PendingAct]:
    """The acts that a principal may see: Admins all of the tenant, others their own."""
    acts = PendingAct.objects.filter(tenant_id=principal.tenant_id)
    return acts if principal.may_administer else acts.filter(asked_by_user_id=principal.user_pk, asked_by_user__isnull=False)


def find_act(principal: Principal, id: int) -> PendingAct:
    """Raises NotFound."""
    act = visible_acts(principal).filter(pk=id).first()
    if act is None:
        raise no_such_act(id)
    return act


def no_such_act(id: int) -> NotFound:
    return NotFound(f"There is no pending act {id}, or none that you may see.")


def may_ask(principal: Principal, kind: ActKind) -> bool:
    """May the principal do such a thing at all?"""
    if kind == ActKind.DUAL_CONTROL:
        return principal.may_administer
    return principal.may_erase if kind == ActKind.ERASURE else principal.may_manage_retention


def may_confirm(principal: Principal, kind: ActKind) -> bool:
    return principal.may_administer and may_ask(principal, kind)


def told(act: PendingAct) -> dict[str, Any]:
    """What an entry about an act says. Not whom it is about."""
    what = {name: value for name, value in act.what.items() if name != "subject"}
    found: dict[str, Any] = {"kind": str(act.kind), "what": what, "asked_by": act.asked_by}
    return found | ({"decided_by": act.decided_by} if act.decided_by else {})


def _locked(principal: Principal, id: int) -> PendingAct:
    """The act, for the rest of the transaction nobody else's to change. Raises NotFound."""
    act = visible_acts(principal).select_for_update(of=("self",)).filter(pk=id).first()
    if act is None:
        raise no_such_act(id)
    return act


def _end(act: PendingAct, state: ActState, outcome: str, now: datetime.datetime) -> None:
    act.state, act.outcome, act.finished_at = state, outcome, now
    # Who was to be erased is told by the erasure, as far as it may.
    act.what.pop("subject", None)
    act.save()
