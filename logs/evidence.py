"""Evidence bundles: the entries that a question finds, each with its proof (format: `auditlog_verify.bundle`).

Promises: one checkpoint proves them all; a page of entries at a time is held in memory; what is made checks with the public key alone;
it ends within seconds of its asker losing the right to it.
"""

from __future__ import annotations

import datetime
import itertools
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from django.conf import settings
from django.http import QueryDict

from accounts.principals import Principal
from accounts.problems import Fault, NotAllowed
from auditlog_verify.bundle import FORMAT, Footer, Header, Member
from logs.errors import InvalidQuery
from logs.integrity import keys
from logs.integrity.entries import canonical_bytes
from logs.integrity.proving import head_of
from logs.integrity.storage import Head, StoredNodes, read_places
from logs.integrity.tree import inclusion_paths
from logs.search.filters import filters_of
from logs.search.finding import Search
from logs.search.parameters import number_in
from logs.search.sight import asked_by
from logs.search.tree import All
from logs.storage.columns import INDEX, STORED_WITH_BATCH
from logs.storage.reading import tenant_transaction

PAGE_ENTRIES = 500
DEFAULT_LIMIT = 10_000
MAX_LIMIT = 1_000_000
LOOK_SECONDS = 2.0
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class EvidenceQuestion:
    """Which entries are to be proven. `tree` holds what the principal may see too; `words`: the question as it was asked."""

    principal: Principal
    tree: All
    words: str
    limit: int


def evidence_question_of(query: QueryDict, principal: Principal) -> EvidenceQuestion:
    """The question in a query string: the filters of search, and `limit`. Raises InvalidQuery."""
    asked = filters_of(query, "limit", "format").tree()
    limit = number_in(query, "limit")
    if limit is not None and not 1 <= limit <= MAX_LIMIT:
        raise InvalidQuery([Fault("limit", "bad_limit", f"limit has to be a whole number from 1 to {MAX_LIMIT}.")])
    words = query.copy()
    for name in ("limit", "format"):
        words.pop(name, None)
    return EvidenceQuestion(principal, asked_by(principal, asked), words.urlencode(), limit or DEFAULT_LIMIT)


def write_evidence(question: EvidenceQuestion, may_go_on: Callable[[], bool]) -> Iterator[bytes]:
    """The bundle, line by line, newest entries first. Raises NotFound, before the first line, while nothing is sequenced.

    `may_go_on` is asked every LOOK_SECONDS: may the asker have the rest? If not, NotAllowed is raised.
    """
    tenant_id = question.principal.tenant_id
    with tenant_transaction(tenant_id) as cursor:
        head = head_of(cursor)
    header = Header(
        format=FORMAT,
        origin=head.origin,
        tenant=str(tenant_id),
        made_at=datetime.datetime.now(datetime.UTC),
        question=question.words,
        keys=[key.encoded for key in keys.verifier_keys(head.origin)],
        checkpoint=head.checkpoint,
    )
    pages = _pages(question, head, may_go_on)
    # Before the first byte: a question that takes too long is refused like any other.
    return _lines(header, itertools.chain([next(pages)], pages))


class CountedLines:
    """The lines of an evidence bundle, counted as they go by."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._count = 0
        self._is_over = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            line = next(self._lines)
        except StopIteration:
            self._is_over = True
            raise
        self._count += line.count(b"\n")
        return line

    @property
    def entries(self) -> int:
        """How many of them are entries: all but the header and the footer."""
        return max(self._count - 1 - self._is_over, 0)


@dataclass(frozen=True)
class _Page:
    """Entries with their proofs; how many had no position yet; and whether there are more that the question finds."""

    members: list[Member]
    waiting: int
    has_more: bool


def _lines(header: Header, pages: Iterable[_Page]) -> Iterator[bytes]:
    yield _encode(header) + b"\n"
    written = waiting = 0
    has_more = False
    for page in pages:
        yield b"".join(_encode(member) + b"\n" for member in page.members)
        written += len(page.members)
        waiting += page.waiting
        has_more = page.has_more
    yield _encode(Footer(written, waiting, has_more)) + b"\n"


def _pages(question: EvidenceQuestion, head: Head, may_go_on: Callable[[], bool]) -> Iterator[_Page]:
    """At least one page. Raises TooExpensive."""
    tenant_id, now = question.principal.tenant_id, datetime.datetime.now(datetime.UTC)
    written = 0
    after: uuid.UUID | None = None
    has_more = True
    look_at = time.monotonic() + LOOK_SECONDS
    while has_more and written < question.limit:
        if time.monotonic() > look_at:
            if not may_go_on():
                raise NotAllowed("Whoever asked for the bundle may no longer export what it would hold.")
            look_at = time.monotonic() + LOOK_SECONDS
        wanted = min(PAGE_ENTRIES, question.limit - written)
        with tenant_transaction(tenant_id, settings.AUDITLOG_SEARCH_TIMEOUT_SECONDS) as cursor:
            rows = Search(cursor, tenant_id, question.tree, STORED_WITH_BATCH, now).rows(wanted + 1, after=after)
            has_more = len(rows) > wanted
            rows = rows[:wanted]
            members = _members(cursor, rows, head)
        written += len(members)
        after = uuid.UUID(rows[-1][INDEX["id"]]) if rows else None
        yield _Page(members, len(rows) - len(members), has_more)


def _members(cursor: Any, rows: list[Any], head: Head) -> list[Member]:
    """The rows that have a position under `head`, proven by it."""
    places = read_places(cursor, [(row[-2], row[-1]) for row in rows]) if rows else []
    found = [
        (place.position, row)
        for place, row in zip(places, rows, strict=True)
        if place is not None and place.position is not None and place.position < head.tree_size
    ]
    paths = inclusion_paths([position for position, _ in found], head.tree_size, StoredNodes(cursor))
    return [Member(position, canonical_bytes(row).decode(), path) for (position, row), path in zip(found, paths, strict=True)]
