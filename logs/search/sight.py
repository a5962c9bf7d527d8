"""What a principal may see, as conditions: the one place where a restriction becomes part of a question.

Invariants:
- Whoever reads entries for a principal joins `what_they_may_see` to what is asked (`asked_by`), or asks `find_one`.
- In doubt nothing is seen: when a right has ended, and when a forced query can't be read (it was checked when it was kept).
"""

from __future__ import annotations

import datetime
import logging
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from psycopg import sql

from accounts.principals import Principal
from accounts.restrictions import Limits
from logs.errors import InvalidQuery
from logs.models import Severity
from logs.search.pseudonyms import with_pseudonyms
from logs.search.qualifiers import Reader
from logs.search.sql import Condition, both, condition_of
from logs.search.tiers import cold_row, selected
from logs.search.tree import All, AnyOf, Node, SeverityIs, TextIs, TimestampBefore, TimestampFrom, conjuncts

logger = logging.getLogger(__name__)
NOTHING: tuple[Node, ...] = (AnyOf(),)


def check_forced_query(text: str) -> None:
    """Raises InvalidQuery if the text is no query."""
    Reader(datetime.datetime.now(datetime.UTC)).tree(text)


def what_they_may_see(principal: Principal, now: datetime.datetime | None = None) -> tuple[Node, ...]:
    """Conditions that all hold for what the principal sees; none: it sees the whole log.

    `now`: the moment of the question, from which relative times count.
    """
    restriction = principal.restriction
    if not (restriction.parts or restriction.has_ended):
        return ()
    now = now or datetime.datetime.now(datetime.UTC)
    if restriction.is_over(now):
        return NOTHING
    try:
        nodes = [node for limits in restriction.parts for node in _nodes_of(limits, now)]
    except (InvalidQuery, KeyError) as error:
        logger.error("a restriction of %s can't be read, so nothing is seen: %s", principal.source, error)
        return NOTHING
    # Each once: a viewer token and its minter may say the same.
    return tuple(dict.fromkeys(nodes))


def asked_by(principal: Principal, asked: All, now: datetime.datetime | None = None) -> All:
    """What the principal asks, of what it may see."""
    return with_pseudonyms(principal, asked, what_they_may_see(principal, now))


def select_one(columns: sql.Composable, id: uuid.UUID, principal: Principal) -> Condition:
    """The query of one entry by its id, if the principal may see it. Plan: the key of one partition."""
    where = _is(id, principal)
    return Condition(sql.SQL("SELECT {} FROM auditlog.logs_entry_view AS e WHERE {}").format(columns, where.text), where.parameters)


def find_one(database: Any, columns: Sequence[sql.Composable], id: uuid.UUID, principal: Principal) -> Any | None:
    """The row of one entry, hot or archived, if there is one that the principal may see. `database`: a cursor in a transaction that names its tenant."""
    statement = select_one(sql.SQL(", ").join(columns), id, principal)
    database.execute(statement.text, statement.parameters)
    row = database.fetchone()
    if row is not None:
        return row
    archived = cold_row(database, principal.tenant_id, asked_by(principal, All(())), id)
    return None if archived is None else selected(database, columns, [archived])[0]


def _is(id: uuid.UUID, principal: Principal) -> Condition:
    return both(Condition(sql.SQL("id = %s::uuid"), (id,)), condition_of(asked_by(principal, All(())), principal.tenant_id))


def _nodes_of(limits: Limits, now: datetime.datetime) -> Iterator[Node]:
    if limits.resource_types:
        yield TextIs("resource_type", limits.resource_types)
    if limits.actions:
        yield TextIs("action", limits.actions)
    if limits.severities:
        yield SeverityIs(tuple(int(Severity[name]) for name in limits.severities))
    if limits.own_user_id is not None:
        yield TextIs("user_id", (limits.own_user_id,))
    if limits.own_source is not None:
        yield TextIs("source", (limits.own_source,))
    if limits.from_at is not None:
        yield TimestampFrom(limits.from_at)
    if limits.until_at is not None:
        yield TimestampBefore(limits.until_at)
    if limits.forced_query:
        # Taken apart, so that its bounds in time narrow what is looked through.
        yield from conjuncts(Reader(now).tree(limits.forced_query))
