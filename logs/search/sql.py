"""From the tree to SQL over the tenant view. Values travel as parameters, never as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import sql

from logs.search.tree import AddressWithin, All, Node, OutcomeIs, SeverityIs, TextIs, TimestampBefore, TimestampFrom
from logs.storage.ids import floor_id


class Condition(NamedTuple):
    """A boolean SQL expression and its parameters."""

    text: sql.Composable
    parameters: tuple[Any, ...] = ()


def condition_of(node: Node) -> Condition:
    """The condition that `node` stands for."""
    match node:
        case TextIs(field, values):
            return _is_one_of(sql.Identifier(field), "text", values)
        case SeverityIs(values):
            return _is_one_of(sql.Identifier("severity"), "smallint", values)
        case OutcomeIs(values):
            return _is_one_of(sql.Identifier("outcome"), "smallint", values)
        case AddressWithin(networks):
            # One comparison each: PostgreSQL turns `<<=` with a single network into a range of the index, ANY not.
            return _join(" OR ", [Condition(sql.SQL("ip_address <<= %s::inet"), (network,)) for network in networks])
        case TimestampFrom(moment):
            # Ids begin with the timestamp, so a range of time is a range of the key, and prunes partitions.
            return Condition(sql.SQL("id >= %s::uuid"), (floor_id(moment),))
        case TimestampBefore(moment):
            return Condition(sql.SQL("id < %s::uuid"), (floor_id(moment),))
        case All(nodes):
            return _join(" AND ", [condition_of(member) for member in nodes])


def select_page(columns: Sequence[sql.Composable], node: Node, *, after: UUID | None, before: UUID | None, limit: int) -> Condition:
    """The query of one page: newest first below `after`; or, going back, oldest first above `before`."""
    conditions = [condition_of(node)]
    if after is not None:
        conditions.append(Condition(sql.SQL("id < %s::uuid"), (after,)))
    if before is not None:
        conditions.append(Condition(sql.SQL("id > %s::uuid"), (before,)))
    where = _join(" AND ", [condition for condition in conditions if condition.text != _TRUE])
    # ORDER BY a bare `id` would mean the column of the answer, which is text, and sort everything instead of reading an index in order.
    text = sql.SQL("SELECT {} FROM auditlog.logs_entry_view AS e WHERE {} ORDER BY e.id {} LIMIT {}").format(
        sql.SQL(", ").join(columns), where.text, sql.SQL("DESC" if before is None else "ASC"), sql.Literal(limit)
    )
    return Condition(text, where.parameters)


_TRUE = sql.SQL("true")


def _is_one_of(column: sql.Composable, kind: str, values: Sequence[Any]) -> Condition:
    # With `=` the index gives its rows in order of id; with ANY they have to be sorted or merged.
    if len(values) == 1:
        return Condition(sql.SQL("{} = %s::{}").format(column, sql.SQL(kind)), (values[0],))
    return Condition(sql.SQL("{} = ANY(%s::{}[])").format(column, sql.SQL(kind)), (list(values),))


def _join(word: str, conditions: Sequence[Condition]) -> Condition:
    if not conditions:
        return Condition(_TRUE)
    if len(conditions) == 1:
        return conditions[0]
    text = sql.SQL("({})").format(sql.SQL(word).join(condition.text for condition in conditions))
    return Condition(text, tuple(parameter for condition in conditions for parameter in condition.parameters))
