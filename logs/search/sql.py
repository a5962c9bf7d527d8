"""From the tree to SQL over the tenant view. Values travel as parameters, never as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import sql

from logs.search import lexemes, metadata
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
from logs.storage.ids import day_ceiling, day_floor, floor_id


class Condition(NamedTuple):
    """A boolean SQL expression and its parameters."""

    text: sql.Composable
    parameters: tuple[Any, ...] = ()


def condition_of(node: Node, tenant_id: UUID) -> Condition:  # noqa: C901, PLR0911  # one for each kind of node
    """The condition that `node` stands for, over the columns of `auditlog.logs_entry_view`.

    Lexemes begin with the end of `tenant_id`.
    """
    words = lexemes.words_alone(node, lexemes.tenant_prefix(tenant_id))
    if words is not None:
        # However many words there are, and how combined: those of the entry are cut once.
        return Condition(_HAS_WORDS, (words,))
    match node:
        case TextIs(field, values):
            return _is_one_of(sql.Identifier(field), "text", values)
        case TextStarts(field, prefix):
            return Condition(sql.SQL("starts_with({}, %s::text)").format(sql.Identifier(field)), (prefix,))
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
        case HasPhrase(phrase):
            return _has_phrase(phrase, tenant_id)
        case FieldChanged(name):
            return Condition(sql.SQL("changed_fields @> ARRAY[%s]::text[]"), (name,))
        case MetadataIs() | MetadataStarts() | MetadataExists() | MetadataCompared():
            return _of_metadata(node)
        case TierIs(tier):
            # The view shows what is in PostgreSQL.
            return Condition(_TRUE if tier == "hot" else sql.SQL("false"))
        case Not(inner):
            found = condition_of(inner, tenant_id)
            # What is not there equals nothing: NULL counts as no.
            return Condition(sql.SQL("({}) IS NOT TRUE").format(found.text), found.parameters)
        case All(nodes):
            return _all_of(nodes, tenant_id)
        case AnyOf(nodes):
            return _any_of(nodes, tenant_id)


def necessary_of(node: Node, tenant_id: UUID) -> Condition | None:
    """What the index of words is asked before `node` itself is checked; None if it can say nothing."""
    found = lexemes.lexemes_of(node, lexemes.tenant_prefix(tenant_id))
    return None if found is None else Condition(_HAS_WORDS, (found,))


def condition_by_index_of(node: Node, tenant_id: UUID, *others: Condition) -> Condition:
    """The condition, what the index of words is asked for it, and `others`."""
    necessary = necessary_of(node, tenant_id)
    return both(condition_of(node, tenant_id), *([] if necessary is None else [necessary]), *others)


def both(*conditions: Condition) -> Condition:
    """All of the conditions."""
    return _join(" AND ", [condition for condition in conditions if condition.text != _TRUE])


def select_page(
    columns: Sequence[sql.Composable],
    node: Node,
    tenant_id: UUID,
    *,
    after: UUID | None = None,
    before: UUID | None = None,
    limit: int,
    is_ascending: bool | None = None,
) -> Condition:
    """The query of one page: newest first below `after`; or, going back, oldest first above `before`.

    With `is_ascending` both are bounds, and it says the order.
    """
    where = both(condition_of(node, tenant_id), *_bounds(after, before))
    ascending = before is not None if is_ascending is None else is_ascending
    # ORDER BY a bare `id` would mean the column of the answer, which is text, and sort everything instead of reading an index in order.
    text = sql.SQL("SELECT {} FROM auditlog.logs_entry_view AS e WHERE {} ORDER BY e.id {} LIMIT {}").format(
        sql.SQL(", ").join(columns), where.text, sql.SQL("ASC" if ascending else "DESC"), sql.Literal(limit)
    )
    return Condition(text, where.parameters)


def select_page_by_index(columns: Sequence[sql.Composable], node: Node, tenant_id: UUID, *, low: UUID, high: UUID, limit: int, is_ascending: bool) -> Condition:
    """The query of one page within `low <= id < high`, by whatever index finds the matches, which are then sorted.

    Two things keep the planner from reading the window entry by entry, which it would often do. OFFSET 0 is a fence: without it the
    planner expects to find the first matches soon. And the bounds of a part of a day are hidden from it in subqueries: of the newest
    entries its statistics know nothing, so it would believe that there are hardly any. It sees the day, for the partition.
    """
    day = day_floor(low), day_ceiling(high)
    bounds = [Condition(sql.SQL("id >= %s::uuid AND id < %s::uuid"), (low, high))]
    if day != (low, high) and day[0] == day_floor(UUID(int=high.int - 1)):
        hidden = sql.SQL("id >= %s::uuid AND id < %s::uuid AND id >= (SELECT %s::uuid) AND id < (SELECT %s::uuid)")
        bounds = [Condition(hidden, (*day, low, high))]
    where = condition_by_index_of(node, tenant_id, *bounds)
    text = sql.SQL("SELECT {} FROM (SELECT * FROM auditlog.logs_entry_view WHERE {} OFFSET 0) AS e ORDER BY e.id {} LIMIT {}").format(
        sql.SQL(", ").join(columns), where.text, sql.SQL("ASC" if is_ascending else "DESC"), sql.Literal(limit)
    )
    return Condition(text, where.parameters)


_TRUE = sql.SQL("true")
_HAS_WORDS = sql.SQL("words @@ %s::tsquery")


def _all_of(nodes: Sequence[Node], tenant_id: UUID) -> Condition:
    # Words last, together.
    alone = tuple(member for member in nodes if lexemes.words_alone(member, "") is not None)
    others = [condition_of(member, tenant_id) for member in nodes if member not in alone]
    return _join(" AND ", [*others, condition_of(All(alone), tenant_id)] if alone else others)


def _any_of(nodes: Sequence[Node], tenant_id: UUID) -> Condition:
    return _join(" OR ", [condition_of(member, tenant_id) for member in nodes]) if nodes else Condition(sql.SQL("false"))


def _bounds(after: UUID | None, before: UUID | None) -> list[Condition]:
    found = []
    if after is not None:
        found.append(Condition(sql.SQL("id < %s::uuid"), (after,)))
    if before is not None:
        found.append(Condition(sql.SQL("id > %s::uuid"), (before,)))
    return found


def _has_phrase(phrase: Phrase, tenant_id: UUID) -> Condition:
    necessary = Condition(_HAS_WORDS, (lexemes.lexemes_of(HasPhrase(phrase), lexemes.tenant_prefix(tenant_id)),))
    content = "auditlog.entry_text(user_id, resource_type, resource_id, message, metadata)"
    text = sql.SQL("({} AND strpos(auditlog.spaced_words(" + content + ", %s), %s) > 0)").format(necessary.text)
    return Condition(text, (*necessary.parameters, phrase.is_whole, phrase.needle))


def _of_metadata(node: MetadataIs | MetadataStarts | MetadataExists | MetadataCompared) -> Condition:
    match node:
        case MetadataIs(path, value):
            contained = [Condition(sql.SQL("metadata @> %s::jsonb"), (text,)) for text in metadata.containing(path, value)]
            return _join(" OR ", contained)
        case MetadataStarts(path, prefix):
            place = _place(path)
            text = sql.SQL("(jsonb_typeof({place}) = 'string' AND starts_with({place} #>> '{{}}', %s::text))").format(place=place.text)
            return Condition(text, (*place.parameters, *place.parameters, prefix))
        case MetadataExists(path):
            place = _place(path)
            return Condition(sql.SQL("{} IS NOT NULL").format(place.text), place.parameters)
        case MetadataCompared(path, comparison, number):
            place = _place(path)
            text = sql.SQL("CASE WHEN jsonb_typeof({place}) = 'number' THEN ({place})::numeric {sign} %s::numeric ELSE false END").format(
                place=place.text, sign=sql.SQL(comparison.value)
            )
            return Condition(text, (*place.parameters, *place.parameters, number))


def _place(path: Sequence[str]) -> Condition:
    """What stands at a path of keys. `->` with a text goes into objects only, never into an array."""
    return Condition(sql.SQL("(metadata" + " -> %s::text" * len(path) + ")"), tuple(path))


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
