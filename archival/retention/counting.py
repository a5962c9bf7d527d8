"""How much of the hot log is due: counted entry by entry where that is quick, else told by the roll-ups, which says so."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.db import OperationalError
from psycopg import sql
from psycopg.errors import QueryCanceled

from archival.retention.planning import due_hot
from archival.retention.policies import Policy, cutoff, decided_by
from logs.search.sql import condition_of
from logs.search.tree import All, Node
from logs.stats.counts import read_kinds, read_marks
from logs.stats.levels import HOUR, SPAN, ceil
from logs.stats.periods import Period, cover_of
from logs.storage.engines import engine
from logs.storage.ids import EPOCH
from logs.storage.reading import tenant_transaction

# Counting one by one may take so long.
COUNT_SECONDS = 5.0
_EVERYTHING = All(())


@dataclass(frozen=True)
class PolicyCount:
    """What is due of what one policy decides. `policy_id` None: a policy that is not kept yet, or the default of a tenant that has said nothing."""

    policy_id: int | None
    policy_name: str
    archived: int
    purged: int


@dataclass(frozen=True)
class DueCount:
    """What policies would move and purge now of a tenant's hot entries.

    `counted_from` the roll-ups: no more than that; what holds keep, and what left before, is in it.
    """

    hot: int
    archived: int
    purged: int
    by_policy: list[PolicyCount]
    counted_from: Literal["entries", "rollups"]


def count_due(tenant_id: uuid.UUID, policies: Sequence[Policy], held: Sequence[Node], now: datetime.datetime) -> DueCount:
    """`policies` in order; `held`: what legal holds keep."""
    try:
        return _of_entries(tenant_id, policies, held, now)
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
    return _of_rollups(tenant_id, policies, now)


def count_matches(cursor: Any, tenant_id: uuid.UUID, trees: Sequence[Node], within: Node = _EVERYTHING) -> list[int]:
    """How many hot entries `within` finds, and how many of them each tree, in one scan. `cursor`: in a transaction that names the tenant."""
    conditions = [condition_of(tree, tenant_id) for tree in trees]
    counts = [sql.SQL("count(*)"), *(sql.SQL("count(*) FILTER (WHERE {})").format(condition.text) for condition in conditions)]
    where = condition_of(within, tenant_id)
    statement = sql.SQL("SELECT {} FROM auditlog.logs_entry_view AS e WHERE {}").format(sql.SQL(", ").join(counts), where.text)
    cursor.execute(statement, [value for condition in (*conditions, where) for value in condition.parameters])
    return list(cursor.fetchone())


def _of_entries(tenant_id: uuid.UUID, policies: Sequence[Policy], held: Sequence[Node], now: datetime.datetime) -> DueCount:
    dues = due_hot(tenant_id, policies, held, now)
    with tenant_transaction(tenant_id, COUNT_SECONDS) as cursor:
        hot, *found = count_matches(cursor, tenant_id, [due.tree for due in dues])
    counts: dict[tuple[int | None, str, str], int] = {}
    for due, count in zip(dues, found, strict=True):
        counts[due.policy_id, due.policy_name, due.fate] = count
    by_policy = [_count_of(policy, counts) for policy in policies]
    return DueCount(hot, sum(one.archived for one in by_policy), sum(one.purged for one in by_policy), by_policy, "entries")


def _count_of(policy: Policy, counts: dict[tuple[int | None, str, str], int]) -> PolicyCount:
    archived, purged = (counts.get((policy.id, policy.name, fate), 0) for fate in ("archive", "purge"))
    return PolicyCount(policy.id, policy.name, archived, purged)


def _of_rollups(tenant_id: uuid.UUID, policies: Sequence[Policy], now: datetime.datetime) -> DueCount:
    with tenant_transaction(tenant_id) as cursor:
        partitions = engine().partitions(cursor)
        # What is older has left.
        begins_at = max(partitions[0].lower_at if partitions else EPOCH, EPOCH)
        latest = ceil(now, HOUR) + SPAN[HOUR]
        marks = read_marks(cursor)

        def counted(nodes: Sequence[Node], ends_at: datetime.datetime) -> int:
            return read_kinds(cursor, cover_of(Period(begins_at, max(begins_at, ends_at)), marks, latest), All(tuple(nodes))).total()

        hot = counted([], latest)
        by_policy = []
        for place, policy in enumerate(policies):
            decided, total_days = decided_by(policies, place), policy.total_days
            purged = 0 if total_days is None else counted(decided, cutoff(now, total_days))
            by_policy.append(PolicyCount(policy.id, policy.name, counted(decided, cutoff(now, policy.hot_days)) - purged, purged))
    return DueCount(hot, sum(one.archived for one in by_policy), sum(one.purged for one in by_policy), by_policy, "rollups")
