"""Reading one tenant's log from the database: its head, tiles, records and kept checkpoints.

Everything here needs a cursor of `storage.reading.tenant_transaction`, and sees the log of the tenant that it names.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from auditlog_verify.merkle import HASH_BYTES, leaf_hash, leaf_hashes, perfect_root
from logs.errors import IntegrityViolation
from logs.integrity.tiles import Piece, node_from, piece_of
from logs.integrity.tree import Node

# Plan: the key, one row.
SELECT_HEAD = "SELECT origin, tree_size, peaks, root_hash, checkpoint, signed_at FROM auditlog.logs_head_view"
# Batches that hold the positions [low, high). Plan: logs_batch_position, from the one that begins at or before `low`.
SELECT_BATCHES = """
SELECT id, first_position, entry_count, records, committed_at, lowest_id, highest_id FROM auditlog.logs_batch_view
WHERE first_position IS NOT NULL AND first_position < %(high)s
  AND first_position >= coalesce((SELECT max(first_position) FROM auditlog.logs_batch_view WHERE first_position <= %(low)s), 0)
ORDER BY first_position
"""
# Plan: the key of each tile.
SELECT_TILES = """
SELECT t.level, t.tile_index, t.hashes FROM auditlog.logs_tile_view AS t
JOIN unnest(%s::smallint[], %s::bigint[]) AS wanted (level, tile_index) USING (level, tile_index)
"""
# Of entries by (batch, index): the position, NULL while it has none, and the record. Plan: the key of each batch.
SELECT_POSITIONS = """
SELECT place, b.first_position + wanted.batch_index, substr(b.records, 32 * wanted.batch_index + 1, 32)
FROM unnest(%s::bigint[], %s::integer[]) WITH ORDINALITY AS wanted (batch_id, batch_index, place)
JOIN auditlog.logs_batch_view AS b ON b.id = wanted.batch_id
"""


@dataclass(frozen=True)
class Head:
    """A tenant's log as it stands. `checkpoint` is the signed note."""

    origin: str
    tree_size: int
    peaks: bytes
    root_hash: bytes
    checkpoint: str
    signed_at: datetime.datetime


@dataclass(frozen=True)
class Batch:
    """A sequenced batch. `records`: 32 bytes for each of its entries, in order of `batch_index`."""

    id: int
    first_position: int
    entry_count: int
    records: bytes
    committed_at: datetime.datetime
    lowest_id: Any
    highest_id: Any

    @property
    def end(self) -> int:
        """The position after its last."""
        return self.first_position + self.entry_count

    def record(self, position: int) -> bytes:
        """The record at a position of the log."""
        start = (position - self.first_position) * HASH_BYTES
        return self.records[start : start + HASH_BYTES]


@dataclass(frozen=True)
class Place:
    """Where an entry stands: its position, None while it has none, and its record (32 bytes)."""

    position: int | None
    record: bytes

    @property
    def leaf_hash(self) -> bytes:
        return leaf_hash(self.record)


def read_head(cursor: Any) -> Head | None:
    """The log's head; None if nothing is sequenced yet."""
    cursor.execute(SELECT_HEAD)
    row = cursor.fetchone()
    if row is None:
        return None
    origin, tree_size, peaks, root_hash, checkpoint, signed_at = row
    return Head(origin, tree_size, bytes(peaks), bytes(root_hash), checkpoint, signed_at)


def read_batches(cursor: Any, low: int, high: int) -> list[Batch]:
    """The batches that hold the positions `[low, high)`, in order; the first and last may reach beyond."""
    cursor.execute(SELECT_BATCHES, {"low": low, "high": high})
    return [Batch(id, first, count, bytes(records), *rest) for id, first, count, records, *rest in cursor.fetchall()]


def read_records(cursor: Any, low: int, high: int) -> bytes:
    """The records at `[low, high)`, 32 bytes each. Raises IntegrityViolation if some are not there."""
    pieces: list[bytes] = []
    position = low
    for batch in read_batches(cursor, low, high):
        if batch.first_position > position or batch.end <= position:
            break
        pieces.append(batch.records[(position - batch.first_position) * HASH_BYTES : (min(high, batch.end) - batch.first_position) * HASH_BYTES])
        position = min(high, batch.end)
    records = b"".join(pieces)
    if len(records) != (high - low) * HASH_BYTES:
        raise IntegrityViolation(f"the log has no record at position {low + len(records) // HASH_BYTES}")
    return records


def read_tiles(cursor: Any, tiles: Iterable[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """The stored hashes of tiles (level from 1, index): as many as there are by now."""
    wanted = list(tiles)
    if not wanted:
        return {}
    cursor.execute(SELECT_TILES, [[level for level, _ in wanted], [index for _, index in wanted]])
    return {(level, index): bytes(hashes) for level, index, hashes in cursor.fetchall()}


def read_places(cursor: Any, entries: Iterable[tuple[int, int]]) -> list[Place | None]:
    """The place of each entry, given as (batch id, batch index). None where there is no such batch."""
    wanted = list(entries)
    cursor.execute(SELECT_POSITIONS, [[batch for batch, _ in wanted], [index for _, index in wanted]])
    found = {place: Place(position, bytes(record)) for place, position, record in cursor.fetchall()}
    return [found.get(place) for place in range(1, len(wanted) + 1)]


class StoredNodes:
    """The nodes of the cursor's log, a `tree.NodeReader`. Raises IntegrityViolation for one that is not stored."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __call__(self, nodes: Iterable[Node]) -> Mapping[Node, bytes]:
        pieces = {node: piece_of(node) for node in nodes}
        tiles = read_tiles(self._cursor, {(piece.level, piece.index) for piece in pieces.values() if piece.level})
        found = {node: _node_in(tiles, piece) for node, piece in pieces.items() if piece.level}
        for low, members in _runs(node for node, piece in pieces.items() if not piece.level):
            leaves = leaf_hashes(read_records(self._cursor, low, max(map(_end, members))))
            for node in members:
                start = (node.index << node.level) - low
                found[node] = perfect_root(leaves[start : start + (1 << node.level)])
        return found


def _node_in(tiles: Mapping[tuple[int, int], bytes], piece: Piece) -> bytes:
    hashes = tiles.get((piece.level, piece.index), b"")[piece.start * HASH_BYTES : (piece.start + piece.count) * HASH_BYTES]
    if len(hashes) != piece.count * HASH_BYTES:
        raise IntegrityViolation(f"the tile {piece.level}/{piece.index} lacks hashes from {piece.start} on")
    return node_from(hashes, piece.count)


def _runs(nodes: Iterable[Node]) -> Iterator[tuple[int, list[Node]]]:
    """Nodes over leaves, gathered by the tile of level 0 that they lie in: the first leaf, and the nodes in order."""
    by_tile: dict[int, list[Node]] = defaultdict(list)
    for node in sorted(nodes, key=lambda node: node.index << node.level):
        by_tile[(node.index << node.level) >> 8].append(node)
    for members in by_tile.values():
        yield members[0].index << members[0].level, members


def _end(node: Node) -> int:
    return (node.index + 1) << node.level
