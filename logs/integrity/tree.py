"""Which nodes of the tree answer a question about it: proofs and roots of any size, from perfect subtrees.

Pure. A *node* is a perfect subtree, named by its level (over 2**level leaves) and its index among those of its level.
RFC 9162 §2.1.1 (roots), §2.1.3.1 (inclusion), §2.1.4.1 (consistency).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from auditlog_verify.merkle import EMPTY_ROOT, Edge, node_hash


@dataclass(frozen=True, slots=True)
class Node:
    """A perfect subtree: leaves `index << level` to `(index + 1) << level`."""

    level: int
    index: int


Span: TypeAlias = tuple[int, int]
# Gives the hash of each of some nodes.
NodeReader: TypeAlias = Callable[[Iterable[Node]], Mapping[Node, bytes]]


def root_at(size: int, read: NodeReader) -> bytes:
    """The root hash of the first `size` leaves."""
    return _hashes([(0, size)], read)[0] if size else EMPTY_ROOT


def edge_at(size: int, read: NodeReader) -> Edge:
    """The first `size` leaves as what is needed to append to them."""
    nodes = _nodes((0, size))
    found = read(nodes)
    return Edge(size, tuple(found[node] for node in nodes))


def inclusion_path(index: int, size: int, read: NodeReader) -> list[bytes]:
    """The inclusion path of the leaf at `index` in the tree of the first `size` leaves, from the leaf up."""
    return inclusion_paths([index], size, read)[0]


def inclusion_paths(indexes: Sequence[int], size: int, read: NodeReader) -> list[list[bytes]]:
    """The inclusion path of each of several leaves, by one reading of all nodes that they need."""
    spans = [_inclusion_spans(index, size) for index in indexes]
    hashes = iter(_hashes([span for path in spans for span in path], read))
    return [[next(hashes) for _ in path] for path in spans]


def _inclusion_spans(index: int, size: int) -> list[Span]:
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is outside of a tree of {size}")
    spans: list[Span] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            spans.append((middle, high))
            high = middle
        else:
            spans.append((low, middle))
            low = middle
    return spans[::-1]


def consistency_path(first: int, second: int, read: NodeReader) -> list[bytes]:
    """The consistency path from the tree of the first `first` leaves to that of the first `second`."""
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {second} leaves does not begin with one of {first}")
    if first in (0, second):
        return []
    spans: list[Span] = []
    low, high = 0, second
    while high != first:
        middle = low + _split(high - low)
        if first <= middle:
            spans.append((middle, high))
            high = middle
        else:
            spans.append((low, middle))
            low = middle
    if low:
        spans.append((low, high))
    return _hashes(spans[::-1], read)


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def _nodes(span: Span) -> list[Node]:
    """The perfect subtrees that make up `span`, left to right. `span` begins where a subtree of the tree does."""
    low, high = span
    found = []
    while low < high:
        level = (high - low).bit_length() - 1
        found.append(Node(level, low >> level))
        low += 1 << level
    return found


def _hashes(spans: Sequence[Span], read: NodeReader) -> list[bytes]:
    """The hash of each span, by one reading of all nodes that they need."""
    parts = [_nodes(span) for span in spans]
    found = read([node for nodes in parts for node in nodes])
    hashes = []
    for nodes in parts:
        result = found[nodes[-1]]
        for node in reversed(nodes[:-1]):
            result = node_hash(found[node], result)
        hashes.append(result)
    return hashes
