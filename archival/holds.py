"""Placing and releasing legal holds, and what they keep from being erased.

Invariants:
- A hold is placed, and an erasure decided, one after the other (DECIDE_ERASURE, by tenant): an erasure that begins after a hold was
  placed sees it.
- A hold is released once, and never changed otherwise.
"""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from accounts.principals import Principal
from accounts.problems import Fault, Invalid, NotFound
from archival.dual_control.acts import Asker, ask
from archival.dual_control.settings import needs_second
from archival.models import ActKind, HeldThing, LegalHold, PendingAct
from logs.errors import ArchiveUnavailable, InvalidQuery, TooExpensive
from logs.search.qualifiers import Reader
from logs.storage.locks import lock_erasures
from logs.subjects import is_any_about

# A hold's reason is told in the entry of the act and to whoever asks for an erasure in vain.
MIN_REASON_LENGTH, MAX_REASON_LENGTH = 10, 2000
# What entries about holds are about.
RETENTION = "audit_log_retention"


@dataclass(frozen=True)
class NewHold:
    """What is to be held. Of `query` and `subject` the one that `holds` names is given."""

    holds: HeldThing
    reason: str
    query: str = ""
    subject: str = ""
    until: datetime.datetime | None = None


def visible_holds(principal: Principal) -> QuerySet[LegalHold]:
    """The holds of the principal's tenant, newest first."""
    return LegalHold.objects.filter(tenant_id=principal.tenant_id).order_by("-id")


def check_hold(hold: NewHold, now: datetime.datetime) -> None:
    """Raises Invalid for a hold that can't be placed."""
    faults = []
    for name in (HeldThing.QUERY, HeldThing.SUBJECT):
        given, needed = bool(getattr(hold, name).strip()), hold.holds == name
        if needed and not given:
            faults.append(Fault(f"/{name}", "missing_field", f"A hold on a {name} has to say which: {name}."))
        if given and not needed:
            faults.append(Fault(f"/{name}", "not_held", f"This hold is on the {hold.holds}: leave {name} out, or say `holds`: {name!r}."))
    if hold.until is not None and hold.until <= now:
        faults.append(Fault("/until", "in_the_past", "`until` has to be in the future."))
    if faults:
        raise Invalid(faults)
    if hold.holds == HeldThing.QUERY:
        try:
            Reader(now).tree(hold.query)
        except InvalidQuery as problem:
            raise Invalid([Fault("/query", fault.code, fault.detail, fault.column) for fault in problem.faults]) from problem


def place_hold(tenant_id: uuid.UUID, placed_by: str, hold: NewHold, now: datetime.datetime) -> LegalHold:
    """Place a hold. Raises Invalid."""
    check_hold(hold, now)
    with transaction.atomic():
        lock_erasures(tenant_id)
        return LegalHold.objects.create(
            tenant_id=tenant_id,
            holds=hold.holds,
            query=hold.query,
            subject=hold.subject,
            reason=hold.reason,
            placed_by=placed_by,
            placed_at=now,
            until=hold.until,
        )


def release_hold(tenant_id: uuid.UUID, id: int, released_by: str, reason: str, now: datetime.datetime) -> LegalHold:
    """Release a hold; one that is released already stays as it was. Raises NotFound."""
    with transaction.atomic():
        hold = LegalHold.objects.select_for_update().filter(tenant_id=tenant_id, pk=id).first()
        if hold is None:
            raise NotFound(f"There is no legal hold {id}, or none that you may see.")
        if hold.is_active:
            hold.released_by, hold.released_at, hold.release_reason = released_by, now, reason
            hold.save(update_fields=["released_by", "released_at", "release_reason"])
    return hold


def release(asker: Asker, id: int, reason: str, now: datetime.datetime) -> LegalHold | PendingAct:
    """Release a hold, or where that needs a second Admin, ask for it. Raises NotFound or NotAllowed."""
    with transaction.atomic():
        hold = LegalHold.objects.select_for_update().filter(tenant_id=asker.tenant_id, pk=id).first()
        if hold is not None and hold.is_active and needs_second(asker.tenant_id, ActKind.RELEASE):
            return ask(asker, ActKind.RELEASE, {"hold": id}, reason, now)
        return release_hold(asker.tenant_id, id, asker.source, reason, now)


def reason_to_keep(tenant_id: uuid.UUID, subject: str, cursor: Any) -> str | None:
    """The guard of erasures: which active hold keeps the subject. One that can't be judged in time keeps everybody."""
    # Those that need no search first.
    active = sorted(LegalHold.objects.filter(tenant_id=tenant_id, released_at=None), key=lambda hold: (hold.holds == HeldThing.QUERY, hold.pk))
    for hold in active:
        if hold.holds == HeldThing.TENANT:
            return f"The legal hold {hold.pk} is on the whole log."
        if hold.holds == HeldThing.SUBJECT and hold.subject == subject:
            return f"The legal hold {hold.pk} is on this subject."
        if hold.holds == HeldThing.QUERY:
            try:
                if is_any_about(cursor, tenant_id, subject, Reader(hold.placed_at).tree(hold.query)):
                    return f"The legal hold {hold.pk} is on entries of this subject."
            except (TooExpensive, InvalidQuery):
                return f"Whether the legal hold {hold.pk} is on entries of this subject can't be told in the time that a search may take."
            except ArchiveUnavailable:
                return f"Whether the legal hold {hold.pk} is on entries of this subject can't be told while the archive can't be read."
    return None
