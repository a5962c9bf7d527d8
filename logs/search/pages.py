"""Asking the log: one entry by its id, or a page of entries, newest first, by keyset."""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass

from django.conf import settings
from django.http import QueryDict
from psycopg import sql

from accounts.principals import Principal
from accounts.problems import Fault
from logs.errors import InvalidQuery
from logs.search import cursor as cursors
from logs.search.cursor import Cursor, Direction
from logs.search.filters import filters_of, words_of_question
from logs.search.finding import Search
from logs.search.highlighting import Highlighter
from logs.search.output import COLUMNS, EntryOutput, entries_of
from logs.search.parameters import flag_in
from logs.search.sight import asked_by, find_one, select_one
from logs.search.sql import Condition
from logs.search.tree import All
from logs.storage.reading import tenant_transaction

DEFAULT_LIMIT = 50
MAX_LIMIT = 1000
_ALL_COLUMNS = sql.SQL(", ").join(COLUMNS)


@dataclass(frozen=True)
class Question:
    """What a principal asks: `tree` holds what they may see too. `highlighted`: what they asked, if its words are to be marked."""

    principal: Principal
    tree: All
    # Tells this question from others; the page within its answer does not count.
    identity: bytes
    limit: int = DEFAULT_LIMIT
    cursor: Cursor | None = None
    highlighted: All | None = None


@dataclass(frozen=True)
class Page:
    """Entries, newest first, and the cursors to the pages beside them (None: there is nothing)."""

    entries: list[EntryOutput]
    next: str | None
    previous: str | None


def identity_of(principal: Principal, query: QueryDict) -> bytes:
    """Tells this principal's question from others; the page within its answer does not count."""
    return f"{principal.tenant_id} {principal.restriction.digest} ".encode("utf-8", "surrogatepass") + words_of_question(query)


def question_of(query: QueryDict, principal: Principal) -> Question:
    """The question in a query string. Raises InvalidQuery."""
    asked = filters_of(query, "limit", "cursor", "order", "highlight").tree()
    identity = identity_of(principal, query)
    text = query.get("cursor")
    cursor = cursors.decode(text, identity) if text else None
    return Question(principal, asked_by(principal, asked), identity, limit_of(query), cursor, asked if flag_in(query, "highlight") else None)


def limit_of(query: QueryDict) -> int:
    """How many entries a page is to have. Raises InvalidQuery."""
    limit = query.get("limit", str(DEFAULT_LIMIT))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 6 and 1 <= int(limit) <= MAX_LIMIT):
        raise InvalidQuery([Fault("limit", "bad_limit", f"limit has to be a whole number from 1 to {MAX_LIMIT}.")])
    return int(limit)


def find_page(question: Question) -> Page:
    """The page that `question` asks for."""
    cursor, limit = question.cursor, question.limit
    goes_back = cursor is not None and cursor.direction is Direction.NEWER
    after = cursor.id if cursor is not None and not goes_back else None
    before = cursor.id if cursor is not None and goes_back else None
    tenant_id, now = question.principal.tenant_id, datetime.datetime.now(datetime.UTC)
    with tenant_transaction(tenant_id, settings.AUDITLOG_SEARCH_TIMEOUT_SECONDS) as database:
        # One more than asked tells whether there is another page, without counting.
        rows = Search(database, tenant_id, question.tree, COLUMNS, now).rows(limit + 1, after=after, before=before)
        has_more = len(rows) > limit
        rows = rows[:limit]
        if goes_back:
            rows.reverse()
        highlight = Highlighter(question.highlighted).highlights if question.highlighted is not None else None
        entries = entries_of(database, rows, tenant_id, may_decrypt=question.principal.may_decrypt, highlight=highlight)
    has_older = has_more if not goes_back else True
    has_newer = has_more if goes_back else cursor is not None
    identity = question.identity
    return Page(
        entries,
        next=Cursor(Direction.OLDER, uuid.UUID(entries[-1].id)).encode(identity) if entries and has_older else None,
        previous=Cursor(Direction.NEWER, uuid.UUID(entries[0].id)).encode(identity) if entries and has_newer else None,
    )


def find_entry(principal: Principal, id: uuid.UUID) -> EntryOutput | None:
    """The entry with this id, if there is one that the principal may see."""
    with tenant_transaction(principal.tenant_id) as database:
        row = find_one(database, COLUMNS, id, principal)
        entries = entries_of(database, [] if row is None else [row], principal.tenant_id, may_decrypt=principal.may_decrypt)
    return entries[0] if entries else None


def find_by_id(principal: Principal, id: uuid.UUID) -> Condition:
    """The query of one entry. A plain equality on the key: PostgreSQL goes to one partition (tested by EXPLAIN)."""
    return select_one(_ALL_COLUMNS, id, principal)
