"""Rounds and compaction in any order, killed anywhere: every level is what a brute-force count of the entries comes to."""

from __future__ import annotations

import datetime
from collections import Counter, defaultdict
from typing import Any

import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Tenant
from logs.sequencer import compacting, counting
from logs.sequencer.compacting import Compacting
from logs.stats.levels import BLOCK, HOUR, LEVELS, SPAN, floor
from logs.stats.seen import decode_users
from logs.stats.sketch import sketch_of
from tests.compacting import EVERYTHING, compact_all
from tests.sequencing import new_rounds, sequencer_connection
from tests.storing import new_tenant, store

START = floor(datetime.datetime.now(datetime.UTC), 2) - 4 * SPAN[2]
USERS = ["alice", "bob", "carol", "Ζωή"]
Entry = tuple[int, str, str]


class Killed(Exception):
    """What stands for the end of the process: the transaction under way is lost, and nothing else is."""


def rows(table: str, columns: str, tenant: Tenant) -> list[Any]:
    with connections["maintenance"].cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM auditlog.{table} WHERE tenant_id = %s", [tenant.id])
        return list(cursor.fetchall())


def moment_of(hour: int) -> datetime.datetime:
    return START + datetime.timedelta(hours=hour, minutes=hour % 60)


def assert_counted(tenant: Tenant, entries: list[Entry]) -> None:
    """What the roll-ups hold is what these entries come to, at every level as far as it is compacted."""
    marks = (rows("logs_compaction", "hours_before, days_before, blocks_before", tenant) or [(START,) * 3])[0]
    kinds: Counter[Any] = Counter()
    users: Counter[Any] = Counter()
    totals: Counter[Any] = Counter()
    seen: dict[Any, Counter[str]] = defaultdict(Counter)
    for hour, user_id, action in entries:
        for level in LEVELS:
            begins_at = floor(moment_of(hour), level)
            if level == HOUR or begins_at < marks[level]:
                kinds[level, begins_at, action] += 1
                totals[level, begins_at] += 1
            if (level > HOUR and begins_at < marks[level]) or (level == HOUR and begins_at >= marks[level]):
                users[level, begins_at, user_id] += 1
            if begins_at < marks[level]:
                seen[level, begins_at][user_id] += 1
    assert {row[:-1]: row[-1] for row in rows("logs_rollup", "level, begins_at, action, entry_count", tenant)} == kinds
    assert {row[:-1]: row[-1] for row in rows("logs_rollup_user", "level, begins_at, user_id, entry_count", tenant)} == users
    assert {row[:-1]: row[-1] for row in rows("logs_rollup_total", "level, begins_at, entry_count", tenant)} == totals
    found = {tuple(span): (bytes(registers), by_user) for *span, registers, by_user in rows("logs_rollup_seen", "level, begins_at, registers, users", tenant)}
    assert {span: registers for span, (registers, _) in found.items()} == {span: sketch_of(names) for span, names in seen.items()}
    packed = {span: decode_users(by_user) for span, (_, by_user) in found.items() if by_user is not None}
    assert packed == {span: names for span, names in seen.items() if span[0] < BLOCK}


ENTRIES = st.lists(st.tuples(st.integers(0, 60 * 24), st.sampled_from(USERS), st.sampled_from(["LOGIN", "UPDATE"])), min_size=1, max_size=12)
DEEDS = st.lists(
    st.one_of(
        ENTRIES.map(lambda entries: ("post", entries)),
        st.just(("sequence", None)),
        st.just(("killed round", None)),
        st.integers(0, 62 * 24).map(lambda hours: ("step", hours)),
        st.integers(0, 62 * 24).map(lambda hours: ("killed step", hours)),
        st.integers(0, 62 * 24).map(lambda hours: ("compact", hours)),
    ),
    min_size=3,
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=DEEDS)
def test_every_level_is_a_brute_force_count_whatever_happened_in_between(monkeypatch: pytest.MonkeyPatch, deeds: list[tuple[str, Any]]) -> None:
    tenant = new_tenant()
    waiting: list[Entry] = []
    sequenced: list[Entry] = []
    for deed, what in deeds:
        now = START + datetime.timedelta(hours=what) if isinstance(what, int) else START
        if deed == "post":
            store(tenant, [{"timestamp": moment_of(hour).isoformat(), "user_id": user_id, "action": action} for hour, user_id, action in what])
            waiting += what
        elif deed == "sequence":
            while new_rounds().sequence():
                pass
            sequenced, waiting = sequenced + waiting, []
        elif deed == "killed round":
            with monkeypatch.context() as patched:
                patched.setattr(counting, "_add_to_seen", killed)
                patched.setattr(counting, "_add_users", killed)
                new_rounds().sequence()
        elif deed == "killed step":
            with monkeypatch.context() as patched:
                patched.setattr(compacting, "write_seen", killed)
                compact_all(now)
        elif deed == "step":
            Compacting(sequencer_connection()).step(tenant.id, floor(now, HOUR))
        else:
            compact_all(now)
        assert_counted(tenant, sequenced)
    while new_rounds().sequence():
        pass
    compact_all(START + 70 * SPAN[1])
    assert_counted(tenant, sequenced + waiting)


def killed(*arguments: Any) -> None:
    raise Killed


def test_compaction_stops_when_its_time_is_over_and_goes_on_the_next_time() -> None:
    tenant = new_tenant()
    store(tenant, [{"timestamp": moment_of(hour).isoformat()} for hour in range(0, 200, 7)])
    while new_rounds().sequence():
        pass
    now = START + 10 * SPAN[1]
    steps = 0
    while Compacting(sequencer_connection()).run(now, EVERYTHING, seconds=0):
        steps += 1
    # 29 hours with entries and the time after the last, 9 days and the last, and no block.
    assert steps >= 39
    assert {level for (level,) in rows("logs_rollup", "level", tenant)} == {0, 1}
    assert Compacting(sequencer_connection()).run(now, EVERYTHING, seconds=60) == 0


def test_sequencer_compacts_when_it_tends() -> None:
    tenant = new_tenant()
    store(tenant, [{"timestamp": moment_of(1).isoformat()}])
    rounds = new_rounds()
    while rounds.sequence():
        pass
    for _ in range(20):
        rounds.tend()
    assert {level for (level,) in rows("logs_rollup", "level", tenant)} == set(LEVELS)


def test_trouble_with_one_tenant_s_roll_ups_stops_neither_the_others_nor_its_rounds(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    sick, well = new_tenant(), new_tenant()
    for tenant in (sick, well):
        store(tenant, [{"timestamp": moment_of(3).isoformat()}])
    rounds = new_rounds()
    while rounds.sequence():
        pass
    step = Compacting.step

    def poisoned(self: Compacting, tenant_id: Any, before: datetime.datetime) -> bool:
        if tenant_id == sick.id:
            raise ValueError("poison")
        return step(self, tenant_id, before)

    monkeypatch.setattr(Compacting, "step", poisoned)
    for _ in range(20):
        rounds.tend()
    assert {level for (level,) in rows("logs_rollup", "level", well)} == set(LEVELS)
    assert {level for (level,) in rows("logs_rollup", "level", sick)} == {HOUR}
    assert len([record for record in caplog.records if str(sick.id) in record.getMessage()]) == 1
    store(sick, [{}])
    assert sick.id in rounds.sequence()
