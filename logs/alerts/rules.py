"""Making, changing, muting and deleting alert rules. Whoever calls has made sure of the right to.

A rule counts from the present on. A change of what it counts, or switching it on, begins anew; a new name, severity, cool-down, schedule,
mute or target does not.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from django.db import IntegrityError, transaction

from accounts.problems import Fault, Invalid, NotFound
from accounts.versions import locked
from logs.alerts.conditions import Condition
from logs.alerts.definition import NewRule, check_rule, condition_of, quiet_of
from logs.integrity.storage import read_head
from logs.models import AlertCursor, AlertRule, DeliveryTarget
from logs.storage.reading import tenant_transaction

__all__ = ["NewRule", "change_rule", "check_rule", "create_rule", "delete_rule", "mute_rule"]
MAX_RULES = 1_000
MAX_MUTE = datetime.timedelta(days=366)
# With these, what was counted so far means something else.
_DEFINING = ("query", "condition", "group_by")


def create_rule(tenant_id: uuid.UUID, made_by: str, new: NewRule, now: datetime.datetime) -> AlertRule:
    """Keep a new rule. `made_by`: who asks, as `Principal.source` names them. Raises Invalid."""
    check_rule(new, now)
    try:
        with transaction.atomic():
            row = AlertRule(tenant_id=tenant_id, created_by=made_by, **_values_of(new))
            # Its lock makes requests come one after the other, or two at once would pass the limit together.
            _begin(row, now)
            if AlertRule.objects.filter(tenant_id=tenant_id).count() >= MAX_RULES:
                raise Invalid([Fault("", "too_many_alert_rules", f"There are {MAX_RULES} alert rules, and no more are kept. Delete one first.")])
            row.save()
            _set_targets(row, new.target_ids)
            return row
    except IntegrityError as error:
        raise _exists() from error


def change_rule(tenant_id: uuid.UUID, id: int, changes: Mapping[str, Any], etags: Collection[str] | None, now: datetime.datetime) -> AlertRule:
    """Change a rule, if it still has one of `etags` (None: whichever it has). `changes`: new values of NewRule's fields by name.

    Raises NotFound or Invalid.
    """
    try:
        with transaction.atomic():
            row = _locked(tenant_id, id, etags)
            if not changes:
                return row
            new = replace(new_rule_of(row), **changes)
            check_rule(new, now)
            values = _values_of(new)
            begins_anew = any(values[name] != getattr(row, name) for name in _DEFINING) or (new.is_active and not row.is_active)
            for name, value in values.items():
                setattr(row, name, value)
            if begins_anew:
                row.definition += 1
                _begin(row, now)
            row.version += 1
            row.save()
            if "target_ids" in changes:
                _set_targets(row, new.target_ids)
            return row
    except IntegrityError as error:
        raise _exists() from error


def mute_rule(tenant_id: uuid.UUID, id: int, until: datetime.datetime | None, etags: Collection[str] | None, now: datetime.datetime) -> AlertRule:
    """Make no alerts of it until then (None: make them again). It counts on meanwhile. Raises NotFound or Invalid."""
    check_mute(until, now)
    with transaction.atomic():
        row = _locked(tenant_id, id, etags)
        row.muted_until = until
        row.version += 1
        row.save()
        return row


def check_mute(until: datetime.datetime | None, now: datetime.datetime) -> None:
    """Raises Invalid for a time that no mute may end at."""
    if until is not None and not now - MAX_MUTE < until < now + MAX_MUTE:
        raise Invalid([Fault("/until", "out_of_range", f"A rule is muted for {MAX_MUTE.days} days at most.")])


def delete_rule(tenant_id: uuid.UUID, id: int, etags: Collection[str] | None) -> None:
    """Delete a rule, if it still has one of `etags` (None: whichever it has). Its alerts stay. Raises NotFound or ChangedMeanwhile."""
    with transaction.atomic():
        _locked(tenant_id, id, etags).delete()


def new_rule_of(row: AlertRule) -> NewRule:
    """What a rule says. Raises msgspec.ValidationError for one that nobody could have made."""
    return NewRule(
        name=row.name,
        query=row.query,
        condition=condition_of(row),
        group_by=tuple(row.group_by),
        severity=row.severity,
        cool_down_seconds=row.cool_down_seconds,
        schedule=quiet_of(row).schedule,
        is_active=row.is_active,
        description=row.description,
        target_ids=tuple(row.targets.order_by("pk").values_list("pk", flat=True)),
    )


def _values_of(new: NewRule) -> dict[str, Any]:
    """Columns of a rule."""
    condition: Condition = new.condition
    return {
        "name": new.name,
        "query": new.query,
        "condition": msgspec.to_builtins(condition),
        "group_by": list(new.group_by),
        "severity": new.severity,
        "cool_down_seconds": new.cool_down_seconds,
        "schedule": None if new.schedule is None else msgspec.to_builtins(new.schedule),
        "is_active": new.is_active,
        "description": new.description,
    }


def _set_targets(row: AlertRule, target_ids: Sequence[int]) -> None:
    """Have its alerts told to these targets. Raises Invalid for one that the tenant has not."""
    found = set(DeliveryTarget.objects.filter(tenant_id=row.tenant_id, pk__in=target_ids).values_list("pk", flat=True))
    if missing := [id for id in target_ids if id not in found]:
        raise Invalid([Fault("/target_ids", "unknown_value", f"There is no delivery target {missing[0]}.")])
    row.targets.set(found)


def _begin(row: AlertRule, now: datetime.datetime) -> None:
    """Have it count from the present on: from what has no position yet.

    The evaluator moves the cursor before it looks which rules there are. So what it commits before this transaction ends is not the rule's,
    and all that comes after it is: the lock says which.
    """
    AlertCursor.objects.get_or_create(tenant_id=row.tenant_id, defaults={"moved_at": now})
    AlertCursor.objects.select_for_update(no_key=True).get(tenant_id=row.tenant_id)
    with tenant_transaction(row.tenant_id) as database:
        head = read_head(database)
    row.begins_at = head.tree_size if head else 0
    row.began_at = now


def _locked(tenant_id: uuid.UUID, id: int, etags: Collection[str] | None) -> AlertRule:
    """The row, for the rest of the transaction nobody else's to change. Raises NotFound or ChangedMeanwhile."""
    return locked(AlertRule.objects.select_for_update(no_key=True).filter(tenant_id=tenant_id, pk=id), etags, no_such_rule(id))


def no_such_rule(id: int) -> NotFound:
    return NotFound(f"There is no alert rule {id}.")


def _exists() -> Invalid:
    return Invalid([Fault("/name", "exists", "There is an alert rule of this name already.")])
