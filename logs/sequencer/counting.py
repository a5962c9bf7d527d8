"""The counts of a round, added to the roll-ups in the round's own transaction.

Invariants:
- An entry is counted once at each level that has its time already: always in its hour, and, when it comes in late, in the
  day, the 16 days and the sketches that `compacting` has made of that time. So a level below its mark (`logs_compaction`) is whole.
- Adding and compacting hold the tenant's head row, so neither sees the other half done.
"""

from __future__ import annotations

import datetime
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from logs.stats.levels import BLOCK, DAY, HOUR, floor
from logs.stats.sketch import EMPTY, merge, sketch_of
from logs.storage.kinds import HourOfUser, Kind

SELECT_MARKS = "SELECT tenant_id, hours_before, days_before, blocks_before FROM auditlog.logs_compaction WHERE tenant_id = ANY (%s)"
BEGIN_COMPACTION = "INSERT INTO auditlog.logs_compaction (tenant_id) VALUES (%s)"
ADD_KINDS = """
INSERT INTO auditlog.logs_rollup AS r (tenant_id, level, begins_at, action, severity, outcome, resource_type, source, entry_count)
SELECT %s::uuid, * FROM unnest(%s::smallint[], %s::timestamptz[], %s::text[], %s::smallint[], %s::smallint[], %s::text[], %s::text[], %s::bigint[])
ON CONFLICT (tenant_id, level, begins_at, action, severity, outcome, resource_type, source) DO UPDATE SET entry_count = r.entry_count + excluded.entry_count
"""
ADD_USERS = """
INSERT INTO auditlog.logs_rollup_user AS r (tenant_id, level, begins_at, user_id, entry_count)
SELECT %s::uuid, * FROM unnest(%s::smallint[], %s::timestamptz[], %s::text[], %s::bigint[])
ON CONFLICT (tenant_id, level, begins_at, user_id) DO UPDATE SET entry_count = r.entry_count + excluded.entry_count
"""
# Plan: the key of each.
SELECT_SKETCHES = """
SELECT s.level, s.begins_at, s.registers FROM auditlog.logs_rollup_sketch AS s
JOIN unnest(%s::smallint[], %s::timestamptz[]) AS wanted (level, begins_at) USING (level, begins_at) WHERE s.tenant_id = %s
"""
WRITE_SKETCHES = """
INSERT INTO auditlog.logs_rollup_sketch (tenant_id, level, begins_at, registers)
SELECT %s::uuid, * FROM unnest(%s::smallint[], %s::timestamptz[], %s::bytea[])
ON CONFLICT (tenant_id, level, begins_at) DO UPDATE SET registers = excluded.registers
"""
Span = tuple[int, datetime.datetime]
# For each level, in order: what begins before is compacted.
Marks = tuple[datetime.datetime, datetime.datetime, datetime.datetime]


def add_counts(cursor: Any, kinds: Mapping[uuid.UUID, Counter[Kind]], users: Mapping[uuid.UUID, Counter[HourOfUser]]) -> None:
    """Add what each tenant's entries of a round come to. The cursor's transaction holds the tenants' heads."""
    cursor.execute(SELECT_MARKS, [list(kinds)])
    marks: dict[uuid.UUID, Marks] = {row[0]: tuple(row[1:]) for row in cursor.fetchall()}
    for tenant_id in kinds:
        if tenant_id not in marks:
            cursor.execute(BEGIN_COMPACTION, [tenant_id])
        hours = {hour: _spans_of(hour, marks.get(tenant_id)) for hour in {kind.hour for kind in kinds[tenant_id]}}
        _add_kinds(cursor, tenant_id, kinds[tenant_id], hours)
        _add_users(cursor, tenant_id, users[tenant_id], hours)
        late = {hour for hour, spans in hours.items() if marks.get(tenant_id) and spans[0][1] < marks[tenant_id][HOUR]}
        if late:
            _add_to_sketches(cursor, tenant_id, [one for one in users[tenant_id] if one.hour in late], hours)


def _spans_of(hour: str, marks: Marks | None) -> list[Span]:
    """The spans that count what is of this hour: the hour itself, and those above it that are compacted already."""
    moment = datetime.datetime.fromisoformat(f"{hour}:00:00+00:00")
    spans = [(HOUR, moment)]
    for level in (DAY, BLOCK):
        begins_at = floor(moment, level)
        if marks is not None and begins_at < marks[level]:
            spans.append((level, begins_at))
    return spans


def _add_kinds(cursor: Any, tenant_id: uuid.UUID, kinds: Counter[Kind], hours: Mapping[str, Iterable[Span]]) -> None:
    added: Counter[tuple[Any, ...]] = Counter()
    for (hour, *kind), count in kinds.items():
        for span in hours[hour]:
            added[*span, *kind] += count
    cursor.execute(ADD_KINDS, [tenant_id, *_columns(added)])


def _add_users(cursor: Any, tenant_id: uuid.UUID, users: Counter[HourOfUser], hours: Mapping[str, Iterable[Span]]) -> None:
    added: Counter[tuple[Any, ...]] = Counter()
    for (hour, user_id), count in users.items():
        for span in hours[hour]:
            added[*span, user_id] += count
    cursor.execute(ADD_USERS, [tenant_id, *_columns(added)])


def _columns(added: Counter[tuple[Any, ...]]) -> list[list[Any]]:
    return [*(list(column) for column in zip(*added, strict=True)), list(added.values())]


def _add_to_sketches(cursor: Any, tenant_id: uuid.UUID, late: Iterable[HourOfUser], hours: Mapping[str, Iterable[Span]]) -> None:
    by_hour: dict[str, set[str]] = defaultdict(set)
    for hour, user_id in late:
        by_hour[hour].add(user_id)
    added: dict[Span, bytes] = {}
    for hour, user_ids in by_hour.items():
        sketch = sketch_of(user_ids)
        for span in hours[hour]:
            added[span] = merge([added.get(span, EMPTY), sketch])
    cursor.execute(SELECT_SKETCHES, [[level for level, _ in added], [begins_at for _, begins_at in added], tenant_id])
    for level, begins_at, registers in cursor.fetchall():
        added[level, begins_at] = merge([added[level, begins_at], bytes(registers)])
    write_sketches(cursor, tenant_id, added)


def write_sketches(cursor: Any, tenant_id: uuid.UUID, sketches: Mapping[Span, bytes]) -> None:
    """Store sketches, each in the place of what was there."""
    cursor.execute(WRITE_SKETCHES, [tenant_id, [level for level, _ in sketches], [begins_at for _, begins_at in sketches], list(sketches.values())])
