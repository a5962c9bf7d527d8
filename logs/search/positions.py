"""Reading in the order of positions: the poller's way, which neither skips an entry nor gives one twice.

Positions are given in the order of commits and never with a gap, so whoever goes on after the last position that they saw has seen
all before it. (By time that can't be had: an older entry may come in later.)
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import QueryDict
from psycopg import sql

from accounts.principals import Principal
from accounts.problems import Fault
from logs.errors import InvalidQuery
from logs.integrity.storage import read_head
from logs.search.filters import filters_of
from logs.search.output import COLUMNS, EntryOutput, entries_of
from logs.search.pages import limit_of
from logs.search.sight import asked_by
from logs.search.sql import condition_of
from logs.search.tiers import cold_rows, selected, until
from logs.search.tree import All
from logs.search.windows import Window
from logs.storage.reading import tenant_transaction

# So many positions a question looks through at most: one whose filters match little comes back with what it has, and goes on from there.
MAX_SCANNED = 20_000
MAX_BATCHES = 1_000
# The batches that hold the position and those after it. Plan: logs_batch_position, in order.
SELECT_BATCHES_FROM = """
SELECT id, first_position, entry_count, lowest_id, highest_id FROM auditlog.logs_batch_view
WHERE first_position >= coalesce((SELECT max(first_position) FROM auditlog.logs_batch_view WHERE first_position <= %s), 0)
ORDER BY first_position LIMIT %s
"""
# The ids' bounds leave other partitions out. Plan: logs_entry_batch of those partitions.
SELECT_ENTRIES = """
SELECT {columns} FROM auditlog.logs_entry_view AS e
WHERE batch_id = ANY (%s::bigint[]) AND id >= %s AND id <= %s
  AND (batch_id <> %s OR batch_index >= %s) AND (batch_id <> %s OR batch_index < %s) AND {condition}
"""


@dataclass(frozen=True)
class PositionQuestion:
    """Entries at positions above `after`, in order. `tree` holds what the principal may see too."""

    principal: Principal
    tree: All
    after: int
    limit: int


@dataclass(frozen=True)
class PositionPage:
    """`after` is where to go on; `has_more`: there are sequenced entries beyond it."""

    entries: list[EntryOutput]
    after: int
    has_more: bool


def is_by_position(query: QueryDict) -> bool:
    """Does the query string ask for the order of positions? Raises InvalidQuery for another order."""
    order = query.get("order", "time")
    if order not in ("time", "position"):
        raise InvalidQuery([Fault("order", "unknown_value", "order is time (newest first) or position.")])
    return order == "position"


def position_question_of(query: QueryDict, principal: Principal) -> PositionQuestion:
    """The question in a query string with `order=position`. Raises InvalidQuery."""
    asked = filters_of(query, "limit", "order", "after").tree()
    return PositionQuestion(principal, asked_by(principal, asked), _after(query.get("after", "-1")), limit_of(query))


def _after(text: str) -> int:
    digits = text.removeprefix("-") if text == "-1" else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise InvalidQuery([Fault("after", "bad_position", "after has to be a position: a whole number from 0, or -1 for the beginning.")])
    return int(text)


def find_after(question: PositionQuestion) -> PositionPage:
    """The entries after a position, as far as they are sequenced. Raises InvalidQuery for a position that there is not."""
    with tenant_transaction(question.principal.tenant_id) as database:
        head = read_head(database)
        size = head.tree_size if head else 0
        if question.after >= size and question.after >= 0:
            raise InvalidQuery([Fault("after", "unknown_position", f"The log has {size} entries, none at position {question.after}.")])
        after, found = question.after, list[tuple[int, Any]]()
        stop_at = min(size - 1, after + MAX_SCANNED)
        is_filtered = bool(question.tree.nodes)
        while after < stop_at and len(found) < question.limit:
            missing = question.limit - len(found)
            wanted = min(stop_at - after, max(missing, 5_000) if is_filtered else missing)
            rows, end = rows_between(database, question.principal.tenant_id, question.tree, after + 1, after + 1 + wanted)
            found += rows[:missing]
            # With more matches than asked for, the page ends at the last that it holds.
            after = found[-1][0] if len(rows) > missing else end - 1
        entries = entries_of(database, [row for _, row in found], question.principal.tenant_id, may_decrypt=question.principal.may_decrypt)
    return PositionPage(entries, after, after < size - 1)


def rows_between(
    database: Any, tenant_id: uuid.UUID, tree: All, low: int, high: int, columns: Sequence[sql.Composable] = COLUMNS
) -> tuple[list[tuple[int, Any]], int]:
    """Rows of `columns` that `tree` finds at positions `[low, end)`, with their positions, in order, and `end`: `high`, or as far as it got.

    There have to be entries at `low`. The last two columns are the entry's batch and its index in it.
    """
    database.execute(SELECT_BATCHES_FROM, [low, MAX_BATCHES])
    batches = [batch for batch in database.fetchall() if batch[1] < high]
    firsts = {id: first for id, first, *_ in batches}
    first_batch, last_batch = batches[0], batches[-1]
    end = min(high, last_batch[1] + last_batch[2])
    condition = condition_of(tree, tenant_id)
    statement = sql.SQL(SELECT_ENTRIES).format(columns=sql.SQL(", ").join(columns), condition=condition.text)
    database.execute(
        statement,
        [
            list(firsts),
            min(batch[3] for batch in batches),
            max(batch[4] for batch in batches),
            first_batch[0],
            low - first_batch[1],
            last_batch[0],
            end - last_batch[1],
            *condition.parameters,
        ],
    )
    rows = {firsts[row[-2]] + row[-1]: row for row in database.fetchall()}
    rows = _archived_between(database, tenant_id, tree, batches, low, end) | rows
    return sorted(rows.items()), end


def _archived_between(database: Any, tenant_id: uuid.UUID, tree: All, batches: Sequence[Any], low: int, high: int) -> dict[int, Any]:
    """The rows at positions `[low, high)` that are archived, by position. `batches`: those that hold the positions."""
    firsts = {id: first for id, first, *_ in batches}
    ids = Window(min(batch[3] for batch in batches), uuid.UUID(int=max(batch[4] for batch in batches).int + 1))
    check = until(time.monotonic() + settings.AUDITLOG_SEARCH_TIMEOUT_SECONDS)
    rows = cold_rows(database, tenant_id, tree, ids, check=check, is_ascending=True, batches=frozenset(firsts))
    if rows is None:
        return {}
    found = [row for row in rows if low <= firsts[row[-2]] + row[-1] < high]
    return {firsts[row[-2]] + row[-1]: row for row in selected(database, COLUMNS, found)}
