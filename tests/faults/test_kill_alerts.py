"""`kill -9` of two evaluators of the same rules at any moment: each entry counts once, and each alert is one entry."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from logs.alerts.conditions import Threshold
from logs.alerts.quieting import MAX_ALERTS_PER_HOUR
from logs.models import Alert, AlertCursor, AlertProgress
from tests.alerting import new_rule
from tests.api import LOGS, Api
from tests.sequencing import sequence_all
from tests.storing import new_key, new_tenant, store
from tests.web import CHECKOUT, product_environment, wait_until

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).with_name("alerts_process.py")
USERS, ENTRIES, ROUNDS = 20, 2_000, 4


def test_evaluators_killed_at_any_moment_count_each_entry_once() -> None:
    tenant, moments = new_tenant(), random.Random(20260131)
    rule = new_rule(tenant, "action:LOGIN_FAILED", Threshold(50, 3600), group_by=("user_id",), name="fifty")
    each = new_rule(tenant, "action:LOGIN_FAILED", name="each")
    store(tenant, [{"action": "LOGIN_FAILED", "user_id": f"user {index % USERS}"} for index in range(ENTRIES)])
    sequence_all()

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, str(PROGRAM), str(tenant.id)]
        environment = product_environment(PYTHONPATH=str(CHECKOUT))
        return subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def position() -> int:
        return int(AlertCursor.objects.get(tenant=tenant).position)

    processes = [start(), start()]
    try:
        for number in range(ROUNDS):
            before = position()
            wait_until(lambda before=before: position() > before or position() >= ENTRIES - 1, "somebody evaluates")  # type: ignore[misc]
            time.sleep(moments.random() * 0.2)
            processes[number % 2].kill()
            processes[number % 2].wait()
            processes[number % 2] = start()
        wait_until(lambda: position() >= ENTRIES - 1 and not Alert.objects.filter(tenant=tenant, recorded_at=None).exists(), "everything is evaluated")
    finally:
        for process in processes:
            process.kill()
            process.wait()
    progress = {one.rule_id: one for one in AlertProgress.objects.filter(rule__tenant=tenant)}
    assert progress[rule.pk].match_count == progress[each.pk].match_count == ENTRIES
    alerts = Alert.objects.filter(tenant=tenant)
    # Each user's entries are every twentieth: the fiftieth of each makes an alert, and the hundredth.
    fifty = sorted(alerts.filter(rule=rule).values_list("positions__19", flat=True))
    assert fifty == [number for number in range(ENTRIES) if (number // USERS) % 50 == 49]
    assert alerts.filter(rule=each).count() == progress[each.pk].alert_count == MAX_ALERTS_PER_HOUR
    assert progress[each.pk].suppressed_count == ENTRIES - MAX_ALERTS_PER_HOUR
    sequence_all()
    found = Api(new_key(tenant)).get(LOGS, q="resource_type:audit_log_alert", limit=1000).json()["results"]
    assert sorted(entry["resource_id"] for entry in found) == sorted(str(alert.pk) for alert in alerts)
