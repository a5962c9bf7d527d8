"""Telling people of alerts: to each rule's targets, with the alert, in one transaction."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Sequence

from logs.deliveries import Notice, enqueue
from logs.models import Alert, AlertRule


def tell(alerts: Sequence[Alert], now: datetime.datetime) -> None:
    """Put the notices of new alerts on their way, in the caller's transaction. Told twice, an alert is told once."""
    wanted: dict[int, list[int]] = defaultdict(list)
    of_rules = AlertRule.targets.through.objects.filter(alertrule_id__in={alert.rule_id for alert in alerts})
    for rule_id, target_id in of_rules.values_list("alertrule_id", "deliverytarget_id"):
        wanted[rule_id].append(target_id)
    for alert in alerts:
        if alert.rule_id is not None and wanted[alert.rule_id]:
            enqueue(alert.tenant_id, wanted[alert.rule_id], notice_of(alert), now)


def notice_of(alert: Alert) -> Notice:
    """What is told of an alert. Of entries their ids alone: whoever may read them looks them up."""
    of_whom = ", ".join(f"{field}={value}" for field, value in alert.group.items())
    what = f"{alert.count} {'entry' if alert.count == 1 else 'entries'}" if alert.count else "No entry"
    lines = [f"{what}{' of ' + of_whom if of_whom else ''}, at {alert.occurred_at:%Y-%m-%d %H:%M:%S} UTC."]
    if alert.suppressed_count:
        lines.append(f"{alert.suppressed_count} more of its kind were not told meanwhile.")
    if alert.entry_ids:
        lines.append("Entries: " + ", ".join(str(id) for id in alert.entry_ids))
    data = {
        "alert_id": alert.pk,
        "rule_id": alert.rule_id,
        "rule": alert.rule_name,
        "group": alert.group,
        "count": alert.count,
        "suppressed_count": alert.suppressed_count,
        "occurred_at": alert.occurred_at.isoformat(),
        "positions": list(alert.positions),
        "entry_ids": [str(id) for id in alert.entry_ids],
    }
    return Notice(f"alert:{alert.pk}", "alert.fired", alert.rule_name, "\n".join(lines), alert.severity, alert.fired_at, data)
