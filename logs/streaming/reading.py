"""Entries by position for the live tail: read once, encoded once, and kept with the facts that predicates ask for.

All subscribers get the same bytes, so what is encrypted is shown to nobody here; who may decrypt asks for the entry.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from accounts.principals import Principal
from logs.integrity.storage import read_head
from logs.search.facts import Facts
from logs.search.finding import Search
from logs.search.output import COLUMNS, SELECTED, EntryOutput, entries_of
from logs.search.positions import rows_between
from logs.search.tree import All, TextField
from logs.storage.reading import tenant_transaction

_encode = msgspec.json.Encoder().encode
_PLACE = {name: index for index, name in enumerate(SELECTED)}
_TEXTS: tuple[TextField, ...] = ("user_id", "action", "resource_type", "resource_id", "request_id", "session_id", "source")
EVERYTHING = All()
# How many positions are looked through for the last entries, step by step from the end, before the index is asked.
LOOKED_BACK = (500, 2_000, 10_000)


class Streamed:
    """One entry on its way to subscribers. `encoded`: its JSON, made when it is first sent."""

    __slots__ = ("_encoded", "entry", "facts", "position")

    def __init__(self, position: int, entry: EntryOutput, facts: Facts) -> None:
        self.position = position
        self.entry = entry
        self.facts = facts
        self._encoded: bytes | None = None

    @property
    def encoded(self) -> bytes:
        if self._encoded is None:
            self._encoded = _encode(self.entry)
        return self._encoded


def tree_size_of(tenant_id: uuid.UUID) -> int:
    """How many entries of the tenant have a position."""
    with tenant_transaction(tenant_id) as database:
        head = read_head(database)
    return head.tree_size if head else 0


def read_after(tenant_id: uuid.UUID, after: int, limit: int, tree: All = EVERYTHING) -> tuple[list[Streamed], int, int]:
    """Up to `limit` positions above `after`: those of their entries that `tree` finds, the last position looked at, and the tree's size."""
    with tenant_transaction(tenant_id) as database:
        head = read_head(database)
        size = head.tree_size if head else 0
        if after >= size - 1:
            return [], after, size
        rows, end = rows_between(database, tenant_id, tree, after + 1, min(size, after + 1 + limit))
        return _streamed(database, tenant_id, rows), end - 1, size


def read_last(principal: Principal, tree: All, count: int) -> tuple[list[Streamed], int]:
    """The newest `count` entries that `tree` finds, in the order of positions, and the tree's size at that moment.

    Newest by position, as far as LOOKED_BACK says; a question that finds fewer there is answered with the newest by time.
    """
    tenant_id, now = principal.tenant_id, datetime.datetime.now(datetime.UTC)
    with tenant_transaction(tenant_id) as database:
        head = read_head(database)
        size = head.tree_size if head else 0
        found: list[tuple[int, Any]] = []
        high = size
        for width in LOOKED_BACK:
            if len(found) >= count or not high:
                return _streamed(database, tenant_id, found[-count:]), size
            low = max(0, high - width)
            found, high = _rows_of(database, tenant_id, tree, low, high) + found, low
        rows = Search(database, tenant_id, tree, COLUMNS, now).rows(count)
        entries = entries_of(database, rows, tenant_id, may_decrypt=False)
    placed = [
        Streamed(entry.integrity.position, entry, _facts_of(row))
        for entry, row in zip(entries, rows, strict=True)
        # What has no position yet, or got one since, comes live.
        if entry.integrity is not None and entry.integrity.position < size
    ]
    return sorted(placed, key=lambda streamed: streamed.position), size


def _rows_of(database: Any, tenant_id: uuid.UUID, tree: All, low: int, high: int) -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = []
    while low < high:
        rows, low = rows_between(database, tenant_id, tree, low, high)
        found += rows
    return found


def _streamed(database: Any, tenant_id: uuid.UUID, rows: Sequence[tuple[int, Any]]) -> list[Streamed]:
    entries = entries_of(database, [row for _, row in rows], tenant_id, may_decrypt=False)
    return [Streamed(position, entry, _facts_of(row)) for (position, row), entry in zip(rows, entries, strict=True)]


def _facts_of(row: Sequence[Any]) -> Facts:
    return Facts(
        id=uuid.UUID(row[_PLACE["id"]]),
        severity=int(row[_PLACE["severity"]]),
        outcome=int(row[_PLACE["outcome"]]),
        ip_address=row[_PLACE["ip_address"]],
        texts={name: row[_PLACE[name]] for name in _TEXTS},
        message=row[_PLACE["message"]],
        changed_fields=row[_PLACE["changed_fields"]] or (),
        metadata=row[_PLACE["metadata"]],
    )
