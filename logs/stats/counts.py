"""Reading counts of kinds: from the roll-ups with the live edge, or from the entries themselves.

Everything here needs a cursor of `storage.reading.tenant_snapshot`: roll-ups, waiting batches and entries are then of one moment,
and an entry is in exactly one of the first two.
"""

from __future__ import annotations

import datetime
import heapq
import itertools
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.conf import settings
from psycopg import sql

from logs.extensions import ColdRow
from logs.search.finding import Search
from logs.search.sql import Condition, condition_by_index_of, condition_of
from logs.search.tiers import cold_rows, until
from logs.search.tree import All, OutcomeIs, SeverityIs, TimestampBefore, TimestampFrom
from logs.search.windows import bounds_of
from logs.stats.levels import LEVELS
from logs.stats.periods import Cover, Period, Run, Unit
from logs.storage.columns import INDEX
from logs.storage.ids import EPOCH

# Plan: the key, one row.
SELECT_MARKS = "SELECT hours_before, days_before, blocks_before FROM auditlog.logs_compaction_view"
# Plan: a range of the key.
_KINDS_OF_RUN = """
SELECT begins_at, action, severity, outcome, resource_type, source, entry_count
FROM auditlog.logs_rollup_view WHERE level = %s AND begins_at >= %s AND begins_at < %s
"""
# The live edge: what has no position yet. Plan: logs_batch_waiting.
_KINDS_WAITING = """
SELECT * FROM (
    SELECT ((kind->>0) || ':00:00Z')::timestamptz AS begins_at, kind->>1, (kind->>2)::smallint, (kind->>3)::smallint, kind->>4, kind->>5, (kind->>6)::bigint
    FROM auditlog.logs_batch_view AS b CROSS JOIN LATERAL jsonb_array_elements(b.kinds::jsonb) AS kind WHERE b.first_position IS NULL
) AS waiting WHERE begins_at >= %s AND begins_at < %s
"""
_SELECT_KINDS = """
SELECT action, severity, outcome, resource_type, source, sum(entry_count)::bigint
FROM ({counted}) AS c (begins_at, action, severity, outcome, resource_type, source, entry_count) WHERE {condition}
GROUP BY action, severity, outcome, resource_type, source
"""
_TOTALS_OF_RUN = """
SELECT begins_at, severity, outcome, entry_count FROM auditlog.logs_rollup_total_view WHERE level = %s AND begins_at >= %s AND begins_at < %s
"""
_TOTALS_WAITING = """
SELECT * FROM (
    SELECT ((kind->>0) || ':00:00Z')::timestamptz AS begins_at, (kind->>2)::smallint, (kind->>3)::smallint, (kind->>6)::bigint
    FROM auditlog.logs_batch_view AS b CROSS JOIN LATERAL jsonb_array_elements(b.kinds::jsonb) AS kind WHERE b.first_position IS NULL
) AS waiting WHERE begins_at >= %s AND begins_at < %s
"""
_KIND_COLUMNS = sql.SQL("begins_at, action, severity, outcome, resource_type, source, entry_count")
_TOTAL_COLUMNS = sql.SQL("begins_at, severity, outcome, entry_count")
_SELECT_TOTALS = """
SELECT severity, outcome, sum(entry_count)::bigint FROM ({counted}) AS c ({columns}) WHERE {condition} GROUP BY severity, outcome
"""
_SELECT_SERIES = """
SELECT date_trunc({unit}, begins_at, 'UTC'), severity, outcome, sum(entry_count)::bigint
FROM ({counted}) AS c ({columns}) WHERE {condition} GROUP BY 1, 2, 3
"""
# A condition of kinds has no words, which are all that a condition names its tenant for.
_NOBODY = uuid.UUID(int=0)
# One scan of the entries, three times grouped. Parts: 0 buckets, 1 kinds, 2 users (the busiest), 3 how many users.
_SELECT_ROWS = """
WITH matched AS MATERIALIZED (
    SELECT date_trunc({unit}, "timestamp", 'UTC') AS bucket, action, severity, outcome, resource_type, source, user_id
    FROM auditlog.logs_entry_view AS e WHERE {condition}
)
SELECT 0, bucket, NULL, severity, outcome, NULL, NULL, NULL, count(*) FROM matched GROUP BY bucket, severity, outcome
UNION ALL
SELECT 1, NULL, action, severity, outcome, resource_type, source, NULL, count(*) FROM matched GROUP BY action, severity, outcome, resource_type, source
UNION ALL
(SELECT 2, NULL, NULL, NULL, NULL, NULL, NULL, user_id, count(*) FROM matched GROUP BY user_id ORDER BY count(*) DESC, user_id COLLATE "C" LIMIT {users})
UNION ALL
SELECT 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, count(DISTINCT user_id) FROM matched
"""
# Which of these are in PostgreSQL? Plan: the key of each id's partition.
SELECT_HOT_AMONG = "SELECT id::text FROM auditlog.logs_entry_view WHERE id = ANY (%s::uuid[])"
CHUNK_ROWS = 2_000
_ID, _TIMESTAMP, _USER_ID, _ACTION, _RESOURCE_TYPE, _SEVERITY, _OUTCOME, _SOURCE = (
    INDEX[name] for name in ("id", "timestamp", "user_id", "action", "resource_type", "severity", "outcome", "source")
)
_NEWEST_COLUMNS = [sql.Identifier(name) for name in ("action", "severity", "outcome", "resource_type", "source", "user_id")]


class KindKey(NamedTuple):
    """What the roll-ups tell apart, without the hour."""

    action: str
    severity: int
    outcome: int
    resource_type: str
    source: str


class Result(NamedTuple):
    """What errors and failures are told by."""

    severity: int
    outcome: int


class Place(NamedTuple):
    """Of a series: where the bucket's unit begins, and what errors are told by."""

    begins_at: datetime.datetime
    severity: int
    outcome: int


@dataclass
class Rows:
    """Entries counted one by one. `users` has the busiest ones only if a limit was given; `user_count` is of all."""

    series: Counter[Place] = field(default_factory=Counter)
    kinds: Counter[KindKey] = field(default_factory=Counter)
    users: Counter[str] = field(default_factory=Counter)
    user_count: int = 0


def read_marks(cursor: Any) -> Sequence[datetime.datetime]:
    """For each level: what begins before is compacted."""
    cursor.execute(SELECT_MARKS)
    return cursor.fetchone() or (EPOCH,) * len(LEVELS)


def read_kinds(cursor: Any, cover: Cover, tree: All) -> Counter[KindKey]:
    """The kinds in the runs of a cover that `tree` (of kinds alone) leaves."""
    counted, condition = union_of(_KINDS_OF_RUN, _KINDS_WAITING, cover.runs, cover.runs), condition_of(tree, _NOBODY)
    cursor.execute(sql.SQL(_SELECT_KINDS).format(counted=counted.text, condition=condition.text), (*counted.parameters, *condition.parameters))
    return Counter({KindKey(*row[:-1]): row[-1] for row in cursor.fetchall()})


def read_series(cursor: Any, cover: Cover, tree: All, unit: Unit) -> Counter[Place]:
    """The same by bucket, severity and outcome. The cover's spans lie in one bucket each."""
    counted, columns = _narrowest(cover, tree)
    condition = condition_of(tree, _NOBODY)
    statement = sql.SQL(_SELECT_SERIES).format(unit=sql.Literal(str(unit)), counted=counted.text, columns=columns, condition=condition.text)
    cursor.execute(statement, (*counted.parameters, *condition.parameters))
    return Counter({Place(*row[:-1]): row[-1] for row in cursor.fetchall()})


def read_totals(cursor: Any, cover: Cover, tree: All) -> Counter[Result]:
    """The same by severity and outcome alone."""
    counted, columns = _narrowest(cover, tree)
    condition = condition_of(tree, _NOBODY)
    statement = sql.SQL(_SELECT_TOTALS).format(counted=counted.text, columns=columns, condition=condition.text)
    cursor.execute(statement, (*counted.parameters, *condition.parameters))
    return Counter({Result(*row[:-1]): row[-1] for row in cursor.fetchall()})


def _narrowest(cover: Cover, tree: All) -> tuple[Condition, sql.SQL]:
    """The counts in the runs of a cover with the fewest rows that know the filters, and their columns."""
    if all(isinstance(node, SeverityIs | OutcomeIs) for node in tree.nodes):
        return union_of(_TOTALS_OF_RUN, _TOTALS_WAITING, cover.runs, cover.runs), _TOTAL_COLUMNS
    return union_of(_KINDS_OF_RUN, _KINDS_WAITING, cover.runs, cover.runs), _KIND_COLUMNS


def read_rows(cursor: Any, tenant_id: uuid.UUID, period: Period, tree: All, unit: Unit, *, users: int | None = None, seconds: float | None = None) -> Rows:
    """The entries of a period that `tree` leaves, hot and archived, counted.

    Raises TooExpensive if the archived ones take longer than `seconds` (AUDITLOG_STATS_TIMEOUT_SECONDS if that is not given).
    """
    whole = _within(tree, period)
    check = until(time.monotonic() + (settings.AUDITLOG_STATS_TIMEOUT_SECONDS if seconds is None else seconds))
    archived = cold_rows(cursor, tenant_id, whole, bounds_of(whole), check=check)
    if archived is None:
        return _read_hot(cursor, tenant_id, whole, unit, users)
    # All users, for one of those with few entries in PostgreSQL may be the busiest of all.
    found = _read_hot(cursor, tenant_id, whole, unit, None)
    _add_archived(cursor, found, archived, unit)
    found.user_count = len(found.users)
    if users is not None:
        found.users = Counter(dict(heapq.nsmallest(users, found.users.items(), key=lambda one: (-one[1], one[0]))))
    return found


def _add_archived(cursor: Any, found: Rows, archived: Iterator[ColdRow], unit: Unit) -> None:
    """Count archived entries, but not those that are (back) in PostgreSQL."""
    while chunk := list(itertools.islice(archived, CHUNK_ROWS)):
        cursor.execute(SELECT_HOT_AMONG, [[row[_ID] for row in chunk]])
        counted = {row[0] for row in cursor.fetchall()}
        for row in chunk:
            if row[_ID] not in counted:
                severity, outcome = int(row[_SEVERITY]), int(row[_OUTCOME])
                found.series[Place(unit.begin(datetime.datetime.fromisoformat(row[_TIMESTAMP])), severity, outcome)] += 1
                found.kinds[KindKey(row[_ACTION], severity, outcome, row[_RESOURCE_TYPE], row[_SOURCE])] += 1
                found.users[row[_USER_ID]] += 1


def _read_hot(cursor: Any, tenant_id: uuid.UUID, whole: All, unit: Unit, users: int | None) -> Rows:
    condition = condition_by_index_of(whole, tenant_id)
    statement = sql.SQL(_SELECT_ROWS).format(unit=sql.Literal(str(unit)), condition=condition.text, users=sql.Literal(users))
    cursor.execute(statement, condition.parameters)
    found = Rows()
    for part, bucket, action, severity, outcome, resource_type, source, user_id, count in cursor.fetchall():
        match part:
            case 0:
                found.series[Place(bucket, severity, outcome)] = count
            case 1:
                found.kinds[KindKey(action, severity, outcome, resource_type, source)] = count
            case 2:
                found.users[user_id] = count
            case _:
                found.user_count = count
    return found


def read_newest(cursor: Any, tenant_id: uuid.UUID, period: Period, tree: All, count: int) -> Rows:
    """The newest `count` entries of a period that `tree` leaves, counted by kind and user. Raises TooExpensive."""
    found = Rows()
    for *kind, user_id in Search(cursor, tenant_id, _within(tree, period), _NEWEST_COLUMNS, period.ends_at).rows(count):
        found.kinds[KindKey(*kind)] += 1
        found.users[user_id] += 1
    found.user_count = len(found.users)
    return found


def _within(tree: All, period: Period) -> All:
    return All((*tree.nodes, TimestampFrom(period.begins_at), TimestampBefore(period.ends_at)))


def union_of(of_run: str, waiting: str, runs: Sequence[Run], time: Sequence[Run]) -> Condition:
    """`of_run` for each of `runs`, and `waiting` for the time of the runs `time`, which follow each other without a gap."""
    text = sql.SQL(" UNION ALL ").join([sql.SQL(of_run)] * len(runs) + [sql.SQL(waiting)])
    bounds = [bound for run in runs for bound in (run.level, run.begins_at, run.ends_at)]
    return Condition(text, (*bounds, time[0].begins_at if time else EPOCH, time[-1].ends_at if time else EPOCH))
