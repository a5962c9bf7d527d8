"""Alert rules for tests, and their evaluator at a test's command."""

from __future__ import annotations

import datetime
from typing import Any

from accounts.models import Tenant
from logs.alerts import NewRule, create_rule
from logs.alerts.conditions import Condition
from logs.alerts.evaluating import AlertsFollower
from logs.models import Alert, AlertRule
from tests.sequencing import now, sequence_all
from tests.storing import store

MAX_STEPS = 200


def new_rule(tenant: Tenant, query: str = "", condition: Condition | None = None, **fields: Any) -> AlertRule:
    """A rule without a cool-down, unless `fields` say otherwise."""
    usual: dict[str, Any] = {"name": f"rule {AlertRule.objects.filter(tenant=tenant).count()}", "cool_down_seconds": 0}
    fields = usual | fields
    if condition is not None:
        fields["condition"] = condition
    return create_rule(tenant.id, "user:root", NewRule(query=query, **fields), now())


def post(tenant: Tenant, *entries: dict[str, Any]) -> list[str]:
    """Commit entries, each a batch of its own, so that their order is theirs, and give them positions. Answers their ids."""
    ids = [id for entry in entries for id in store(tenant, [entry])]
    sequence_all()
    return ids


def run_to_end(follower: AlertsFollower) -> None:
    for _ in range(MAX_STEPS):
        if not follower.step():
            return
    raise AssertionError("the follower comes to no end")


def evaluate(tenant: Tenant, at: datetime.datetime | None = None) -> None:
    """Evaluate all that there is, as a process that has just started; its clock stands at `at`."""
    run_to_end(AlertsFollower(tenant.id, now if at is None else lambda: at))


def fired(tenant: Tenant) -> list[tuple[str, dict[str, str], int]]:
    """Rule, group and count of each alert, in the order of firing."""
    return list(Alert.objects.filter(tenant=tenant).order_by("pk").values_list("rule_name", "group", "count"))
