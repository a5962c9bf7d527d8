"""Tiles: paths as C2SP tlog-tiles writes them, and the tree that is cut into them, whatever the steps in which it grew."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditlog_verify.merkle import HASH_BYTES, Edge, leaf_hashes
from logs.integrity.tiles import Tile, bundle, node_from, parse_path, path_of, piece_of, width_in
from logs.integrity.tree import Node, consistency_path, inclusion_path, root_at
from logs.sequencer.planning import WaitingBatch, grow
from tests.unit.auditlog_verify.test_merkle import Nodes


# From the specification: "index 1234067 is encoded as x001/x234/067".
@pytest.mark.parametrize(
    ("rest", "tile"),
    [
        ("x001/x234/067", Tile(0, 1_234_067)),
        ("000", Tile(0, 0)),
        ("999", Tile(0, 999)),
        ("x001/000", Tile(0, 1000)),
        ("x001/x234/067.p/8", Tile(0, 1_234_067, 8)),
        ("273.p/255", Tile(0, 273, 255)),
    ],
)
def test_path_of_a_tile_is_read_and_written(rest: str, tile: Tile) -> None:
    assert parse_path("0", rest) == tile
    assert path_of(tile) == rest


@pytest.mark.parametrize("level", ["", "x", "00", "64", "-1", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_level_written_otherwise_is_none(level: str) -> None:
    assert parse_path(level, "000") is None


@pytest.mark.parametrize("rest", ["", "0", "0000", "x000/001", "001/002", "x01/002", "000.p/0", "000.p/256", "000.p/", "000.p/01", "000/", "x999/" * 7 + "999"])
def test_index_written_otherwise_is_none(rest: str) -> None:
    assert parse_path("0", rest) is None


@given(st.integers(0, 2**63 - 1), st.integers(1, 256), st.integers(0, 63))
def test_every_tile_has_one_path(index: int, width: int, level: int) -> None:
    tile = Tile(level, index, width)
    assert parse_path(str(level), path_of(tile)) == tile


@pytest.mark.parametrize(
    ("level", "index", "size", "width"), [(0, 0, 0, 0), (0, 0, 7, 7), (0, 0, 300, 256), (0, 1, 300, 44), (0, 2, 300, 0), (1, 0, 256 * 5 + 3, 5)]
)
def test_width_in_a_tree(level: int, index: int, size: int, width: int) -> None:
    assert width_in(level, index, size) == width


def test_bundle_has_the_length_before_each_record() -> None:
    one, two = sha256(b"1").digest(), sha256(b"2").digest()
    assert bundle(one + two) == b"\x00\x20" + one + b"\x00\x20" + two


class Grown:
    """A log that grows in memory as the database's does, and gives its nodes from its tiles (level 0 from the records)."""

    def __init__(self) -> None:
        self.edge = Edge()
        self.records = b""
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.positions: dict[int, int] = {}

    def grow(self, *batches: WaitingBatch) -> None:
        growth = grow(self.edge, batches)
        for write in growth.tiles:
            assert write.place * HASH_BYTES == len(self.tiles.get((write.level, write.index), b""))
            self.tiles[write.level, write.index] = self.tiles.get((write.level, write.index), b"") + write.hashes
        self.edge = growth.edge
        self.records += b"".join(batch.records for batch in batches)
        self.positions |= dict(growth.positions)

    def __call__(self, nodes: Iterable[Node]) -> dict[Node, bytes]:
        found = {}
        for node in nodes:
            piece = piece_of(node)
            if piece.level:
                hashes = self.tiles[piece.level, piece.index]
            else:
                hashes = b"".join(leaf_hashes(self.records[piece.index * 256 * HASH_BYTES : (piece.index + 1) * 256 * HASH_BYTES]))
            found[node] = node_from(hashes[piece.start * HASH_BYTES : (piece.start + piece.count) * HASH_BYTES], piece.count)
        return found


@given(st.lists(st.lists(st.integers(1, 700), min_size=1, max_size=4), min_size=1, max_size=5), st.data())
@settings(deadline=None, max_examples=40)
def test_log_grown_in_any_rounds_gives_the_tree_of_its_records(rounds: list[list[int]], data: st.DataObject) -> None:
    log, number, expected = Grown(), 0, {}
    for sizes in rounds:
        batches: list[WaitingBatch] = []
        for size in sizes:
            expected[number] = log.edge.size + sum(batch.entry_count for batch in batches)
            batches.append(WaitingBatch(number, size, b"".join(sha256(b"%d/%d" % (number, place)).digest() for place in range(size))))
            number += 1
        log.grow(*batches)
    leaves = leaf_hashes(log.records)
    assert log.positions == expected
    assert log.edge == Edge().append(leaves)[0]
    assert log.edge.size == len(leaves)
    size = data.draw(st.integers(1, len(leaves)))
    index = data.draw(st.integers(0, size - 1))
    whole = Nodes(leaves)
    assert root_at(size, log) == Edge().append(leaves[:size])[0].root
    assert inclusion_path(index, size, log) == inclusion_path(index, size, whole)
    assert consistency_path(index + 1, size, log) == consistency_path(index + 1, size, whole)
    assert all(len(hashes) == width_in(level, tile, len(leaves)) * HASH_BYTES for (level, tile), hashes in log.tiles.items())
