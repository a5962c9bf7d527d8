"""The Merkle tree of RFC 9162 (§2.1) with SHA-256: hashes, roots, and the checking of proofs.

A *record* is what the log holds of an entry (32 bytes); its *leaf hash* stands in the tree. All hashes are 32 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

HASH_BYTES = 32
# MTH({}): the root of the tree without leaves.
EMPTY_ROOT = sha256().digest()


class ProofError(ValueError):
    """A proof does not show what it should. The message says why."""


def leaf_hash(record: bytes) -> bytes:
    """SHA-256(0x00 ‖ record)."""
    return sha256(b"\x00" + record).digest()


def leaf_hashes(records: bytes) -> list[bytes]:
    """The leaf hash of each record; `records`: 32 × n bytes."""
    return [sha256(b"\x00" + records[start : start + HASH_BYTES]).digest() for start in range(0, len(records), HASH_BYTES)]


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


def parents(hashes: Sequence[bytes]) -> list[bytes]:
    """The nodes above pairs of neighbours. A last one without neighbour has none."""
    return [sha256(b"\x01" + left + right).digest() for left, right in zip(hashes[::2], hashes[1::2], strict=False)]


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of neighbouring nodes."""
    while len(hashes) > 1:
        hashes = parents(hashes)
    return hashes[0]


@dataclass(frozen=True)
class Edge:
    """A tree as what is needed to append to it: the roots of its perfect subtrees, one for each 1 in `size`, largest first.

    (A "compact range" from 0, in the words of transparency-dev/merkle.)
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.peaks) != self.size.bit_count():
            raise ValueError(f"a tree of {self.size} leaves has {self.size.bit_count()} peaks, not {len(self.peaks)}")

    @property
    def root(self) -> bytes:
        """The root hash."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def append(self, hashes: Sequence[bytes]) -> tuple[Edge, dict[int, list[bytes]]]:
        """The tree with more leaves, given their leaf hashes, and the nodes that became complete by that.

        `nodes[level]` are the new perfect subtrees over 2**level leaves, in order; the first has the index `self.size >> level`.
        """
        size = self.size + len(hashes)
        waiting = dict(zip(_levels(self.size), self.peaks, strict=True))
        nodes: dict[int, list[bytes]] = {}
        peaks: dict[int, bytes] = {}
        new, level = list(hashes), 0
        while new or waiting:
            if new:
                nodes[level] = new
            left = waiting.pop(level, None)
            row = new if left is None else [left, *new]
            if len(row) % 2:
                peaks[level] = row[-1]
            new, level = parents(row), level + 1
        return Edge(size, tuple(peaks[level] for level in _levels(size))), nodes


def _levels(size: int) -> Iterator[int]:
    """The levels of the peaks of a tree, highest first."""
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            yield level


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root hash over all of these leaf hashes."""
    return Edge().append(hashes)[0].root


def check_inclusion(*, leaf_hash: bytes, leaf_index: int, tree_size: int, inclusion_path: Sequence[bytes], root_hash: bytes) -> None:
    """Check that the leaf is in the tree at this index (RFC 9162 §2.1.3.2). Raises ProofError."""
    if not 0 <= leaf_index < tree_size:
        raise ProofError(f"leaf index {leaf_index} is outside of a tree of {tree_size} leaves")
    node, last, root = leaf_index, tree_size - 1, leaf_hash
    for step in inclusion_path:
        if len(step) != HASH_BYTES:
            raise ProofError("a hash of the inclusion path has not 32 bytes")
        if last == 0:
            raise ProofError("the inclusion path is too long")
        if node & 1 or node == last:
            root = node_hash(step, root)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, step)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError("the inclusion path is too short")
    if root != root_hash:
        raise ProofError("the inclusion path does not lead from the leaf to the root")


def check_consistency(*, first_size: int, first_root: bytes, second_size: int, second_root: bytes, consistency_path: Sequence[bytes]) -> None:
    """Check that the first tree is the beginning of the second (RFC 9162 §2.1.4.2). Raises ProofError.

    The empty tree is the beginning of every tree, and a tree of itself, by an empty path.
    """
    if not 0 <= first_size <= second_size:
        raise ProofError(f"a tree of {second_size} leaves does not begin with one of {first_size}")
    if any(len(step) != HASH_BYTES for step in consistency_path):
        raise ProofError("a hash of the consistency path has not 32 bytes")
    if first_size in (0, second_size):
        _check_without_path(first_size, first_root, second_size, second_root, consistency_path)
        return
    path = list(consistency_path)
    if first_size & (first_size - 1) == 0:
        # The first tree is a node of the second, so its root is the path's first hash and left out.
        path.insert(0, first_root)
    if not path:
        raise ProofError("the consistency path is too short")
    node, last = first_size - 1, second_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = path[0]
    for step in path[1:]:
        if last == 0:
            raise ProofError("the consistency path is too long")
        if node & 1 or node == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, step)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError("the consistency path is too short")
    if first != first_root:
        raise ProofError("the consistency path does not lead to the first root")
    if second != second_root:
        raise ProofError("the consistency path does not lead to the second root")


def _check_without_path(first_size: int, first_root: bytes, second_size: int, second_root: bytes, consistency_path: Sequence[bytes]) -> None:
    """The consistency of the empty tree with any, and of a tree with itself."""
    if consistency_path:
        raise ProofError("the consistency path is too long")
    if first_size == second_size and first_root != second_root:
        raise ProofError("two trees of one size have different roots")
    if first_size == 0 and first_root != EMPTY_ROOT:
        raise ProofError("the root of the empty tree is wrong")
