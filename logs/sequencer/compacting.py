"""Compacting: what is over becomes one span of the next level, step by step, so that a long range is read from few rows.

Invariants:
- A step is one transaction that holds the tenant's head row: it writes a span and moves the mark of its level past it. Killed
  at any moment, the next step begins where the last committed one ended.
- A span is made of the level below once that is whole: a day's hours are over, a block's days are compacted.
- One tenant's trouble is not the others', and none of it stops the rounds.
- What comes in late is `counting`'s to add, at every level whose mark is past it.
"""

from __future__ import annotations

import datetime
import logging
import time
import uuid
from typing import Any

import psycopg

from logs.sequencer.counting import ADD_USERS, SELECT_MARKS, Marks, columns_of, write_seen
from logs.stats.levels import BLOCK, DAY, HOUR, LEVELS, SPAN, floor
from logs.stats.seen import Seen, sum_of

logger = logging.getLogger(__name__)
# What is over for less is left alone: most of what is late comes within minutes, and then costs nothing extra.
GRACE = datetime.timedelta(minutes=5)
LEAVE_ALONE_SECONDS = 300.0
_MARK = {HOUR: "hours_before", DAY: "days_before", BLOCK: "blocks_before"}

# Tenants with an hour that is over. Plan: logs_compaction_due.
SELECT_DUE = """
SELECT c.tenant_id FROM auditlog.logs_compaction AS c
WHERE c.hours_before < %(before)s AND c.tenant_id <> ALL (%(set_aside)s)
  AND (%(groups)s = 1 OR get_byte(uuid_send(c.tenant_id), 15) %% %(groups)s = ANY (%(led)s))
ORDER BY c.hours_before LIMIT %(limit)s
"""
LOCK_HEAD = "SELECT FROM auditlog.logs_head WHERE tenant_id = %s FOR UPDATE"
# Plan: the key, its first row at or after the mark.
NEXT_SPAN = """
SELECT begins_at FROM auditlog.logs_rollup WHERE tenant_id = %s AND level = %s AND begins_at >= %s AND begins_at < %s ORDER BY begins_at LIMIT 1
"""
# Who was seen in the hour moves from many rows into one.
TAKE_USERS_OF_HOUR = "DELETE FROM auditlog.logs_rollup_user WHERE tenant_id = %s AND level = 0 AND begins_at = %s RETURNING user_id, entry_count"
SEEN_IN = "SELECT registers, users FROM auditlog.logs_rollup_seen WHERE tenant_id = %s AND level = %s AND begins_at >= %s AND begins_at < %s"
COMPACT_KINDS = """
INSERT INTO auditlog.logs_rollup (tenant_id, level, begins_at, action, severity, outcome, resource_type, source, entry_count)
SELECT tenant_id, level + 1, %(begins_at)s, action, severity, outcome, resource_type, source, sum(entry_count)
FROM auditlog.logs_rollup WHERE tenant_id = %(tenant)s AND level = %(below)s AND begins_at >= %(begins_at)s AND begins_at < %(ends_at)s
GROUP BY tenant_id, level, action, severity, outcome, resource_type, source
"""
COMPACT_TOTALS = """
INSERT INTO auditlog.logs_rollup_total (tenant_id, level, begins_at, severity, outcome, entry_count)
SELECT tenant_id, level + 1, %(begins_at)s, severity, outcome, sum(entry_count)
FROM auditlog.logs_rollup_total WHERE tenant_id = %(tenant)s AND level = %(below)s AND begins_at >= %(begins_at)s AND begins_at < %(ends_at)s
GROUP BY tenant_id, level, severity, outcome
"""


class Compacting:
    """Steps over one connection (autocommit, under the sequencer's role). For one thread. `selection` says which tenants are led."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._left_alone: dict[uuid.UUID, float] = {}

    def run(self, now: datetime.datetime, selection: dict[str, Any], *, seconds: float, max_tenants: int = 1000) -> int:
        """Compact what is over, for about so many seconds. Answers how many steps were made; a step moves a mark."""
        stop_at = time.monotonic() + seconds
        before = floor(now - GRACE, HOUR)
        due = [row[0] for row in self._connection.execute(SELECT_DUE, selection | {"before": before, "limit": max_tenants})]
        steps = 0
        for tenant_id in due:
            if self._left_alone.get(tenant_id, 0.0) > time.monotonic():
                continue
            try:
                while self.step(tenant_id, before):
                    steps += 1
                    if time.monotonic() >= stop_at:
                        return steps
            except Exception:
                if self._connection.closed or self._connection.broken:
                    raise
                # Positions matter more than roll-ups: the tenant's rounds go on, and statistics are read from finer levels.
                logger.exception("roll-ups of tenant %s can't be compacted", tenant_id)
                self._left_alone[tenant_id] = time.monotonic() + LEAVE_ALONE_SECONDS
        return steps

    def step(self, tenant_id: uuid.UUID, before: datetime.datetime) -> bool:
        """One span of one level. Answers whether a mark has moved: False means that all that ended by `before` is compacted."""
        with self._connection.transaction(), self._connection.cursor(binary=True) as cursor:
            cursor.execute(LOCK_HEAD, [tenant_id])
            cursor.execute(SELECT_MARKS, [[tenant_id]])
            row = cursor.fetchone()
            if row is None:
                return False
            marks: Marks = row[1:]
            # The coarse levels first: a backlog then becomes quick to read as it is worked off.
            for level in reversed(LEVELS):
                limit = floor(before if level == HOUR else marks[level - 1], level)
                if marks[level] < limit:
                    self._advance(cursor, tenant_id, level, marks[level], limit)
                    return True
        return False

    def _advance(self, cursor: Any, tenant_id: uuid.UUID, level: int, mark: datetime.datetime, limit: datetime.datetime) -> None:
        below = max(level - 1, HOUR)
        cursor.execute(NEXT_SPAN, [tenant_id, below, mark, limit])
        row = cursor.fetchone()
        if row is not None:
            begins_at = floor(row[0], level)
            limit = begins_at + SPAN[level]
            if level == HOUR:
                cursor.execute(TAKE_USERS_OF_HOUR, [tenant_id, begins_at])
                seen = Seen.of(dict(cursor.fetchall()))
            else:
                seen = self._compact(cursor, tenant_id, level, begins_at)
            write_seen(cursor, tenant_id, {(level, begins_at): seen})
        cursor.execute(f"UPDATE auditlog.logs_compaction SET {_MARK[level]} = %s WHERE tenant_id = %s", [limit, tenant_id])  # noqa: S608  # one of three names  # nosec B608

    @staticmethod
    def _compact(cursor: Any, tenant_id: uuid.UUID, level: int, begins_at: datetime.datetime) -> Seen:
        """Write the span's counts, from the level below. Answers who was seen in it."""
        below, ends_at = level - 1, begins_at + SPAN[level]
        span = {"tenant": tenant_id, "below": below, "begins_at": begins_at, "ends_at": ends_at}
        cursor.execute(COMPACT_KINDS, span)
        cursor.execute(COMPACT_TOTALS, span)
        cursor.execute(SEEN_IN, [tenant_id, below, begins_at, ends_at])
        parts = [Seen(bytes(registers), users) for registers, users in cursor.fetchall()]
        by_user = sum_of(part.users for part in parts)
        cursor.execute(ADD_USERS, [tenant_id, *columns_of({(level, begins_at, user_id): count for user_id, count in by_user.items()})])
        return Seen.together(parts, level)
