"""What a round comes to for one tenant: positions of its batches, new hashes of its tiles, its new tree. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditlog_verify.merkle import Edge, leaf_hashes
from logs.integrity.tiles import cut, tile_hashes


@dataclass(frozen=True, slots=True)
class WaitingBatch:
    """A committed batch without a position. `records`: 32 bytes for each entry."""

    id: int
    entry_count: int
    records: bytes


@dataclass(frozen=True, slots=True)
class TileWrite:
    """Hashes (32 × n bytes) to be appended to a tile that has `place` of them."""

    level: int
    index: int
    place: int
    hashes: bytes


@dataclass(frozen=True)
class Growth:
    """A tenant's log after a round. `positions`: (batch id, position of its first entry)."""

    edge: Edge
    positions: tuple[tuple[int, int], ...]
    tiles: tuple[TileWrite, ...]


def grow(edge: Edge, batches: Sequence[WaitingBatch]) -> Growth:
    """The log that `edge` comes to with the batches appended in this order."""
    positions: list[tuple[int, int]] = []
    leaves: list[bytes] = []
    for batch in batches:
        positions.append((batch.id, edge.size + len(leaves)))
        leaves += leaf_hashes(batch.records)
    grown, nodes = edge.append(leaves)
    tiles = [
        TileWrite(level, index, place, hashes) for level, added in tile_hashes(nodes).items() for index, place, hashes in cut(edge.size >> 8 * level, added)
    ]
    return Growth(grown, tuple(positions), tuple(tiles))
