"""The stored tiles against each other: from level 1 up to the root."""

from __future__ import annotations

from typing import Any

from auditlog_verify.merkle import HASH_BYTES, Edge, leaf_hashes
from logs.errors import IntegrityViolation
from logs.integrity.storage import read_records, read_tiles
from logs.integrity.tiles import HEIGHT, WIDTH, Tile, cut, path_of, tile_hashes
from logs.verification.findings import Finding, Kind


def tile_root(cursor: Any, size: int) -> tuple[bytes | None, list[Finding]]:
    """The root hash that the stored tiles of level 1, and the records after the last of them, give for `size` leaves; None if some are
    not there. And the tiles above that are not what follows from those."""
    findings: list[Finding] = []
    edge = Edge()
    above: dict[int, bytes] = {}
    groups = size >> HEIGHT
    for index in range((groups + WIDTH - 1) // WIDTH):
        wanted = min(WIDTH, groups - index * WIDTH)
        hashes = read_tiles(cursor, [(1, index)]).get((1, index), b"")[: wanted * HASH_BYTES]
        if len(hashes) != wanted * HASH_BYTES:
            findings.append(Finding(Kind.TILE_ALTERED, f"the tile {tile_name(1, index)} has {len(hashes) // HASH_BYTES} hashes of {wanted}"))
            return None, findings
        edge, nodes = edge.append(_split(hashes))
        for level, added in tile_hashes(nodes).items():
            above[level] = above.get(level, b"") + added
    for level, expected in above.items():
        pieces = cut(0, expected)
        stored = read_tiles(cursor, [(level + 1, index) for index, _, _ in pieces])
        for index, _, piece in pieces:
            if stored.get((level + 1, index), b"")[: len(piece)] != piece:
                findings.append(Finding(Kind.TILE_ALTERED, f"the tile {tile_name(level + 1, index)} is not what follows from the tiles below it"))
    try:
        rest = Edge().append(leaf_hashes(read_records(cursor, groups * WIDTH, size)))[0]
    except IntegrityViolation:
        return None, findings
    return Edge(size, edge.peaks + rest.peaks).root, findings


def tile_name(level: int, index: int) -> str:
    return f"{level}/{path_of(Tile(level, index))}"


def _split(hashes: bytes) -> list[bytes]:
    return [hashes[start : start + HASH_BYTES] for start in range(0, len(hashes), HASH_BYTES)]
