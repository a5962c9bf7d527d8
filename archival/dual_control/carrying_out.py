"""Carrying out what was confirmed, once its waiting time is over: with the rights that both persons have at that moment.

Invariants:
- What is done and the end of the act are one transaction, but for an erasure: that decides by itself and goes on by itself, and asking for
  it once more after a crash finds the one that goes on, or nothing new to destroy.
- What can't be done any more (a hold, a changed policy, a lost right) ends the act as failed, with the reason. What may pass leaves it to
  the next run.
"""

from __future__ import annotations

import datetime
import functools
import logging
from collections.abc import Callable
from typing import TypeAlias

from django.db import transaction

from accounts.deeds import Deed
from accounts.extensions import record
from accounts.principals import Principal
from accounts.problems import NotAllowed, Refused
from accounts.standing import of_now
from archival import holds
from archival.cleanups.confirming import from_json
from archival.cleanups.jobs import put_on_record
from archival.cleanups.running import CLEAN_UP
from archival.cleanups.tasks import send_cleanup
from archival.dual_control.acts import NOWHERE, Asker, finish, may_ask, may_confirm, told
from archival.dual_control.changing import change_dual_control
from archival.models import ActKind, ActState, PendingAct
from archival.retention.changing import PolicyChange, change_policies
from logs.erasure import NewErasure, erase
from logs.models import Erasure

logger = logging.getLogger(__name__)
# Does what an act says, in the name of its asker. Answers what to say of it: the id of what was made or changed.
Deal: TypeAlias = Callable[[PendingAct, Asker, datetime.datetime], str]


def carry_out(id: int, now: datetime.datetime) -> None:
    """Do what was confirmed, if its time has come. However that goes is on record; raises what may pass: DatabaseError, Unavailable."""
    act = PendingAct.objects.filter(pk=id, state=ActState.CONFIRMED, not_before__lte=now).first()
    if act is None:
        return
    try:
        asker = _asker_of(act)
        if act.kind == ActKind.ERASURE:
            outcome = _erase(act, asker)
            _finish(act, ActState.DONE, outcome, now)
        else:
            _do(act, asker, now)
    except Refused as problem:
        _finish(act, ActState.FAILED, problem.detail, now)


def due(now: datetime.datetime) -> list[int]:
    """The acts whose time has come, oldest first."""
    return list(PendingAct.objects.filter(state=ActState.CONFIRMED, not_before__lte=now).order_by("id").values_list("id", flat=True))


def carry_out_all(now: datetime.datetime) -> None:
    """Do everything whose time has come."""
    for id in due(now):
        carry_out_quietly(id, now)


def carry_out_quietly(id: int, now: datetime.datetime) -> None:
    """As `carry_out`; what goes wrong is logged, and left to the next run: the others are to be carried out all the same."""
    try:
        carry_out(id, now)
    except Exception:
        logger.exception("pending act %d can't be carried out now", id)


def _do(act: PendingAct, asker: Asker, now: datetime.datetime) -> None:
    with transaction.atomic():
        locked = PendingAct.objects.select_for_update(of=("self",)).filter(pk=act.pk, state=ActState.CONFIRMED).first()
        if locked is not None:
            finish(locked, ActState.DONE, _DEALS[ActKind(act.kind)](locked, asker, now), now)


def _finish(act: PendingAct, state: ActState, outcome: str, now: datetime.datetime) -> None:
    with transaction.atomic():
        locked = PendingAct.objects.select_for_update(of=("self",)).filter(pk=act.pk, state=ActState.CONFIRMED).first()
        if locked is not None:
            finish(locked, state, outcome, now)


def _asker_of(act: PendingAct) -> Asker:
    """Who asked, with the rights of now. Raises NotAllowed if they, or who confirmed it, have lost theirs."""
    kind = ActKind(act.kind)
    principal = _member(act, act.asked_by, act.asked_by_user_id)
    second = _member(act, act.decided_by, act.decided_by_user_id)
    if principal is None or not may_ask(principal, kind):
        raise NotAllowed("Whoever asked for it may not do it any more.")
    if second is None or not may_confirm(second, kind):
        raise NotAllowed("Whoever confirmed it may not confirm it any more.")
    return Asker(act.tenant_id, principal.source, principal, NOWHERE)


def _member(act: PendingAct, source: str, user_pk: int | None) -> Principal | None:
    return None if user_pk is None else of_now(act.tenant_id, source, user_pk)


def _erase(act: PendingAct, asker: Asker) -> str:
    if asker.principal is None:
        raise NotAllowed("Whoever asked for it may not do it any more.")
    erasure = erase(asker.principal, NewErasure(act.what["subject"], act.reason, asker.whence), is_confirmed=True)
    return str(erasure.id) if isinstance(erasure, Erasure) else ""


def _release(act: PendingAct, asker: Asker, now: datetime.datetime) -> str:
    hold = holds.release_hold(act.tenant_id, act.what["hold"], asker.source, act.reason, now)
    _record(act, asker, Deed("RELEASE", holds.RETENTION), f"hold-{hold.pk}", reason=act.reason)
    return f"hold-{hold.pk}"


def _change_policies(act: PendingAct, asker: Asker, now: datetime.datetime) -> str:
    change = PolicyChange(**act.what)
    # Two people have looked at it by now.
    row = change_policies(asker, change, now, is_confirmed=True)
    name = "policies" if change.step == "order" else f"policy-{change.id if row is None else row.pk}"
    actions = {"add": "CREATE", "change": "UPDATE", "delete": "DELETE", "order": "UPDATE"}
    _record(act, asker, Deed(actions[change.step], holds.RETENTION), name)
    return name


def _change_dual_control(act: PendingAct, asker: Asker, now: datetime.datetime) -> str:
    change_dual_control(asker, act.what["values"], None, now, is_confirmed=True)
    _record(act, asker, Deed("UPDATE", holds.RETENTION), "dual-control")
    return "dual-control"


def _clean_up(act: PendingAct, asker: Asker, now: datetime.datetime) -> str:
    if asker.principal is None:
        raise NotAllowed("Whoever asked for it may not do it any more.")
    cleanup = put_on_record(asker.principal, from_json(act.what["question"]), act.what["entries"], now)
    transaction.on_commit(functools.partial(send_cleanup, cleanup.pk), robust=True)
    name = f"cleanup-{cleanup.pk}"
    _record(act, asker, CLEAN_UP, name, phase="asked")
    return name


_DEALS: dict[ActKind, Deal] = {
    ActKind.CLEANUP: _clean_up,
    ActKind.RELEASE: _release,
    ActKind.POLICY: _change_policies,
    ActKind.DUAL_CONTROL: _change_dual_control,
}


def _record(act: PendingAct, asker: Asker, deed: Deed, resource_id: str, **more: str) -> None:
    """The entry of the deed itself, in the words of the API's. Raises NotRecorded."""
    metadata = {"pending_act": act.pk} | told(act) | more
    record(act.tenant_id, deed, actor=asker.principal or asker.source, resource_id=resource_id, metadata=metadata)
