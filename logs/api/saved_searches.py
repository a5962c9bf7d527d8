"""Saved searches over HTTP. Whoever may read sees their own and the shared ones; persons keep them."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

import msgspec
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from msgspec import UNSET, Meta, UnsetType
from rest_framework.request import Request

from accounts.api.etags import if_match
from accounts.deeds import Deed, note
from accounts.limits import writing
from accounts.models import EndpointClass
from accounts.permissions import MayReadWithin, principal_of
from accounts.principals import Principal
from accounts.problems import Invalid, NotFound
from logs.api import saved_searches_documentation as documentation
from logs.api.answers import json_response
from logs.api.views import EntryPage, LeanView, page_answer
from logs.ingest import faults
from logs.saved_searches import (
    Changes,
    KeptSearch,
    change_saved_search,
    delete_saved_search,
    find_saved_search,
    list_saved_searches,
    question_of_saved,
    save_search,
)
from logs.search import find_page
from logs.search.pages import limit_of
from logs.search.parameters import MAX_NUMBER, check_parameters, number_in

SAVED_SEARCH = "audit_log_saved_search"
_Name = Annotated[str, Meta(min_length=1, max_length=200, description="Each of yours has another.")]
_Description = Annotated[str, Meta(max_length=2000)]
_Values = Annotated[list[Annotated[str, Meta(min_length=1, max_length=8192)]], Meta(min_length=1, max_length=100)]
_Query = Annotated[
    dict[str, _Values], Meta(description="Parameters of `GET /api/v1/logs`, each with a list of values; no limit, cursor or order. At most 8 KiB.")
]
_IsShared = Annotated[bool, Meta(description="All members of the tenant who may read, and its keys, see it and can run it.")]
_Input = TypeVar("_Input")


class NewSearch(msgspec.Struct, forbid_unknown_fields=True):
    """A search to be saved."""

    name: _Name
    query: _Query
    description: _Description = ""
    is_shared: _IsShared = False


class ChangedSearch(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be changed of a saved search; what is absent stays as it is."""

    name: _Name | UnsetType = UNSET
    query: _Query | UnsetType = UNSET
    description: _Description | UnsetType = UNSET
    is_shared: _IsShared | UnsetType = UNSET


class SavedSearchOutput(msgspec.Struct):
    """One saved search."""

    id: int
    name: str
    description: str
    query: dict[str, list[str]]
    is_shared: bool
    owner: Annotated[str, Meta(description="User name of the person who saved it.")]
    is_own: Annotated[bool, Meta(description="Is it yours?")]
    may_change: Annotated[bool, Meta(description="May you change or delete it?")]
    search: Annotated[str, Meta(description="The path of the same search at `/api/v1/logs`.")]
    created_at: datetime.datetime
    updated_at: datetime.datetime


class SavedSearchPage(msgspec.Struct):
    """One page of saved searches, newest first. `next` is the path of the page after it, or null."""

    results: list[SavedSearchOutput]
    next: str | None


class SavedSearchesView(LeanView):
    rate_class = writing(EndpointClass.SEARCH)
    permission_classes = [MayReadWithin]
    deeds = {"GET": Deed("READ", SAVED_SEARCH), "POST": Deed("CREATE", SAVED_SEARCH)}

    @extend_schema(**documentation.list_searches_with(SavedSearchPage))
    def get(self, request: Request) -> HttpResponse:
        query, principal = request._request.GET, principal_of(request)
        check_parameters(query, ["limit", "before"])
        limit, before = limit_of(query), number_in(query, "before")
        page = list_saved_searches(principal, MAX_NUMBER if before is None else before, limit)
        note(request, results=len(page.results))
        following = None if page.before is None else f"{request._request.path}?{urlencode({'limit': limit, 'before': page.before})}"
        return json_response(SavedSearchPage([_output(kept, principal) for kept in page.results], following))

    @extend_schema(**documentation.save_search_with(NewSearch, SavedSearchOutput))
    def post(self, request: Request) -> HttpResponse:
        principal = principal_of(request)
        kept = save_search(principal, Changes(**msgspec.structs.asdict(_decoded(request, NewSearch))))
        note(request, resource_id=kept.id, asked=kept.query, is_shared=kept.is_shared)
        return _answer(kept, principal, status=201, headers={"Location": f"{request._request.path}/{kept.id}"})


class SavedSearchView(LeanView):
    rate_class = writing(EndpointClass.SEARCH)
    permission_classes = [MayReadWithin]
    deeds = {"GET": Deed("READ", SAVED_SEARCH), "PATCH": Deed("UPDATE", SAVED_SEARCH), "DELETE": Deed("DELETE", SAVED_SEARCH)}

    @extend_schema(**documentation.get_search_with(SavedSearchOutput))
    def get(self, request: Request, id: int) -> HttpResponse:
        principal = principal_of(request)
        note(request, resource_id=id, results=1)
        return _answer(_found(principal, id), principal)

    @extend_schema(**documentation.change_search_with(ChangedSearch, SavedSearchOutput))
    def patch(self, request: Request, id: int) -> HttpResponse:
        principal = principal_of(request)
        given = msgspec.structs.asdict(_decoded(request, ChangedSearch))
        changes = Changes(**{name: value for name, value in given.items() if value is not UNSET})
        note(request, resource_id=id, changes=changes.values())
        return _answer(change_saved_search(principal, _possible(id), changes, if_match(request)), principal)

    @extend_schema(**documentation.delete_search)
    def delete(self, request: Request, id: int) -> HttpResponse:
        note(request, resource_id=id)
        delete_saved_search(principal_of(request), _possible(id), if_match(request))
        return HttpResponse(status=204)


class SavedSearchEntriesView(LeanView):
    rate_class = writing(EndpointClass.SEARCH)
    permission_classes = [MayReadWithin]
    deeds = {"GET": Deed("SEARCH", "audit_log")}

    @extend_schema(**documentation.run_search_with(EntryPage))
    def get(self, request: Request, id: int) -> HttpResponse:
        query, principal = request._request.GET, principal_of(request)
        check_parameters(query, ["limit", "cursor"])
        # The question is kept: of all that is asked, only the place within the answer is in the address.
        kept = _found(principal, id)
        note(request, saved_search=id, asked=kept.query)
        return page_answer(request._request, find_page(question_of_saved(kept, query, principal)))


def _found(principal: Principal, id: int) -> KeptSearch:
    """The saved search that the principal may see. Raises NotFound."""
    kept = find_saved_search(principal, _possible(id))
    if kept is None:
        raise NotFound(f"There is no saved search {id}, or none that you may see.")
    return kept


def _possible(id: int) -> int:
    """The id, if a row can have it. Raises NotFound."""
    if id > MAX_NUMBER:
        raise NotFound("There is no saved search with an id so large.")
    return id


def _decoded(request: Request, kind: type[_Input]) -> _Input:
    """The body as `kind`. Raises Invalid."""
    try:
        return msgspec.convert(request.data, kind)
    except msgspec.ValidationError as error:
        fault = faults.fault_of(error, "")
        raise Invalid([replace(fault, detail=fault.detail.replace("The entry ", "The search ", 1))]) from error


def _answer(kept: KeptSearch, principal: Principal, *, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    return json_response(_output(kept, principal), status=status, headers={"ETag": kept.etag, **(headers or {})})


def _output(kept: KeptSearch, principal: Principal) -> SavedSearchOutput:
    pairs: list[tuple[str, Any]] = [(name, value) for name, values in kept.query.items() for value in values]
    return SavedSearchOutput(
        id=kept.id,
        name=kept.name,
        description=kept.description,
        query=kept.query,
        is_shared=kept.is_shared,
        owner=kept.owner,
        is_own=kept.is_of(principal),
        may_change=kept.may_be_changed_by(principal),
        search="/api/v1/logs" + (f"?{urlencode(pairs)}" if pairs else ""),
        created_at=kept.created_at,
        updated_at=kept.updated_at,
    )
