"""Clean-ups on record: asked for, taken by a worker, ended.

Invariants:
- A clean-up is carried on by whoever took it from `queued`, or from a worker that has not said for STALE_AFTER that it lives. Two that
  carry on the same purge nothing twice, for what is gone is not found again.
- Times that are compared are the database's.
"""

from __future__ import annotations

import datetime
import uuid

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from accounts.principals import Principal
from accounts.problems import NotFound
from archival.cleanups.asking import CleanupQuestion, count
from archival.cleanups.confirming import as_json
from archival.dual_control.acts import Asker, ask
from archival.dual_control.settings import needs_second
from archival.errors import MoreThanConfirmed
from archival.models import ActKind, Cleanup, CleanupState, PendingAct
from logs.export.jobs import new_id

STALE_AFTER = datetime.timedelta(minutes=5)
RETRY_AFTER = datetime.timedelta(seconds=30)
MAX_ATTEMPTS = 5


def ask_cleanup(asker: Asker, principal: Principal, question: CleanupQuestion, confirmed: int, now: datetime.datetime) -> Cleanup | PendingAct:
    """Put a clean-up on record, or where that needs a second Admin, ask for it. Raises MoreThanConfirmed, TooExpensive or NotAllowed."""
    found = count(question, principal)
    if found.entries > confirmed:
        raise MoreThanConfirmed(confirmed, found.entries)
    with transaction.atomic():
        if needs_second(principal.tenant_id, ActKind.CLEANUP):
            return ask(asker, ActKind.CLEANUP, {"question": as_json(question), "entries": confirmed}, "", now)
        return put_on_record(principal, question, confirmed, now)


def put_on_record(principal: Principal, question: CleanupQuestion, confirmed: int, now: datetime.datetime) -> Cleanup:
    return Cleanup.objects.create(
        id=new_id(now),
        tenant_id=principal.tenant_id,
        asked_by=principal.source,
        asked_by_user_id=principal.user_pk,
        query=question.query,
        dry_run_at=question.now,
        before=question.before,
        policy=question.policy,
        entries_expected=confirmed,
        created_at=now,
    )


def visible_cleanups(principal: Principal) -> QuerySet[Cleanup]:
    """The clean-ups of the principal's tenant, newest first."""
    return Cleanup.objects.filter(tenant_id=principal.tenant_id).order_by("-id")


def find_cleanup(principal: Principal, text: str) -> Cleanup:
    """Raises NotFound."""
    try:
        cleanup = visible_cleanups(principal).filter(pk=uuid.UUID(text)).first()
    except ValueError:
        cleanup = None
    if cleanup is None:
        raise NotFound(f"There is no clean-up {text}, or none that you may see.")
    return cleanup


def take(id: uuid.UUID) -> Cleanup | None:
    """The clean-up, to be carried on by whoever calls; None if it is over or in good hands."""
    taken = Cleanup.objects.filter(_is_free(), pk=id).update(state=CleanupState.RUNNING, attempts=F("attempts") + 1, heartbeat_at=Now(), error="")
    return Cleanup.objects.get(pk=id) if taken else None


def due() -> list[uuid.UUID]:
    """The clean-ups that nobody carries on, oldest first."""
    return list(Cleanup.objects.filter(_is_free()).order_by("id").values_list("id", flat=True))


def _is_free() -> Q:
    waits = Q(state=CleanupState.QUEUED) & (Q(heartbeat_at=None) | Q(heartbeat_at__lte=Now() - RETRY_AFTER))
    return waits | Q(state=CleanupState.RUNNING, heartbeat_at__lte=Now() - STALE_AFTER)
