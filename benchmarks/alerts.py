"""`alerts`: how many entries a second one evaluator takes through 1, 10, 100 and 1,000 rules of a tenant, by what their queries ask for.

Held against reading the same entries with no rule at all (the limit).
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.product import Installation, check_that_all_are_stored, installation, product_server, run_program, sequencer
from benchmarks.report import CHECKOUT, Report, Target
from benchmarks.rows import application_entries, bulk_bodies, current_second, stamped

SEED = 27
BATCH = 1000
TARGETS = {
    # What one machine is to take in all the time (docs: "Load"), with as many rules as a careful team has.
    "entries_per_s.by_user.100": Target(least=1_000),
}
# Run within the product: rules count from the first entry on, the evaluator runs to the end, and its seconds are printed.
_EVALUATE = """
import datetime, json, random, time, uuid
from logs.alerts import NewRule, create_rule
from logs.alerts.conditions import Threshold
from logs.alerts.evaluating import CHUNK_POSITIONS, AlertsFollower
from logs.alerts.reading import read_chunk
from logs.models import AlertCursor, AlertRule
from logs.streaming.reading import tree_size_of

tenant, counts = uuid.UUID({tenant_id!r}), {counts!r}
size, now = tree_size_of(tenant), datetime.datetime.now(datetime.UTC)
actions = ["CREATE", "UPDATE", "DELETE", "LOGIN", "READ"]
queries = {{
    "by_action": lambda number: f"action:{{actions[number % len(actions)]}} user:user{{number}}",
    "by_user": lambda number: f"user:user{{number}}* severity:>=WARNING",
    "by_words": lambda number: f"word{{number}} OR timeout",
    "that_match": lambda number: f"action:{{actions[number % len(actions)]}}",
}}

def seconds_of(work):
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun

def read():
    end = -1
    while end < size - 1:
        end = read_chunk(tenant, end, CHUNK_POSITIONS, now).end

def evaluate():
    follower = AlertsFollower(tenant)
    while AlertCursor.objects.get(tenant_id=tenant).position < size - 1:
        follower.step()

found = {{"read": size / seconds_of(read)}}
for kind, query in queries.items():
    found[kind] = {{}}
    for count in counts:
        AlertRule.objects.filter(tenant_id=tenant).delete()
        for number in range(count):
            create_rule(tenant, "", NewRule(name=f"rule {{number}}", query=query(number), condition=Threshold(100, 300), group_by=("user_id",)), now)
        AlertRule.objects.filter(tenant_id=tenant).update(begins_at=0)
        AlertCursor.objects.filter(tenant_id=tenant).update(position=-1)
        found[kind][str(count)] = size / seconds_of(evaluate)
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Scale:
    """Entries of the log, and how many rules."""

    entries: int
    counts: tuple[int, ...]


FULL = Scale(entries=10_000, counts=(1, 10, 100, 1000))
QUICK = Scale(entries=3_000, counts=(1, 10, 100))


def run(*, is_quick: bool) -> Report:
    scale = QUICK if is_quick else FULL
    bodies = bulk_bodies(application_entries(SEED, scale.entries), BATCH)
    with ExitStack() as stack:
        installed = stack.enter_context(installation())
        web = stack.enter_context(product_server(installed))
        sequencing = stack.enter_context(sequencer(installed))
        _post(f"http://127.0.0.1:{web.port}", installed.api_key, bodies)
        sequencing.wait_until_all_is_sequenced()
        check_that_all_are_stored(installed, scale.entries)
        found = _evaluate(installed, scale)
        postgresql = installed.postgresql_version
    read = found.pop("read")
    return Report(
        benchmark="alerts",
        postgresql=postgresql,
        params={"entries": scale.entries, "batch": BATCH},
        figures={"entries_per_s": found},
        limits={"entries_read_per_s": read},
        ratios={"by_action_100_of_reading": found["by_action"]["100"] / read, "by_user_100_of_reading": found["by_user"]["100"] / read},
        targets=TARGETS,
    )


def _post(url: str, api_key: str, bodies: list[bytes]) -> None:
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
    with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
        for body in bodies:
            client.post("/api/v1/logs/bulk", content=stamped(body, current_second())).raise_for_status()


def _evaluate(installed: Installation, scale: Scale) -> dict[str, Any]:
    """Entries a second by kind and number of rules, and of reading alone."""
    program = _EVALUATE.format(tenant_id=installed.tenant_id, counts=scale.counts)
    printed = run_program([sys.executable, str(CHECKOUT / "manage.py"), "shell", "--no-imports", "-c", program], installed.environment)
    answer: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    return answer
