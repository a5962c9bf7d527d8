"""The Merkle tree against published vectors and against implementations that are not ours.

Vectors: the reference tree of the certificate-transparency project (`merkletree/merkle_tree_test.cc`, also used by
transparency-dev/merkle in `testonly/constants.go`): eight leaves, their roots, inclusion and consistency paths.
"""

from __future__ import annotations

import random
from hashlib import sha256
from typing import Any

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditlog_verify.merkle import (
    EMPTY_ROOT,
    Edge,
    ProofError,
    check_consistency,
    check_inclusion,
    leaf_hash,
    leaf_hashes,
    node_hash,
    parents,
    perfect_root,
    root_of,
)
from logs.integrity.tree import Node, consistency_path, edge_at, inclusion_path, root_at
from tests import merkle_reference

LEAVES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
INCLUSION = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): INCLUSION[0, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


class Nodes:
    """All perfect subtrees over some leaf hashes, a `tree.NodeReader`."""

    def __init__(self, leaves: list[bytes]) -> None:
        self._rows = [leaves]
        while len(self._rows[-1]) > 1:
            self._rows.append(parents(self._rows[-1]))

    def __call__(self, nodes: object) -> dict[Node, bytes]:
        return {node: self._rows[node.level][node.index] for node in nodes}  # type: ignore[attr-defined]


def records(count: int) -> list[bytes]:
    return [sha256(b"%d" % number).digest() for number in range(count)]


@pytest.mark.parametrize("size", ROOTS)
def test_roots_of_reference_tree(size: int) -> None:
    assert root_of([leaf_hash(leaf) for leaf in LEAVES[:size]]).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_inclusion_paths_of_reference_tree(index: int, size: int) -> None:
    expected = [bytes.fromhex(step) for step in INCLUSION[index, size]]
    leaves = [leaf_hash(leaf) for leaf in LEAVES]
    assert inclusion_path(index, size, Nodes(leaves)) == expected
    check_inclusion(leaf_hash=leaves[index], leaf_index=index, tree_size=size, inclusion_path=expected, root_hash=bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("first", "second"), CONSISTENCY)
def test_consistency_paths_of_reference_tree(first: int, second: int) -> None:
    expected = [bytes.fromhex(step) for step in CONSISTENCY[first, second]]
    assert consistency_path(first, second, Nodes([leaf_hash(leaf) for leaf in LEAVES])) == expected
    roots = {"first_root": bytes.fromhex(ROOTS[first]), "second_root": bytes.fromhex(ROOTS[second])}
    check_consistency(first_size=first, second_size=second, consistency_path=expected, **roots)


@pytest.mark.parametrize("size", range(1, 66))
def test_every_proof_is_that_of_the_rfc(size: int) -> None:
    entries = records(size)
    nodes = Nodes(leaf_hashes(b"".join(entries)))
    assert root_at(size, nodes) == merkle_reference.mth(entries)
    for index in range(size):
        assert inclusion_path(index, size, nodes) == merkle_reference.path(index, entries)
        assert consistency_path(index + 1, size, nodes) == merkle_reference.proof(index + 1, entries)


def test_proofs_verify_with_pymerkle_at_every_size_to_a_thousand() -> None:
    entries = records(1000)
    leaves = leaf_hashes(b"".join(entries))
    nodes = Nodes(leaves)
    theirs = pymerkle.InmemoryTree(algorithm="sha256")
    picker = random.Random(1)
    edge = Edge()
    for size in range(1, 1001):
        theirs.append_entry(entries[size - 1])
        edge, _ = edge.append([leaves[size - 1]])
        assert edge.root == theirs.get_root(size)
        _pymerkle_agrees(theirs, nodes, leaves, picker.randrange(size), picker.randint(1, size), size)


@pytest.mark.parametrize("seed", range(3))
def test_proofs_verify_with_pymerkle_at_large_sizes(seed: int) -> None:
    picker = random.Random(seed)
    size = picker.randint(2_000, 40_000)
    entries = records(size)
    leaves = leaf_hashes(b"".join(entries))
    nodes = Nodes(leaves)
    theirs = pymerkle.InmemoryTree(algorithm="sha256")
    theirs.append_entries(entries)
    for _ in range(20):
        _pymerkle_agrees(theirs, nodes, leaves, picker.randrange(size), picker.randint(1, size), size)


def _pymerkle_agrees(theirs: pymerkle.InmemoryTree, nodes: Nodes, leaves: list[bytes], index: int, first: int, size: int) -> None:
    """pymerkle's verifier takes our leaf, our path and our root; ours takes its path."""
    proof = theirs.prove_inclusion(index + 1, size)
    ours = inclusion_path(index, size, nodes)
    root = root_at(size, nodes)
    check_inclusion(leaf_hash=leaves[index], leaf_index=index, tree_size=size, inclusion_path=proof.path[1:], root_hash=theirs.get_root(size))
    proof.path = [leaves[index], *ours]
    pymerkle.verify_inclusion(leaves[index], root, proof, index=index + 1, size=size)
    path = consistency_path(first, size, nodes)
    pymerkle.verify_consistency(root_at(first, nodes), root, theirs.prove_consistency(first, size), prior_size=first, later_size=size)
    check_consistency(first_size=first, first_root=theirs.get_root(first), second_size=size, second_root=theirs.get_root(size), consistency_path=path)


@given(st.lists(st.integers(0, 300), max_size=8))
@settings(deadline=None)
def test_appending_in_any_steps_gives_one_tree(steps: list[int]) -> None:
    leaves = leaf_hashes(b"".join(records(sum(steps))))
    edge, nodes = Edge(), dict[int, list[bytes]]()
    for step in steps:
        edge, added = edge.append(leaves[edge.size : edge.size + step])
        for level, hashes in added.items():
            nodes.setdefault(level, []).extend(hashes)
    assert edge == Edge().append(leaves)[0]
    row = leaves
    for level in sorted(nodes):
        assert nodes[level] == row
        row = parents(row)
    if leaves:
        assert edge_at(len(leaves), Nodes(leaves)) == edge


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_altered_inclusion_proof_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 70))
    index = data.draw(st.integers(0, size - 1))
    leaves = leaf_hashes(b"".join(records(size)))
    path = inclusion_path(index, size, Nodes(leaves))
    asked: dict[str, Any] = {"leaf_hash": leaves[index], "leaf_index": index, "tree_size": size, "inclusion_path": path, "root_hash": root_of(leaves)}
    check_inclusion(**asked)
    other = bytes(32)
    change: dict[str, Any] = data.draw(
        st.sampled_from(
            [{"leaf_hash": other}, {"leaf_index": index + 1}, {"leaf_index": -1}, {"inclusion_path": [*path, other]}, {"root_hash": other}]
            + ([{"inclusion_path": path[:-1]}, {"inclusion_path": [*path[:-1], other]}, {"inclusion_path": [*path[:-1], b"x"]}] if path else [])
        )
    )
    with pytest.raises(ProofError):
        check_inclusion(**asked | change)


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_altered_consistency_proof_is_refused(data: st.DataObject) -> None:
    second = data.draw(st.integers(1, 70))
    first = data.draw(st.integers(1, second))
    nodes = Nodes(leaf_hashes(b"".join(records(second))))
    path = consistency_path(first, second, nodes)
    asked: dict[str, Any] = {
        "first_size": first,
        "first_root": root_at(first, nodes),
        "second_size": second,
        "second_root": root_at(second, nodes),
        "consistency_path": path,
    }
    check_consistency(**asked)
    other = bytes(32)
    change: dict[str, Any] = data.draw(
        st.sampled_from(
            [{"first_root": other}, {"second_root": other}, {"first_size": second + 1}, {"first_size": -1}, {"consistency_path": [*path, other]}]
            + ([{"consistency_path": path[:-1]}, {"consistency_path": [*path[:-1], other]}, {"consistency_path": [*path[:-1], b"x"]}] if path else [])
        )
    )
    with pytest.raises(ProofError):
        check_consistency(**asked | change)


def test_empty_tree_is_the_beginning_of_every_tree() -> None:
    root = root_of([leaf_hash(b"x")])
    check_consistency(first_size=0, first_root=EMPTY_ROOT, second_size=1, second_root=root, consistency_path=[])
    with pytest.raises(ProofError, match="empty tree"):
        check_consistency(first_size=0, first_root=root, second_size=1, second_root=root, consistency_path=[])


def test_edge_refuses_a_wrong_number_of_peaks() -> None:
    with pytest.raises(ValueError, match="2 peaks, not 1"):
        Edge(3, (bytes(32),))


def test_perfect_root_is_that_of_the_nodes() -> None:
    a, b, c, d = leaf_hashes(b"".join(records(4)))
    assert perfect_root([a, b, c, d]) == node_hash(node_hash(a, b), node_hash(c, d))


@pytest.mark.parametrize(("index", "size"), [(3, 3), (-1, 3)])
def test_no_path_for_a_leaf_outside(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        inclusion_path(index, size, Nodes([]))


def test_no_consistency_of_a_larger_with_a_smaller_tree() -> None:
    with pytest.raises(ValueError, match="does not begin"):
        consistency_path(4, 3, Nodes([]))
