"""Dead letters: looking again, and beginning anew with what was given up or arrived already."""

from __future__ import annotations

import datetime
import uuid

from django.db import transaction
from django.db.models import F

from accounts.problems import Fault, Invalid, NotFound
from logs.deliveries.notices import Notice, enqueue
from logs.deliveries.targets import no_such_target
from logs.deliveries.waking import wake
from logs.models import Delivery, DeliveryAttempt, DeliveryState, DeliveryTarget

# What came to an end is looked at for so long, then removed with its attempts.
KEPT_DAYS = 30
REMOVED_AT_ONCE = 5_000


def replay(tenant_id: uuid.UUID, id: uuid.UUID, now: datetime.datetime) -> Delivery:
    """Send a delivery that came to an end once more: a new series of attempts, under the same `webhook-id`. Raises NotFound or Invalid."""
    with transaction.atomic():
        delivery = Delivery.objects.select_for_update(of=("self",)).select_related("target").filter(tenant_id=tenant_id, pk=id).first()
        if delivery is None:
            raise no_such_delivery()
        if delivery.state == DeliveryState.WAITING:
            raise Invalid([Fault("", "waiting", "The delivery is on its way still.")])
        if not delivery.target.is_active:
            raise Invalid([Fault("", "switched_off", "The delivery's target is switched off: switch it on first.")])
        _begin_anew(delivery.target, [delivery.pk], now)
    delivery.refresh_from_db()
    return delivery


def replay_dead(tenant_id: uuid.UUID, target_id: int, now: datetime.datetime) -> int:
    """Send all dead letters of a target once more. Answers how many. Raises NotFound or Invalid."""
    with transaction.atomic():
        target = DeliveryTarget.objects.filter(tenant_id=tenant_id, pk=target_id).first()
        if target is None:
            raise no_such_target(target_id)
        if not target.is_active:
            raise Invalid([Fault("", "switched_off", "The target is switched off: switch it on first.")])
        dead = Delivery.objects.select_for_update().filter(target=target, state=DeliveryState.DEAD).values_list("pk", flat=True)
        return _begin_anew(target, list(dead), now)


def send_test(tenant_id: uuid.UUID, target_id: int, asked_by: str, now: datetime.datetime) -> Delivery:
    """Put a notice on its way that says nothing but that it is a test. Raises NotFound or Invalid."""
    message_id = f"test:{uuid.uuid4()}"
    with transaction.atomic():
        # Locked, or it might be switched off or deleted in between.
        target = DeliveryTarget.objects.select_for_update().filter(tenant_id=tenant_id, pk=target_id).first()
        if target is None:
            raise no_such_target(target_id)
        if not target.is_active:
            raise Invalid([Fault("", "switched_off", "The target is switched off: switch it on first.")])
        # Whoever tests does not want to wait for the end of a rest.
        DeliveryTarget.objects.filter(pk=target_id).update(failure_count=0, rests_until=None)
        enqueue(tenant_id, [target_id], Notice(message_id, "test", "A test", f"{asked_by} tests this target. There is nothing to do.", "INFO", now), now)
        return Delivery.objects.get(target_id=target_id, message_id=message_id)


def remove_old(now: datetime.datetime) -> int:
    """Remove what came to an end over KEPT_DAYS ago, and is recorded. Answers how many; a run that removes as many as it may is not the last."""
    old = Delivery.objects.filter(finished_at__lte=now - datetime.timedelta(days=KEPT_DAYS)).exclude(recorded_at=None)
    ids = list(old.values_list("pk", flat=True)[:REMOVED_AT_ONCE])
    DeliveryAttempt.objects.filter(delivery_id__in=ids).delete()
    return Delivery.objects.filter(pk__in=ids).exclude(state=DeliveryState.WAITING).delete()[0]


def no_such_delivery() -> NotFound:
    return NotFound("There is no such delivery.")


def _begin_anew(target: DeliveryTarget, ids: list[uuid.UUID], now: datetime.datetime) -> int:
    DeliveryTarget.objects.filter(pk=target.pk).update(failure_count=0, rests_until=None)
    count = Delivery.objects.filter(pk__in=ids).update(
        state=DeliveryState.WAITING, attempt_count=0, series=F("series") + 1, begun_at=now, next_attempt_at=now, finished_at=None, recorded_at=None
    )
    transaction.on_commit(lambda: wake(target.pk), robust=True)
    return count
