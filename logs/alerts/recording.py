"""Every alert is an entry of its tenant's log: made after the alert is committed, and tried until it is stored. Stored twice, it is one."""

from __future__ import annotations

import datetime
import uuid
from typing import Any, cast

from accounts import extensions
from accounts.deeds import Deed
from accounts.extensions import Record, Severity
from accounts.problems import NotRecorded
from logs.models import Alert

ALERT = "audit_log_alert"
FIRE = Deed("FIRE", ALERT)
AT_ONCE = 100


def record_fired(tenant_id: uuid.UUID, now: datetime.datetime) -> bool:
    """Make the entries of alerts that have none yet. Answers whether there may be more of them. Raises NotRecorded for those that can't be."""
    alerts = list(Alert.objects.filter(tenant_id=tenant_id, recorded_at=None).order_by("pk")[:AT_ONCE])
    if not alerts:
        return False
    # Each by itself, committed together: one that can't be stored leaves the others alone.
    recordings = [(alert.pk, extensions.submit([_record_of(alert)])) for alert in alerts]
    problems: dict[int, NotRecorded | None] = {id: recording.wait() for id, recording in recordings}
    Alert.objects.filter(pk__in=[id for id, problem in problems.items() if problem is None]).update(recorded_at=now)
    for problem in problems.values():
        if problem is not None:
            raise problem
    return len(alerts) == AT_ONCE


def _record_of(alert: Alert) -> Record:
    """The record of an alert: the same whenever it is made."""
    told: dict[str, Any] = {
        "rule": alert.rule_name,
        "group": alert.group,
        "count": alert.count,
        "suppressed": alert.suppressed_count,
        "occurred_at": alert.occurred_at.isoformat(),
        "entries": [str(id) for id in alert.entry_ids],
    }
    return Record(
        alert.tenant_id,
        "auditlog",
        FIRE,
        "success",
        str(alert.pk),
        told,
        severity=cast("Severity", alert.severity),
        idempotency_key=f"alert:{alert.pk}",
        at=alert.fired_at,
    )
