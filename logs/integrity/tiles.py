"""Tiles: the tree cut into pieces of eight levels, as C2SP tlog-tiles lays them out. Pure.

Tile (L, N) holds the nodes of level 8·L with the indexes 256·N to 256·N+255, or as many of them as are complete. Level 0 is
not stored: its hashes follow from the records of the batches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auditlog_verify.merkle import HASH_BYTES, perfect_root
from logs.integrity.tree import Node

HEIGHT = 8
WIDTH = 1 << HEIGHT
# A tree of 2**63 leaves has its root in level 7.
MAX_LEVEL = 7
_INDEX = re.compile(r"(?:x\d{3}/)*\d{3}")
_WIDTH = re.compile(r"[1-9]\d{0,2}")


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile by its place. `width`: how many hashes it has, 1..256."""

    level: int
    index: int
    width: int = WIDTH


@dataclass(frozen=True, slots=True)
class Piece:
    """`count` hashes of the tile (level, index) from the place `start` on, all below one node."""

    level: int
    index: int
    start: int
    count: int


def width_in(level: int, index: int, size: int) -> int:
    """How many hashes the tile has in a tree of `size` leaves: 0..256."""
    return max(0, min(WIDTH, (size >> HEIGHT * level) - index * WIDTH))


def parse_path(level: str, rest: str) -> Tile | None:
    """The tile of a path `<L>/<N>[.p/<W>]`; None if it is written in another way."""
    if not (level.isascii() and level.isdigit() and str(int(level)) == level and int(level) <= 63):
        return None
    index, has_width, width = rest.partition(".p/")
    if not index.isascii() or not _INDEX.fullmatch(index) or index.startswith("x000/"):
        return None
    if has_width and not (_WIDTH.fullmatch(width) and int(width) < WIDTH):
        return None
    number = int(index.replace("/", "").replace("x", ""))
    return Tile(int(level), number, int(width) if has_width else WIDTH) if number < 2**63 else None


def path_of(tile: Tile) -> str:
    """The path of a tile below `tile/<L>/` or `tile/entries/`."""
    groups: list[str] = []
    number = tile.index
    while True:
        number, group = divmod(number, 1000)
        groups.append(f"{'x' if groups else ''}{group:03d}")
        if not number:
            break
    path = "/".join(reversed(groups))
    return path if tile.width == WIDTH else f"{path}.p/{tile.width}"


def piece_of(node: Node) -> Piece:
    """The hashes of a tile that the node's hash follows from."""
    level, above = divmod(node.level, HEIGHT)
    first = node.index << above
    return Piece(level, first // WIDTH, first % WIDTH, 1 << above)


def node_from(hashes: bytes, count: int) -> bytes:
    """The node over the `count` hashes (32 × count bytes) of a piece."""
    return perfect_root([hashes[start : start + HASH_BYTES] for start in range(0, count * HASH_BYTES, HASH_BYTES)])


def tile_hashes(nodes: Mapping[int, Iterable[bytes]]) -> dict[int, bytes]:
    """What newly complete `nodes` (by level, see `Edge.append`) add to the stored tiles: hashes by tile level."""
    return {level // HEIGHT: b"".join(hashes) for level, hashes in nodes.items() if level and level % HEIGHT == 0}


def cut(start: int, hashes: bytes) -> list[tuple[int, int, bytes]]:
    """Hashes of one tile level from the index `start` on, tile by tile: (tile index, place within it, hashes)."""
    pieces = []
    while hashes:
        index, place = divmod(start, WIDTH)
        length = (WIDTH - place) * HASH_BYTES
        pieces.append((index, place, hashes[:length]))
        hashes, start = hashes[length:], start + WIDTH - place
    return pieces


def bundle(records: bytes) -> bytes:
    """An entry bundle of tlog-tiles: each record (32 of 32 × n bytes) with its length as two bytes before it."""
    length = HASH_BYTES.to_bytes(2, "big")
    return b"".join(length + records[start : start + HASH_BYTES] for start in range(0, len(records), HASH_BYTES))
