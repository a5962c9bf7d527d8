"""One request as a timeline: its entries over all resources and services, oldest first, and what they come to.

Promises: the first entry that the principal may see is the zero of its clock, so nothing tells of others; a page is read by keyset;
the summary is of all pages, and costs at most `MAX_SUMMARISED` rows however many entries share the id.
"""

from __future__ import annotations

import datetime
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Protocol

import msgspec
from django.conf import settings
from django.http import QueryDict
from msgspec import Meta
from psycopg import sql

from accounts.principals import Principal
from logs.entry_types import OutcomeName, SeverityName
from logs.models import Outcome, Severity
from logs.search import cursor as cursors
from logs.search.cursor import Cursor, Direction
from logs.search.filters import filters_of
from logs.search.output import COLUMNS, EntryOutput, entries_of
from logs.search.pages import MAX_LIMIT, identity_of, limit_of
from logs.search.parameters import check_parameters
from logs.search.sight import asked_by
from logs.search.sql import Condition, select_page
from logs.search.tiers import ID, completed, until
from logs.search.tree import All, TextIs
from logs.search.windows import Window, bounds_of
from logs.storage.columns import as_text
from logs.storage.reading import tenant_transaction

MAX_REQUEST_ID_CHARACTERS = 256
MAX_SUMMARISED = 10_000
MAX_NAMES = 200
# Before every id: a page "above" it begins with the oldest entry.
_BEGINNING = uuid.UUID(int=0)
_SEEN = ("timestamp", "user_id", "action", "resource_type", "resource_id", "severity", "outcome", "source")
_SEEN_COLUMNS = [sql.SQL(as_text(name)) for name in _SEEN]
_MILLISECOND = datetime.timedelta(milliseconds=1)
# From least to worst.
_SEVERITIES: list[Any] = list(Severity.labels)
# By their numbers as text, for that is how the columns come.
_SEVERITY_NAMES: dict[str, Any] = {str(choice.value): str(choice.label) for choice in Severity}
_OUTCOME_NAMES: dict[str, Any] = {str(choice.value): str(choice.label) for choice in Outcome}


class TimelineEntry(EntryOutput, kw_only=True):
    """An entry as search gives it, and when it happened since the first."""

    offset_ms: Annotated[float, Meta(description="Milliseconds since the first entry of the request, to the microsecond.")]


class TouchedResource(msgspec.Struct, omit_defaults=True):
    """One thing that the request touched."""

    resource_type: str
    entry_count: int
    resource_id: str | None = None


class RequestSummary(msgspec.Struct):
    """What the entries of one request come to, of all pages. Lists are in the order in which their members first come."""

    started_at: str
    ended_at: str
    duration_ms: Annotated[float, Meta(description="From the first entry to the last.")]
    entry_count: int
    worst_severity: SeverityName
    outcomes: Annotated[dict[OutcomeName, int], Meta(description="How many entries ended how.")]
    users: list[str]
    sources: list[str]
    actions: list[str]
    resources: list[TouchedResource]
    is_whole: Annotated[
        bool,
        Meta(description=f"False: something is left out. At most {MAX_SUMMARISED} entries are counted, and {MAX_NAMES} members of a list named."),
    ]


class Timeline(msgspec.Struct):
    """One page of a request's entries, oldest first, and the summary of all of them. `next` is the path of the page after it, or null."""

    request_id: str
    summary: RequestSummary
    results: list[TimelineEntry]
    has_more: bool
    next: str | None


class Seen(Protocol):
    """What a summary looks at in an entry."""

    @property
    def timestamp(self) -> str: ...
    @property
    def user_id(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def resource_type(self) -> str: ...
    @property
    def resource_id(self) -> str | None: ...
    @property
    def severity(self) -> SeverityName: ...
    @property
    def outcome(self) -> OutcomeName: ...
    @property
    def source(self) -> str: ...


class SeenRow(NamedTuple):
    """`Seen`, read without the rest of the entry."""

    timestamp: str
    user_id: str
    action: str
    resource_type: str
    resource_id: str | None
    severity: SeverityName
    outcome: OutcomeName
    source: str


@dataclass(frozen=True)
class TimelineQuestion:
    """One page of one request. `tree` holds what the principal may see too."""

    principal: Principal
    request_id: str
    tree: All
    # Tells it from other questions, and from a search for the same entries, whose pages go the other way.
    identity: bytes
    limit: int
    after: uuid.UUID | None


def timeline_question_of(query: QueryDict, request_id: str, principal: Principal) -> TimelineQuestion | None:
    """The question in a query string; None if no entry can have this request id. Raises InvalidQuery."""
    check_parameters(query, ["from", "to", "limit", "cursor"])
    asked = filters_of(query, "limit", "cursor").tree()
    tree = asked_by(principal, All((TextIs("request_id", (request_id,)), *asked.nodes)))
    identity = f"timeline {request_id!r} ".encode("utf-8", "surrogatepass") + identity_of(principal, query)
    text = query.get("cursor")
    after = cursors.decode(text, identity).id if text else None
    question = TimelineQuestion(principal, request_id, tree, identity, limit_of(query) if "limit" in query else MAX_LIMIT, after)
    is_possible = len(request_id) <= MAX_REQUEST_ID_CHARACTERS and "\x00" not in request_id
    return question if is_possible else None


def select_timeline(columns: Sequence[sql.Composable], tree: All, tenant_id: uuid.UUID, after: uuid.UUID | None, limit: int) -> Condition:
    """The query of entries above `after`, oldest first. Plan: logs_entry_request, in order, of the partitions from `after` on."""
    return select_page(columns, tree, tenant_id, before=after or _BEGINNING, limit=limit)


def find_timeline(question: TimelineQuestion) -> tuple[Timeline, str | None] | None:
    """The page and the cursor to the next (None: there is none); None if the request has no entry that the principal may see.

    The page's `next` is left to whoever knows its address.
    """
    tenant_id = question.principal.tenant_id
    with tenant_transaction(tenant_id) as database:
        # One more than asked tells whether there is another page, without counting.
        rows = _rows(database, COLUMNS, question.tree, tenant_id, question.after, question.limit + 1)
        has_more = len(rows) > question.limit
        entries = entries_of(database, rows[: question.limit], tenant_id, may_decrypt=question.principal.may_decrypt)
        is_everything = question.after is None and not has_more
        summary = summarise(entries) if is_everything else _summary_of_all(database, question.tree, tenant_id)
    if summary is None:
        return None
    results = [TimelineEntry(**msgspec.structs.asdict(entry), offset_ms=milliseconds_between(summary.started_at, entry.timestamp)) for entry in entries]
    following = Cursor(Direction.NEWER, uuid.UUID(entries[-1].id)).encode(question.identity) if has_more else None
    return Timeline(question.request_id, summary, results, has_more, None), following


def _rows(database: Any, columns: Sequence[sql.Composable], tree: All, tenant_id: uuid.UUID, after: uuid.UUID | None, limit: int) -> list[Any]:
    """The first `limit` rows above `after`, oldest first, of both tiers. Raises TooExpensive."""
    columns, bounds = [ID, *columns], bounds_of(tree)
    if after is not None:
        bounds = Window(max(bounds.low, uuid.UUID(int=after.int + 1)), bounds.high)
    check = until(time.monotonic() + settings.AUDITLOG_SEARCH_TIMEOUT_SECONDS)
    statement = select_timeline(columns, tree, tenant_id, after, limit)
    database.execute(statement.text, statement.parameters)
    return [row[1:] for row in completed(database, tenant_id, tree, columns, database.fetchall(), bounds, limit=limit, is_ascending=True, check=check)]


def _summary_of_all(database: Any, tree: All, tenant_id: uuid.UUID) -> RequestSummary | None:
    """The summary of a request that is not on one page."""
    rows = [_seen(row) for row in _rows(database, _SEEN_COLUMNS, tree, tenant_id, None, MAX_SUMMARISED + 1)]
    summary = summarise(rows[:MAX_SUMMARISED])
    if summary is None or len(rows) <= MAX_SUMMARISED:
        return summary
    columns = [ID, *_SEEN_COLUMNS[:1]]
    newest = select_page(columns, tree, tenant_id, limit=1)
    database.execute(newest.text, newest.parameters)
    check = until(time.monotonic() + settings.AUDITLOG_SEARCH_TIMEOUT_SECONDS)
    found = completed(database, tenant_id, tree, columns, database.fetchall(), bounds_of(tree), limit=1, is_ascending=False, check=check)
    summary.ended_at = found[0][1]
    summary.duration_ms = milliseconds_between(summary.started_at, summary.ended_at)
    summary.is_whole = False
    return summary


def _seen(row: Sequence[Any]) -> SeenRow:
    timestamp, user_id, action, resource_type, resource_id, severity, outcome, source = row
    return SeenRow(timestamp, user_id, action, resource_type, resource_id, _SEVERITY_NAMES[severity], _OUTCOME_NAMES[outcome], source)


def summarise(entries: Sequence[Seen]) -> RequestSummary | None:
    """What entries, oldest first, come to; None for no entries."""
    if not entries:
        return None
    users, users_whole = _first_names(entry.user_id for entry in entries)
    sources, sources_whole = _first_names(entry.source for entry in entries)
    actions, actions_whole = _first_names(entry.action for entry in entries)
    # A Counter keeps the order in which its keys first came.
    touched = Counter((entry.resource_type, entry.resource_id) for entry in entries)
    return RequestSummary(
        started_at=entries[0].timestamp,
        ended_at=entries[-1].timestamp,
        duration_ms=milliseconds_between(entries[0].timestamp, entries[-1].timestamp),
        entry_count=len(entries),
        worst_severity=max((entry.severity for entry in entries), key=_SEVERITIES.index),
        outcomes=dict(Counter(entry.outcome for entry in entries)),
        users=users,
        sources=sources,
        actions=actions,
        resources=[TouchedResource(kind, count, id) for (kind, id), count in list(touched.items())[:MAX_NAMES]],
        is_whole=users_whole and sources_whole and actions_whole and len(touched) <= MAX_NAMES,
    )


def _first_names(names: Iterable[str]) -> tuple[list[str], bool]:
    """The names in the order in which they first come, each once, `MAX_NAMES` at most; are these all?"""
    distinct = list(dict.fromkeys(names))
    return distinct[:MAX_NAMES], len(distinct) <= MAX_NAMES


def milliseconds_between(earlier: str, later: str) -> float:
    """Between two timestamps as entries have them, exact to the microsecond."""
    passed = datetime.datetime.fromisoformat(later) - datetime.datetime.fromisoformat(earlier)
    return round(passed / _MILLISECOND, 3)
