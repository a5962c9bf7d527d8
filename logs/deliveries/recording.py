"""What became of a delivery is an entry of its tenant's log: made after it is committed, and tried until it is stored. Stored twice, it is one."""

from __future__ import annotations

import datetime
import logging
import uuid

from accounts import extensions
from accounts.deeds import Deed
from accounts.extensions import Record
from accounts.problems import NotRecorded
from logs.models import Delivery, DeliveryState

logger = logging.getLogger(__name__)
DELIVERY = "audit_log_delivery"
TARGET = "audit_log_delivery_target"
DELIVER = Deed("DELIVER", DELIVERY)
AT_ONCE = 100


def record_finished(tenant_id: uuid.UUID, now: datetime.datetime) -> None:
    """Make the entries of deliveries that came to an end and have none. What can't be recorded now is by the next sender, or the tending task."""
    rows = Delivery.objects.filter(tenant_id=tenant_id, recorded_at=None).exclude(finished_at=None).select_related("target").order_by("finished_at")[:AT_ONCE]
    for delivery in rows:
        try:
            extensions.record_all([_record_of(delivery)])
        except NotRecorded as problem:
            logger.warning("the end of delivery %s is not recorded yet: %s", delivery.pk, problem)
            return
        Delivery.objects.filter(pk=delivery.pk, series=delivery.series).update(recorded_at=now)


def unrecorded_tenants() -> list[uuid.UUID]:
    """Tenants with deliveries that came to an end and have no entry."""
    return list(Delivery.objects.filter(recorded_at=None).exclude(finished_at=None).values_list("tenant_id", flat=True).distinct())


def _record_of(delivery: Delivery) -> Record:
    """The record of a delivery's end: the same whenever it is made. Its address is named by the host alone."""
    target = delivery.target
    told = {
        "target": target.name,
        "kind": target.kind,
        "host": target.host,
        "type": delivery.type,
        "message": delivery.message_id,
        "attempts": delivery.attempt_count,
    }
    return Record(
        delivery.tenant_id,
        "auditlog",
        DELIVER,
        "success" if delivery.state == DeliveryState.DELIVERED else "failure",
        str(delivery.pk),
        told,
        idempotency_key=f"delivery:{delivery.pk}:{delivery.series}",
        at=delivery.finished_at,
    )
