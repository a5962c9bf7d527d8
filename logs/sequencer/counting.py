"""The counts of a round, added to the roll-ups in the round's own transaction.

Invariants:
- An entry is counted once at each level that has its time already: always in its hour, and, when it comes in late, in the
  day and the 16 days that `compacting` has made of that time. So a level below its mark (`logs_compaction`) is whole.
- Adding and compacting hold the tenant's head row, so neither sees the other half done.
"""

from __future__ import annotations

import datetime
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from logs.stats.levels import BLOCK, DAY, HOUR, floor
from logs.stats.seen import Seen
from logs.storage.ids import EPOCH
from logs.storage.kinds import Kind

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
ADD_TOTALS = """
INSERT INTO auditlog.logs_rollup_total AS r (tenant_id, level, begins_at, severity, outcome, entry_count)
SELECT %s::uuid, * FROM unnest(%s::smallint[], %s::timestamptz[], %s::smallint[], %s::smallint[], %s::bigint[])
ON CONFLICT (tenant_id, level, begins_at, severity, outcome) DO UPDATE SET entry_count = r.entry_count + excluded.entry_count
"""
# Plan: the key of each.
SELECT_SEEN = """
SELECT s.level, s.begins_at, s.registers, s.users FROM auditlog.logs_rollup_seen AS s
JOIN unnest(%s::smallint[], %s::timestamptz[]) AS wanted (level, begins_at) USING (level, begins_at) WHERE s.tenant_id = %s
"""
WRITE_SEEN = """
INSERT INTO auditlog.logs_rollup_seen (tenant_id, level, begins_at, registers, users)
SELECT %s::uuid, * FROM unnest(%s::smallint[], %s::timestamptz[], %s::bytea[], %s::text[])
ON CONFLICT (tenant_id, level, begins_at) DO UPDATE SET registers = excluded.registers, users = excluded.users
"""
Span = tuple[int, datetime.datetime]
# For each level, in order: what begins before is compacted.
Marks = tuple[datetime.datetime, datetime.datetime, datetime.datetime]
NOTHING_COMPACTED: Marks = (EPOCH, EPOCH, EPOCH)


def add_counts(cursor: Any, kinds: Mapping[uuid.UUID, Counter[Kind]], users: Mapping[uuid.UUID, Mapping[str, Mapping[str, int]]]) -> None:
    """Add what each tenant's entries of a round come to; `users` by hour. The cursor's transaction holds the tenants' heads."""
    cursor.execute(SELECT_MARKS, [list(kinds)])
    found: dict[uuid.UUID, Marks] = {row[0]: tuple(row[1:]) for row in cursor.fetchall()}
    for tenant_id in kinds:
        if tenant_id not in found:
            cursor.execute(BEGIN_COMPACTION, [tenant_id])
        marks = found.get(tenant_id, NOTHING_COMPACTED)
        spans = {hour: _spans_of(hour, marks) for hour in {kind.hour for kind in kinds[tenant_id]}}
        _add_kinds(cursor, tenant_id, kinds[tenant_id], spans)
        _add_users(cursor, tenant_id, users[tenant_id], spans, marks)
        _add_to_seen(cursor, tenant_id, users[tenant_id], spans, marks)


def _spans_of(hour: str, marks: Marks) -> list[Span]:
    """The spans that count what is of this hour: the hour itself, and those above it that are compacted already."""
    moment = datetime.datetime.fromisoformat(f"{hour}:00:00+00:00")
    above = [(level, floor(moment, level)) for level in (DAY, BLOCK)]
    return [(HOUR, moment), *((level, begins_at) for level, begins_at in above if begins_at < marks[level])]


def _add_kinds(cursor: Any, tenant_id: uuid.UUID, kinds: Counter[Kind], spans: Mapping[str, list[Span]]) -> None:
    added: Counter[tuple[Any, ...]] = Counter()
    totals: Counter[tuple[Any, ...]] = Counter()
    for (hour, *kind), count in kinds.items():
        for span in spans[hour]:
            added[*span, *kind] += count
            totals[*span, kind[1], kind[2]] += count
    cursor.execute(ADD_KINDS, [tenant_id, *columns_of(added)])
    cursor.execute(ADD_TOTALS, [tenant_id, *columns_of(totals)])


def _add_users(cursor: Any, tenant_id: uuid.UUID, users: Mapping[str, Mapping[str, int]], spans: Mapping[str, list[Span]], marks: Marks) -> None:
    """To the rows: of hours that are not over, and of the spans above."""
    added: Counter[tuple[Any, ...]] = Counter()
    for hour, by_user in users.items():
        for span in spans[hour]:
            if span[0] > HOUR or span[1] >= marks[HOUR]:
                for user_id, count in by_user.items():
                    added[*span, user_id] += count
    if added:
        cursor.execute(ADD_USERS, [tenant_id, *columns_of(added)])


def _add_to_seen(cursor: Any, tenant_id: uuid.UUID, users: Mapping[str, Mapping[str, int]], spans: Mapping[str, list[Span]], marks: Marks) -> None:
    """To what is kept of spans that are over, for what has come in late."""
    added: dict[Span, list[Seen]] = defaultdict(list)
    for hour, by_user in users.items():
        if spans[hour][0][1] < marks[HOUR]:
            seen = Seen.of(by_user)
            for span in spans[hour]:
                added[span].append(seen)
    if not added:
        return
    cursor.execute(SELECT_SEEN, [[level for level, _ in added], [begins_at for _, begins_at in added], tenant_id])
    for level, begins_at, registers, by_user in cursor.fetchall():
        added[level, begins_at].append(Seen(bytes(registers), by_user))
    write_seen(cursor, tenant_id, {span: Seen.together(parts, span[0]) for span, parts in added.items()})


def write_seen(cursor: Any, tenant_id: uuid.UUID, seen: Mapping[Span, Seen]) -> None:
    """Store who was seen in spans, each in the place of what was there."""
    registers, users = [one.registers for one in seen.values()], [one.users for one in seen.values()]
    cursor.execute(WRITE_SEEN, [tenant_id, [level for level, _ in seen], [begins_at for _, begins_at in seen], registers, users])


def columns_of(added: Mapping[tuple[Any, ...], int]) -> list[list[Any]]:
    """Keys and counts as the arrays that the statements take."""
    return [*(list(column) for column in zip(*added, strict=True)), list(added.values())]
