"""What is asked of the log, as a tree of values. Nothing here knows SQL or HTTP.

Three things are made of it, which give the same answer (a property test says so): SQL (`sql`), a predicate over one entry
(`predicate`), and a filter over Parquet files (`cold`).
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from logs.search.words import Phrase

# Where entries are kept: in PostgreSQL, or in the archive's segments.
Tier: TypeAlias = Literal["hot", "cold"]
TextField: TypeAlias = Literal["user_id", "action", "resource_type", "resource_id", "request_id", "session_id", "source"]


class Comparison(enum.Enum):
    """How a number is compared."""

    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="


@dataclass(frozen=True)
class TextIs:
    """The field is one of `values`."""

    field: TextField
    values: tuple[str, ...]


@dataclass(frozen=True)
class TextStarts:
    """The field is there and begins with `prefix`."""

    field: TextField
    prefix: str


@dataclass(frozen=True)
class SeverityIs:
    """The severity (its number) is one of `values`."""

    values: tuple[int, ...]


@dataclass(frozen=True)
class OutcomeIs:
    """The outcome (its number) is one of `values`."""

    values: tuple[int, ...]


@dataclass(frozen=True)
class AddressWithin:
    """The address lies in one of `networks`, in CIDR notation; a single address is a network of one."""

    networks: tuple[str, ...]


@dataclass(frozen=True)
class TimestampFrom:
    """The timestamp is at or after `moment`."""

    moment: datetime.datetime


@dataclass(frozen=True)
class TimestampBefore:
    """The timestamp is before `moment`."""

    moment: datetime.datetime


@dataclass(frozen=True)
class HasPhrase:
    """The words stand next to one another in the entry's text (`words.entry_text`)."""

    phrase: Phrase


@dataclass(frozen=True)
class FieldChanged:
    """`before` and `after` differ in this top-level key."""

    name: str


@dataclass(frozen=True)
class MetadataIs:
    """What stands at `path` (keys, from the outside in) is `value`, or an array with it among its members.

    `value` is text as it was asked for: it means the string, and also the number, true, false or null that it reads as.
    """

    path: tuple[str, ...]
    value: str


@dataclass(frozen=True)
class MetadataStarts:
    """What stands at `path` is a string that begins with `prefix`."""

    path: tuple[str, ...]
    prefix: str


@dataclass(frozen=True)
class MetadataExists:
    """Something stands at `path`, be it null."""

    path: tuple[str, ...]


@dataclass(frozen=True)
class MetadataCompared:
    """What stands at `path` is a number, and compares so with `number`."""

    path: tuple[str, ...]
    comparison: Comparison
    number: Decimal


@dataclass(frozen=True)
class TierIs:
    """The entry is kept in `tier`. It says which readers are asked (`tiers`), and nothing of the entry: only ever one of the outermost conditions."""

    tier: Tier


@dataclass(frozen=True)
class All:
    """Every one of `nodes` holds; none: everything does."""

    nodes: tuple[Node, ...] = ()


@dataclass(frozen=True)
class AnyOf:
    """At least one of `nodes` holds; none: nothing does."""

    nodes: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Not:
    """`node` does not hold. What is not there equals nothing, so `Not` holds for it."""

    node: Node


Leaf: TypeAlias = (
    TextIs
    | TextStarts
    | SeverityIs
    | OutcomeIs
    | AddressWithin
    | TimestampFrom
    | TimestampBefore
    | HasPhrase
    | FieldChanged
    | MetadataIs
    | MetadataStarts
    | MetadataExists
    | MetadataCompared
    | TierIs
)
Node: TypeAlias = Leaf | All | AnyOf | Not


def conjuncts(node: Node) -> Iterator[Node]:
    """The nodes that all have to hold for `node` to hold; `All` is taken apart, however deep."""
    if isinstance(node, All):
        for member in node.nodes:
            yield from conjuncts(member)
    else:
        yield node


def leaves(node: Node) -> Iterator[Leaf]:
    """The conditions that a node is made of, those below `Not` too."""
    match node:
        case All(nodes) | AnyOf(nodes):
            for member in nodes:
                yield from leaves(member)
        case Not(inner):
            yield from leaves(inner)
        case _:
            yield node
