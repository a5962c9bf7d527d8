"""The rows of an export from both tiers: PostgreSQL's from the snapshot, merged with those that were archived at its moment.

Archived rows pass through PostgreSQL (`search.tiers.selected`), so that every format writes them letter by letter as it wrote them before.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from logs.export.opening import transaction_of_now
from logs.export.selecting import Selection
from logs.export.snapshot import PAGE_BYTES, PAGE_ROWS, Rows, Snapshot
from logs.extensions import ColdRow
from logs.search.tiers import ID, chunks, is_asked, selected
from logs.search.windows import bounds_of

# Archived rows are brought into form by so many at most.
CHUNK_ROWS = 500


def pages_of(snapshot: Snapshot, selection: Selection, weigh: Callable[[Sequence[Any]], int]) -> Iterator[Rows]:
    """The rows of a selection in their order, a bounded page at a time. Raises psycopg.Error, ArchiveUnavailable."""
    archived = snapshot.archived(selection.tree, bounds_of(selection.tree), is_ascending=selection.is_ascending)
    if archived is None:
        yield from snapshot.pages(selection.statement(), weigh)
        return
    hot: Iterable[Any] = ()
    if is_asked(selection.tree, "hot"):
        hot = itertools.chain.from_iterable(snapshot.pages(selection.statement(ID), lambda row: weigh(row[1:])))
    both = heapq.merge(hot, _formed(selection, archived), key=lambda row: row[0], reverse=not selection.is_ascending)
    page: list[Sequence[Any]] = []
    size = 0
    for row in itertools.islice(_once(both), selection.limit):
        page.append(row[1:])
        size += weigh(page[-1])
        if len(page) >= PAGE_ROWS or size >= PAGE_BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page


def _once(rows: Iterable[Any]) -> Iterator[Any]:
    """Of rows with the same id the first: that of PostgreSQL."""
    last = None
    for row in rows:
        if row[0] != last:
            last = row[0]
            yield row


def _formed(selection: Selection, rows: Iterator[ColdRow]) -> Iterator[Any]:
    columns = [ID, *selection.columns]
    for chunk in chunks(rows, CHUNK_ROWS, PAGE_BYTES):
        with transaction_of_now(selection.tenant_id) as database:
            formed = selected(database, columns, chunk)
        yield from formed
