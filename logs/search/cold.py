"""From the tree to a filter over Parquet files in the form of `logs.storage.parquet.ENTRY_SCHEMA`.

A filter has three parts, from cheap to dear: what the statistics of a row group can rule out (`may_hold`), an Arrow expression over
whole columns, and the predicate over one entry. The first two hold wherever the predicate does (they are necessary); together they
are exactly the predicate, and where the expression says it all (`is_exact`), rows need not be looked at one by one.
"""

from __future__ import annotations

import functools
import ipaddress
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from logs.models import Outcome, Severity
from logs.search import metadata
from logs.search.predicate import Predicate, predicate_of
from logs.search.tree import (
    AddressWithin,
    All,
    AnyOf,
    FieldChanged,
    HasPhrase,
    MetadataCompared,
    MetadataExists,
    MetadataIs,
    MetadataStarts,
    Node,
    Not,
    OutcomeIs,
    SeverityIs,
    TextIs,
    TextStarts,
    TierIs,
    TimestampBefore,
    TimestampFrom,
)
from logs.search.words import Phrase
from logs.storage.ids import floor_id

# Of a column: its least and its greatest value, and whether there are nulls; None where nothing is known.
Statistics: TypeAlias = Callable[[str], tuple[str, str] | None]
# Where the words of an entry stand (`words.entry_text`).
_TEXT_COLUMNS = ("message", "metadata", "resource_id", "user_id", "resource_type")
_ASCII_RUN = re.compile(r"[\x21-\x7e]+")
# Text that is the same in JSON, however it is written there.
_PLAIN = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")


@dataclass(frozen=True)
class ColdFilter:
    """`expression`: over `columns` of the file; None: nothing can be left out. `is_exact`: it holds for the matches and nothing else."""

    expression: pc.Expression | None
    columns: tuple[str, ...]
    is_exact: bool
    predicate: Predicate
    _tree: Node

    def may_hold(self, statistics: Statistics) -> bool:
        """Can there be a match among rows with these statistics?"""
        return _may_hold(self._tree, statistics)


def cold_filter_of(node: Node) -> ColdFilter:
    """The filter that `node` stands for, asked of archived entries."""
    tree = as_cold(node)
    exact = _exact(tree)
    expression = exact if exact is not None else _necessary(tree)
    is_everything = isinstance(tree, All) and not tree.nodes
    return ColdFilter(
        None if is_everything else expression,
        tuple(dict.fromkeys(_columns(tree))) if expression is not None else (),
        exact is not None,
        predicate_of(tree),
        tree,
    )


def as_cold(node: Node) -> Node:
    """The tree as it reads for entries in segments."""
    match node:
        case TierIs(tier):
            return All() if tier == "cold" else AnyOf()
        case All(nodes):
            return All(tuple(kept for member in nodes if (kept := as_cold(member)) != All()))
        case AnyOf(nodes):
            return AnyOf(tuple(as_cold(member) for member in nodes))
        case Not(inner):
            return Not(as_cold(inner))
        case _:
            return node


def _necessary(node: Node) -> pc.Expression | None:  # one for each kind of node
    """An expression that holds for every row that `node` holds for, and is never null."""
    exact = _exact(node)
    if exact is not None:
        return exact
    match node:
        case All(nodes):
            known = [found for member in nodes if (found := _necessary(member)) is not None]
            return functools.reduce(operator.and_, known) if known else None
        case AnyOf(nodes):
            found = [_necessary(member) for member in nodes]
            return None if any(one is None for one in found) else _any([one for one in found if one is not None])
        case AddressWithin(networks):
            return _address_within(networks)
        case HasPhrase(phrase):
            needles = _needles(phrase)
            return _all([_any([_contains(column, needle) for column in _TEXT_COLUMNS]) for needle in needles]) if needles else None
        case FieldChanged():
            return pc.field("changed_fields").is_valid()
        case MetadataIs(path, value):
            is_word_alone = metadata.meanings(value) == [value]
            return _metadata_has([*path, *([value] if is_word_alone else [])])
        case MetadataStarts(path, _) | MetadataExists(path) | MetadataCompared(path):
            return _metadata_has(path)
        case _:
            return None


def _exact(node: Node) -> pc.Expression | None:  # one for each kind of node
    """An expression that holds for the rows that `node` holds for and no other, and is never null; None if there is none."""
    match node:
        case TextIs(field, values):
            return _present(field, _is_one_of(field, values))
        case TextStarts(field, prefix):
            return _present(field, pc.starts_with(pc.field(field), pattern=prefix))
        case SeverityIs(numbers):
            return _is_one_of("severity", [Severity(number).label for number in numbers])
        case OutcomeIs(numbers):
            return _is_one_of("outcome", [Outcome(number).label for number in numbers])
        case TimestampFrom(moment):
            return pc.field("id") >= str(floor_id(moment))
        case TimestampBefore(moment):
            return pc.field("id") < str(floor_id(moment))
        case Not(inner):
            exact = _exact(inner)
            return None if exact is None else ~exact
        case All(nodes):
            found = [_exact(member) for member in nodes]
            return None if any(one is None for one in found) else _all([one for one in found if one is not None])
        case AnyOf(nodes):
            found = [_exact(member) for member in nodes]
            return None if any(one is None for one in found) else _any([one for one in found if one is not None])
        case _:
            return None


def _all(expressions: Sequence[pc.Expression]) -> pc.Expression:
    return functools.reduce(operator.and_, expressions) if expressions else pc.scalar(True)


def _any(expressions: Sequence[pc.Expression]) -> pc.Expression:
    return functools.reduce(operator.or_, expressions) if expressions else pc.scalar(False)


def _is_one_of(field: str, values: Sequence[str]) -> pc.Expression:
    return pc.field(field).isin(pa.array(values, pa.string()))


def _present(field: str, expression: pc.Expression) -> pc.Expression:
    return pc.field(field).is_valid() & expression


def _contains(column: str, needle: str) -> pc.Expression:
    # Lowered as a whole: to compare without regard to case knows nothing of letters beyond ASCII that become one of ASCII.
    found = pc.match_substring(pc.utf8_lower(pc.field(column)), pattern=needle)
    return pc.coalesce(found, pc.scalar(False))


def _needles(phrase: Phrase) -> list[str]:
    """What lowered text holds if it holds the phrase. Of words with other letters only what is ASCII: whoever lowers a letter does so by the
    Unicode of their own year, but they are of one mind about ASCII (a test says so)."""
    found = [max(runs, key=len) for word in phrase.words if (runs := _ASCII_RUN.findall(word))]
    return list(dict.fromkeys(found))


def _address_within(networks: Sequence[str]) -> pc.Expression:
    parsed = [ipaddress.ip_network(network) for network in networks]
    # Of addresses of IPv6 PostgreSQL writes some otherwise than Python.
    if not all(network.version == 4 and network.num_addresses == 1 for network in parsed):
        return pc.field("ip_address").is_valid()
    hosts = [str(network.network_address) for network in parsed]
    masked = [pc.starts_with(pc.field("ip_address"), pattern=f"{host}/") for host in hosts]
    return _present("ip_address", _any([_is_one_of("ip_address", hosts), *masked]))


def _metadata_has(texts: Sequence[str]) -> pc.Expression:
    """The metadata hold each of these texts as a string or key."""
    plain = [text for text in texts if _PLAIN.fullmatch(text)]
    quoted = [msgspec.json.encode(text).decode() for text in plain]
    return _all([pc.field("metadata").is_valid(), *[pc.coalesce(pc.match_substring(pc.field("metadata"), pattern=text), pc.scalar(False)) for text in quoted]])


def _columns(node: Node) -> Iterator[str]:  # one for each kind of node
    """The columns that an expression of `node` may name."""
    match node:
        case TextIs(field) | TextStarts(field):
            yield field
        case SeverityIs():
            yield "severity"
        case OutcomeIs():
            yield "outcome"
        case TimestampFrom() | TimestampBefore():
            yield "id"
        case AddressWithin():
            yield "ip_address"
        case HasPhrase():
            yield from _TEXT_COLUMNS
        case FieldChanged():
            yield "changed_fields"
        case MetadataIs() | MetadataStarts() | MetadataExists() | MetadataCompared():
            yield "metadata"
        case Not(inner):
            yield from _columns(inner)
        case All(nodes) | AnyOf(nodes):
            for member in nodes:
                yield from _columns(member)
        case _:
            return


def _may_hold(node: Node, statistics: Statistics) -> bool:
    match node:
        case TextIs(field, values):
            return _is_between(statistics(field), values)
        case TextStarts(field, prefix):
            known = statistics(field)
            return known is None or (known[0][: len(prefix)] <= prefix <= known[1][: len(prefix)])
        case SeverityIs(numbers):
            return _is_between(statistics("severity"), [str(Severity(number).label) for number in numbers])
        case OutcomeIs(numbers):
            return _is_between(statistics("outcome"), [str(Outcome(number).label) for number in numbers])
        case All(nodes):
            return all(_may_hold(member, statistics) for member in nodes)
        case AnyOf(nodes):
            return any(_may_hold(member, statistics) for member in nodes)
        case _:
            # Bounds in time are bounds of ids, by which row groups are chosen to begin with.
            return True


def _is_between(known: Any, values: Sequence[str]) -> bool:
    return known is None or any(known[0] <= value <= known[1] for value in values)
