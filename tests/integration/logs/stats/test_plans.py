"""How PostgreSQL answers the hot statements of statistics: by ranges of keys, and from the index of the busiest users."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, connections
from psycopg import sql

from accounts.models import Tenant
from logs.search.tree import All, SeverityIs, TextIs
from logs.stats import caching, counts, users
from logs.stats.periods import Cover, Period, Unit, cover_of
from logs.storage.kinds import OWN_SOURCE
from logs.storage.reading import tenant_snapshot
from tests.compacting import compact_all
from tests.sequencing import sequence_all
from tests.storing import new_tenant, store

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC)
# From within a day, so that there are hours whatever the time is.
PERIOD = Period((NOW - 40 * DAY).replace(hour=5, minute=0, second=0, microsecond=0), NOW.replace(minute=0, second=0, microsecond=0))
EVERYTHING = All()


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    """Forty days, compacted, and a batch that waits."""
    tenant = new_tenant()
    for day in range(40):
        moments = [NOW - day * DAY - datetime.timedelta(minutes=7 * number) for number in range(60)]
        store(tenant, [{"timestamp": moment.isoformat(), "user_id": f"user-{number % 7}"} for number, moment in enumerate(moments)])
    sequence_all()
    compact_all(NOW)
    store(tenant, [{}])
    with connections["maintenance"].cursor() as cursor:
        for name in ("rollup", "rollup_total", "rollup_user", "rollup_seen", "batch", "head"):
            cursor.execute(f"ANALYZE auditlog.logs_{name}")
    return tenant


class Explaining:
    """A cursor that explains what it runs. `indexes`: by which each table was read; `has_read_all`: tables read as a whole."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self.indexes: set[str] = set()
        self.has_read_all: set[str] = set()

    def execute(self, statement: Any, parameters: Any = None) -> None:
        text = sql.SQL(statement) if isinstance(statement, str) else statement
        if "set_config" not in str(statement):
            with connection.cursor() as explaining:
                explaining.execute(sql.SQL("EXPLAIN (FORMAT JSON) ") + text, parameters)
                answer = explaining.fetchone()[0]
            for node in _nodes((json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]):
                if "Index Name" in node:
                    self.indexes.add(node["Index Name"])
                elif node["Node Type"] == "Seq Scan":
                    self.has_read_all.add(node["Relation Name"])
        self._cursor.execute(statement, parameters)

    def fetchall(self) -> list[Any]:
        return list(self._cursor.fetchall())

    def fetchone(self) -> Any:
        return self._cursor.fetchone()


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)


@contextmanager
def explaining(tenant: Tenant) -> Iterator[tuple[Explaining, Cover, Any]]:
    with tenant_snapshot(tenant.id, 10) as cursor:
        # So few rows are read as a whole by choice; the question is whether they could be read otherwise.
        cursor.execute("SET LOCAL enable_seqscan = off")
        marks = counts.read_marks(cursor)
        yield Explaining(cursor), cover_of(PERIOD, marks, NOW), marks


def test_kinds_and_totals_are_ranges_of_their_keys(tenant: Tenant) -> None:
    with explaining(tenant) as (cursor, cover, _):
        counts.read_marks(cursor)
        counts.read_kinds(cursor, cover, All((TextIs("action", ("UPDATE",)),)))
        assert cursor.indexes == {"logs_compaction_pkey", "logs_rollup_pkey", "logs_batch_waiting"}
        cursor.indexes.clear()
        counts.read_series(cursor, cover, All((SeverityIs((3, 4)),)), Unit.DAY)
        counts.read_totals(cursor, cover, EVERYTHING)
        assert cursor.indexes == {"logs_rollup_total_pkey", "logs_batch_waiting"}
        assert cursor.has_read_all == set()


def test_busiest_users_come_from_their_index_and_candidates_from_the_key(tenant: Tenant) -> None:
    with explaining(tenant) as (cursor, cover, marks):
        hours = users.read_hours(cursor, cover, marks, {})
        assert cursor.indexes == {"logs_rollup_seen_pkey", "logs_batch_waiting"} | ({"logs_rollup_user_pkey"} & cursor.indexes)
        cursor.indexes.clear()
        users.read_busiest(cursor, cover, hours, 10)
        # With so few users either index finds the candidates.
        assert "logs_rollup_user_busiest" in cursor.indexes <= {"logs_rollup_user_busiest", "logs_rollup_user_pkey"}
        cursor.indexes.clear()
        users.estimate_distinct(cursor, cover.runs, marks, [])
        assert cursor.indexes == {"logs_rollup_seen_pkey"}
        list(users.read_named(cursor, cover, marks, ["user-1"]))
        assert cursor.has_read_all == set()


def test_state_of_the_log_is_one_row_and_what_waits(tenant: Tenant) -> None:
    with explaining(tenant) as (cursor, _, _):
        cursor.execute(caching.SELECT_STATE, {"own": OWN_SOURCE})
        assert cursor.indexes == {"logs_head_pkey", "logs_batch_waiting"}
        assert cursor.has_read_all == set()
