"""Hot and cold as one: what PostgreSQL has and what the archive's segments have, merged in order of id.

Invariants:
- PostgreSQL is asked first, or both of one snapshot: an entry on its way to the archive is then found in at least one of them.
- One that both have is given once, as PostgreSQL has it.
- Rows from segments pass through PostgreSQL (`selected`), which makes of them what it makes of its own: whatever columns a reader asks
  for, there is one way to write them.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.conf import settings
from psycopg import sql

from logs.errors import TooExpensive
from logs.extensions import ColdQuestion, ColdRow, cold_tier
from logs.search.tree import Node, TierIs, conjuncts
from logs.search.windows import HIGHEST, Window, moment_of_id
from logs.storage.columns import BATCH_COLUMNS, ENTRY_COLUMNS, INDEX, array_literal

# The id of a row from either tier, by which they are merged: the first column of whatever is asked for.
ID = sql.SQL("e.id::text")
_ALL = ENTRY_COLUMNS | BATCH_COLUMNS
_ARRAYS = [INDEX[name] for name in ("changed_fields", "masked")]
_BATCH_INDEX = len(ENTRY_COLUMNS) + 1
# Rows given as one array for each column, with the columns of `auditlog.logs_entry_view`. In the order in which they are given.
_SELECT_GIVEN = "SELECT {columns} FROM (SELECT {typed}, place FROM unnest({arrays}) WITH ORDINALITY AS t ({names}, place)) AS e ORDER BY place"
_TYPED = sql.SQL(", ").join(sql.SQL("{name}::{kind} AS {name}").format(name=sql.Identifier(name), kind=sql.SQL(kind)) for name, kind in _ALL.items())
_NAMES = sql.SQL(", ").join(sql.Identifier(name) for name in _ALL)
_GIVEN_ARRAYS = sql.SQL(", ").join([sql.SQL("%s::text[]")] * len(_ALL))


def until(deadline: float) -> Callable[[uuid.UUID], None]:
    """A check that raises TooExpensive after a moment of `time.monotonic`."""

    def check(reached: uuid.UUID) -> None:
        if time.monotonic() > deadline:
            raise TooExpensive(searched_to=moment_of_id(reached))

    return check


def is_asked(tree: Node, tier: str) -> bool:
    """Does the tree ask for entries of `tier`?"""
    return all(node.tier == tier for node in conjuncts(tree) if isinstance(node, TierIs))


def cold_rows(
    cursor: Any,
    tenant_id: uuid.UUID,
    tree: Node,
    window: Window,
    *,
    check: Callable[[uuid.UUID], None],
    is_ascending: bool = False,
    batches: frozenset[int] | None = None,
) -> Iterator[ColdRow] | None:
    """The archived rows in a window, as `extensions.ColdTier.rows` has them; None if there can't be any, or none are asked for."""
    tier = cold_tier()
    if tier is None or window.low >= window.high or not is_asked(tree, "cold"):
        return None
    return tier.rows(cursor, ColdQuestion(tenant_id, tree, window.low, window.high, check, is_ascending, batches))


def cold_row(cursor: Any, tenant_id: uuid.UUID, tree: Node, id: uuid.UUID) -> ColdRow | None:
    """The archived entry with this id, if `tree` finds it. Whoever asks has asked PostgreSQL before."""
    if id == HIGHEST:
        return None
    check = until(time.monotonic() + settings.AUDITLOG_SEARCH_TIMEOUT_SECONDS)
    rows = cold_rows(cursor, tenant_id, tree, Window(id, uuid.UUID(int=id.int + 1)), check=check)
    return None if rows is None else next(rows, None)


def selected(cursor: Any, columns: Sequence[sql.Composable], rows: Sequence[ColdRow]) -> list[Any]:
    """What PostgreSQL makes of archived rows: `columns` are expressions over the columns of `auditlog.logs_entry_view` but `words`."""
    if not rows:
        return []
    statement = sql.SQL(_SELECT_GIVEN).format(columns=sql.SQL(", ").join(columns), typed=_TYPED, arrays=_GIVEN_ARRAYS, names=_NAMES)
    cursor.execute(statement, values_by_column(rows))
    return list(cursor.fetchall())


def values_by_column(rows: Sequence[ColdRow]) -> list[list[str | None]]:
    """Archived rows as one array of texts for each of ENTRY_COLUMNS and BATCH_COLUMNS, as `columns.INSERT_KEYED_ENTRIES` takes them."""
    return [[None if value is None else str(value) for value in column] for column in zip(*map(_literal, rows), strict=True)]


def _literal(row: ColdRow) -> list[Any]:
    values = list(row[: _BATCH_INDEX + 1])
    for index in _ARRAYS:
        if values[index] is not None:
            values[index] = array_literal(values[index])
    return values


def completed(
    cursor: Any,
    tenant_id: uuid.UUID,
    tree: Node,
    columns: Sequence[sql.Composable],
    hot: list[Any],
    window: Window,
    *,
    limit: int,
    is_ascending: bool,
    check: Callable[[uuid.UUID], None],
) -> list[Any]:
    """The first `limit` rows of both tiers. `hot`: PostgreSQL's first `limit` in the window, in order; each row begins with `ID`.

    `columns` begin with `ID` too. The archive is asked for what lies before the last of `hot`, or, if these are fewer, in all of the window.
    """
    if len(hot) >= limit:
        last = uuid.UUID(hot[-1][0])
        window = Window(window.low, min(window.high, last)) if is_ascending else Window(max(window.low, uuid.UUID(int=last.int + 1)), window.high)
    rows = cold_rows(cursor, tenant_id, tree, window, is_ascending=is_ascending, check=check)
    if rows is None:
        return hot
    known = {row[0] for row in hot}
    cold = list(itertools.islice((row for row in rows if row[0] not in known), limit))
    if not cold:
        return hot
    both = [*hot, *selected(cursor, columns, cold)]
    both.sort(key=lambda row: row[0], reverse=not is_ascending)
    return both[:limit]


def chunks(rows: Iterator[ColdRow], max_rows: int, max_characters: int) -> Iterator[list[ColdRow]]:
    """Archived rows, so many at a time at most, or as many as have so many characters."""
    chunk: list[ColdRow] = []
    characters = 0
    for row in rows:
        chunk.append(row)
        characters += sum(len(value) for value in row if isinstance(value, str))
        if len(chunk) >= max_rows or characters >= max_characters:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk
