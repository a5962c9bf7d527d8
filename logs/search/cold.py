"""From the tree to a filter over Parquet files in the form of `logs.storage.parquet.ENTRY_SCHEMA`.

A filter has two parts: an Arrow expression, by which whole files, row groups and rows are left out without being looked at, and the
predicate that every row which is left has to pass. The expression holds wherever the predicate does (it is necessary); together
they are exactly the predicate.
"""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass

import pyarrow.compute as pc

from logs.models import Outcome, Severity
from logs.search.predicate import Predicate, predicate_of
from logs.search.tree import All, AnyOf, Node, Not, OutcomeIs, SeverityIs, TextIs, TextStarts, TimestampBefore, TimestampFrom
from logs.storage.ids import floor_id


@dataclass(frozen=True)
class ColdFilter:
    """`expression`: over the columns of the file; None: nothing can be left out."""

    expression: pc.Expression | None
    predicate: Predicate


def cold_filter_of(node: Node) -> ColdFilter:
    """The filter that `node` stands for."""
    return ColdFilter(_necessary(node), predicate_of(node))


def _necessary(node: Node) -> pc.Expression | None:
    """An expression that holds for every row that `node` holds for."""
    match node:
        case All(nodes):
            known = [found for member in nodes if (found := _necessary(member)) is not None]
            return functools.reduce(operator.and_, known) if known else None
        case AnyOf(nodes) if nodes:
            found = [_necessary(member) for member in nodes]
            return None if any(one is None for one in found) else functools.reduce(operator.or_, [one for one in found if one is not None])
        case Not(inner):
            exact = _exact(inner)
            return None if exact is None else ~exact
        case _:
            return _exact(node)


def _exact(node: Node) -> pc.Expression | None:
    """An expression that holds for the rows that `node` holds for and no other, and is never null; None if there is none."""
    match node:
        case TextIs(field, values):
            return _present(field, pc.field(field).isin(list(values)))
        case TextStarts(field, prefix):
            return _present(field, pc.starts_with(pc.field(field), pattern=prefix))
        case SeverityIs(numbers):
            return pc.field("severity").isin([Severity(number).label for number in numbers])
        case OutcomeIs(numbers):
            return pc.field("outcome").isin([Outcome(number).label for number in numbers])
        case TimestampFrom(moment):
            return pc.field("id") >= str(floor_id(moment))
        case TimestampBefore(moment):
            return pc.field("id") < str(floor_id(moment))
        case Not(inner):
            exact = _exact(inner)
            return None if exact is None else ~exact
        case _:
            return None


def _present(field: str, expression: pc.Expression) -> pc.Expression:
    return pc.field(field).is_valid() & expression
