"""Posting and reading entries over HTTP: parse, call, answer."""

from __future__ import annotations

import uuid
from typing import Annotated, ClassVar
from urllib.parse import urlencode

import msgspec
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.authentication import BaseAuthentication
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import PrincipalAuthentication
from accounts.deeds import Deed, note
from accounts.models import EndpointClass
from accounts.parsers import StrictJSONParser
from accounts.permissions import MayRead, MayWrite, MayWriteOrRead, principal_of
from accounts.problems import NotFound
from accounts.recording import RecordedView
from logs.api import documentation
from logs.api.answers import answer_to, json_response
from logs.errors import CommitFailed
from logs.ingest import receive_bulk, receive_single
from logs.search import EntryOutput, Page, find_entry, find_page, positions, question_of


class EntryPage(msgspec.Struct, omit_defaults=True):
    """One page of entries. `next` and `previous` are paths to the pages beside it, or null."""

    results: list[EntryOutput]
    next: str | None
    previous: str | None
    after: Annotated[int | msgspec.UnsetType, Meta(description="With `order=position`: the position that this page has come to.")] = msgspec.UNSET
    has_more: Annotated[bool | msgspec.UnsetType, Meta(description="With `order=position`: are there entries beyond it already?")] = msgspec.UNSET


class LeanView(RecordedView):
    """A view that reads the body itself and answers bytes: nothing to negotiate, parse or render.

    What Django REST framework makes anew for every request is made once here (a fifth of a request's time).
    """

    _renderer = JSONRenderer()
    _authenticators: tuple[BaseAuthentication, ...] = (PrincipalAuthentication(),)
    # Named for the documentation; the body is read without it.
    _parsers = (StrictJSONParser(),)

    # "Allow" and "Vary" of every answer say nothing here: OPTIONS answers the one, and nothing is negotiated.
    default_response_headers: ClassVar[dict[str, str]] = {}

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[JSONRenderer, str]:
        return self._renderer, self._renderer.media_type

    def get_authenticators(self) -> list[BaseAuthentication]:
        return list(self._authenticators)

    def get_parsers(self) -> list[BaseParser]:
        return list(self._parsers)


# What is posted is its own record.
POST_ENTRIES = Deed("CREATE", "audit_log", refusals_only=True)


class PostingView(LeanView):
    """A view that stores. A database that is away before anything was submitted means: nothing was stored."""

    def handle_exception(self, exc: Exception) -> Response:
        if self.request.method == "POST" and isinstance(exc, OperationalError | InterfaceError):
            # What happens after the submission is the receipt's to tell, and never comes this way.
            exc = CommitFailed(is_outcome_known=True)
        return super().handle_exception(exc)


class EntriesView(PostingView):
    rate_class = {"GET": EndpointClass.SEARCH, "POST": EndpointClass.INGEST}
    permission_classes = [MayWriteOrRead]
    deeds = {"GET": Deed("SEARCH", "audit_log"), "POST": POST_ENTRIES}

    @extend_schema(**documentation.post_entry)
    def post(self, request: Request) -> HttpResponse:
        return answer_to(request._request, receive_single(request._request, principal_of(request)))

    @extend_schema(**documentation.list_entries_with(EntryPage))
    def get(self, request: Request) -> HttpResponse:
        query, principal = request._request.GET, principal_of(request)
        if positions.is_by_position(query):
            page = positions.find_after(positions.position_question_of(query, principal))
            note(request, results=len(page.entries))
            return self._after(request._request, page)
        return page_answer(request._request, find_page(question_of(query, principal)))

    @staticmethod
    def _after(request: HttpRequest, page: positions.PositionPage) -> HttpResponse:
        """A page in the order of positions. Its `next` is there even at the end: that is where to ask again."""
        following = _with(request, after=str(page.after))
        body = EntryPage(page.entries, following, None, after=page.after, has_more=page.has_more)
        return json_response(body, headers={"Link": f'<{following}>; rel="next"'})


class BulkView(PostingView):
    rate_class = EndpointClass.INGEST
    permission_classes = [MayWrite]
    deeds = {"POST": POST_ENTRIES}

    @extend_schema(**documentation.post_bulk)
    def post(self, request: Request) -> HttpResponse:
        return answer_to(request._request, receive_bulk(request._request, principal_of(request)))


class EntryView(LeanView):
    rate_class = EndpointClass.SEARCH
    permission_classes = [MayRead]
    deeds = {"GET": Deed("READ", "audit_log")}

    @extend_schema(**documentation.get_entry)
    def get(self, request: Request, id: str) -> HttpResponse:
        entry = find_entry(principal_of(request), entry_id(id))
        if entry is None:
            raise NotFound(f"There is no entry {id}, or none that you may see.")
        note(request, resource_id=id, results=1)
        return json_response(entry)


def entry_id(text: str) -> uuid.UUID:
    """The id in a path; text that is none can't be the id of anything."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFound(f"{text!r} is no id of an entry.") from None


def page_answer(request: HttpRequest, page: Page) -> HttpResponse:
    """A page of entries, with links to those beside it at the same address."""
    note(request, results=len(page.entries))
    links = {"next": _link(request, page.next), "previous": _link(request, page.previous)}
    header = ", ".join(f'<{link}>; rel="{"prev" if name == "previous" else name}"' for name, link in links.items() if link)
    return json_response(EntryPage(page.entries, links["next"], links["previous"]), headers={"Link": header} if header else None)


def _link(request: HttpRequest, cursor: str | None) -> str | None:
    """The path of the page at `cursor`, with the filters of this request."""
    return None if cursor is None else _with(request, cursor=cursor)


def _with(request: HttpRequest, **changed: str) -> str:
    """The path of this request with other values of some parameters."""
    pairs = [(name, value) for name, values in request.GET.lists() if name not in changed for value in values]
    return f"{request.path}?{urlencode([*pairs, *changed.items()])}"
