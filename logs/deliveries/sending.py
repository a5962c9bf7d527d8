"""Sending what is due to one target, oldest first, one at a time.

Invariants:
- A target is one sender's at a time: it claims the row for CLAIM_SECONDS, longer than one attempt can take, and renews that before each.
  A sender that dies leaves a claim that ends by itself.
- An attempt and what comes of it are committed together, after the call. A sender that dies in between has called without a trace: the
  delivery is tried again, under the same `webhook-id`. So everything arrives at least once.
- A tenant's targets take SENDERS_OF_A_TENANT places of the senders' at a time, or a few more if they ask at the same moment: one that has many
  that hang, and tests or replays them over and over, leaves the other places to other tenants.
- A target that fails rests, longer each time, and with it all that waits for it: it costs one attempt for each rest, however much waits.
"""

from __future__ import annotations

import datetime
import logging
import random
import time
import uuid
from collections.abc import Callable

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet

from logs.deliveries.channels import TIMEOUT_SECONDS, Tried, attempt
from logs.deliveries.recording import record_finished
from logs.deliveries.retrying import MAX_AGE, MAX_ATTEMPTS, delay_seconds
from logs.deliveries.waking import wake
from logs.models import Delivery, DeliveryAttempt, DeliveryState, DeliveryTarget

logger = logging.getLogger(__name__)
CLAIM_SECONDS = 6 * TIMEOUT_SECONDS
# After so long a sender gives its place to another target's.
TURN_SECONDS = 30.0
# Of the places that the senders have together (`auditlog_project.embedded.serving`: 16).
SENDERS_OF_A_TENANT = 4
Clock = Callable[[], datetime.datetime]


def now_utc() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def send(target_id: int, clock: Clock = now_utc) -> int:
    """Send what is due to the target, for TURN_SECONDS at most. Answers how many attempts were made.

    0 if another sender has the target, or others of its tenant's take its places.
    """
    claim, attempts, began = uuid.uuid4(), 0, time.monotonic()
    target = _claimed(target_id, claim, clock())
    if target is None:
        return 0
    try:
        while target.is_active and (delivery := _next_due(target, clock())) is not None:
            if time.monotonic() - began > TURN_SECONDS:
                break
            if not _renew(target, claim, clock()):
                return attempts
            started_at, started = clock(), time.monotonic()
            # To the pool: a thread that waits for somebody else's server holds no connection.
            connection.close()
            tried = attempt(target, delivery, started_at)
            attempts += 1
            _keep(target, delivery, tried, started_at, int((time.monotonic() - started) * 1000), clock())
            target.refresh_from_db()
    finally:
        DeliveryTarget.objects.filter(pk=target_id, claim=claim).update(claim=None, claimed_until=None)
    _come_back(target, clock())
    _give_place(target, clock())
    record_finished(target.tenant_id, clock())
    return attempts


def _ready(now: datetime.datetime) -> QuerySet[DeliveryTarget]:
    """The targets to which something may be sent: nobody has them, they do not rest, and they are switched on."""
    free = Q(claimed_until=None) | Q(claimed_until__lte=now)
    awake = Q(rests_until=None) | Q(rests_until__lte=now)
    return DeliveryTarget.objects.filter(free, awake, is_active=True, tenant__is_active=True)


def _claimed(target_id: int, claim: uuid.UUID, now: datetime.datetime) -> DeliveryTarget | None:
    """The target, claimed; None if somebody else has it, it rests, or it is switched off."""
    rows = _ready(now).filter(pk=target_id)
    tenant_id = rows.values_list("tenant_id", flat=True).first()
    if tenant_id is None or DeliveryTarget.objects.filter(tenant_id=tenant_id, claimed_until__gt=now).count() >= SENDERS_OF_A_TENANT:
        return None
    if not rows.update(claim=claim, claimed_until=now + datetime.timedelta(seconds=CLAIM_SECONDS)):
        return None
    return DeliveryTarget.objects.select_related("tenant").filter(pk=target_id, claim=claim).first()


def _renew(target: DeliveryTarget, claim: uuid.UUID, now: datetime.datetime) -> bool:
    until = now + datetime.timedelta(seconds=CLAIM_SECONDS)
    return bool(DeliveryTarget.objects.filter(pk=target.pk, claim=claim).update(claimed_until=until))


def _next_due(target: DeliveryTarget, now: datetime.datetime) -> Delivery | None:
    if target.rests_until is not None and target.rests_until > now:
        return None
    return Delivery.objects.filter(target=target, state=DeliveryState.WAITING, next_attempt_at__lte=now).order_by("next_attempt_at", "created_at").first()


def _keep(target: DeliveryTarget, delivery: Delivery, tried: Tried, started_at: datetime.datetime, duration_ms: int, now: datetime.datetime) -> None:
    """Commit an attempt and what follows from it."""
    count = delivery.attempt_count + 1
    with transaction.atomic():
        # In the order in which everybody takes them: the target first.
        rows = DeliveryTarget.objects.filter(pk=target.pk)
        # Only of the series that was tried: it may have been replayed meanwhile.
        mine = Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.WAITING, series=delivery.series)
        if tried.is_success:
            rows.update(failure_count=0, rests_until=None)
            mine.update(state=DeliveryState.DELIVERED, attempt_count=count, next_attempt_at=None, finished_at=now, recorded_at=None)
        else:
            rows.update(failure_count=F("failure_count") + 1, rests_until=_after(now, target.failure_count + 1, tried))
            if tried.is_gone:
                rows.update(is_active=False, stopped_because="The receiver answered 410 Gone: it wants no more calls.", version=F("version") + 1)
            if tried.is_gone or count >= MAX_ATTEMPTS:
                mine.update(state=DeliveryState.DEAD, attempt_count=count, next_attempt_at=None, finished_at=now, recorded_at=None)
            else:
                mine.update(attempt_count=count, next_attempt_at=_after(now, count, tried))
        DeliveryAttempt.objects.create(
            delivery=delivery,
            series=delivery.series,
            started_at=started_at,
            duration_ms=duration_ms,
            is_success=tried.is_success,
            status_code=tried.status_code,
            error=tried.error,
            answer=tried.answer,
        )


def _after(now: datetime.datetime, failures: int, tried: Tried) -> datetime.datetime:
    """When to try again after so many failures in a row."""
    scatter = random.random()  # noqa: S311  # nosec B311  # scatters, hides nothing
    return now + datetime.timedelta(seconds=delay_seconds(failures, scatter, tried.asked_seconds))


def _come_back(target: DeliveryTarget, now: datetime.datetime) -> None:
    """Have the next attempt made when it is due."""
    waiting = Delivery.objects.filter(target=target, state=DeliveryState.WAITING).order_by("next_attempt_at").values_list("next_attempt_at", flat=True).first()
    if waiting is None or not target.is_active:
        return
    at = max(waiting, target.rests_until or waiting)
    wake(target.pk, max(0.0, (at - now).total_seconds()))


def _give_place(target: DeliveryTarget, now: datetime.datetime) -> None:
    """Have another target of the tenant's sent to, if one is due: it may have found the tenant's places taken."""
    others = [id for id in due_targets(now, target.tenant_id) if id != target.pk]
    if others:
        wake(random.choice(others))  # noqa: S311  # nosec B311  # scatters, hides nothing


def due_targets(now: datetime.datetime, tenant_id: uuid.UUID | None = None) -> list[int]:
    """The targets (of one tenant, or of all) to which something is to be sent now, and that are nobody's."""
    due = Delivery.objects.filter(state=DeliveryState.WAITING, next_attempt_at__lte=now).values("target_id")
    rows = _ready(now).filter(pk__in=due)
    if tenant_id is not None:
        rows = rows.filter(tenant_id=tenant_id)
    return list(rows.values_list("pk", flat=True))


def give_up_old(now: datetime.datetime) -> int:
    """Make dead letters of what waits for longer than MAX_AGE, tried or not: its target failed all the while, or is switched off. Answers how many."""
    old = Delivery.objects.filter(state=DeliveryState.WAITING, begun_at__lte=now - MAX_AGE)
    return old.update(state=DeliveryState.DEAD, next_attempt_at=None, finished_at=now, recorded_at=None)
