"""The entries of one request over HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request

from accounts.deeds import Deed, note
from accounts.models import EndpointClass
from accounts.permissions import MayRead, principal_of
from accounts.problems import NotFound
from accounts.schema import NOT_FOUND
from logs.api.answers import json_response
from logs.api.documentation import CURSOR, INVALID_QUERY, STORED, TENANT, filter_parameters
from logs.api.views import LeanView
from logs.search.pages import MAX_LIMIT
from logs.search.timeline import Timeline, find_timeline, timeline_question_of


class AnyTextConverter:
    """A piece of a path with any characters, slashes and line feeds included (Django's own `path` ends at a line feed)."""

    regex = r"[\s\S]+"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


_SUMMARY = {
    "started_at": "2026-01-31T12:00:00.123456Z",
    "ended_at": "2026-01-31T12:00:00.123456Z",
    "duration_ms": 0.0,
    "entry_count": 1,
    "worst_severity": "INFO",
    "outcomes": {"success": 1},
    "users": ["alice"],
    "sources": ["key:abcdefghijkl"],
    "actions": ["UPDATE"],
    "resources": [{"resource_type": "invoice", "resource_id": "inv-2041", "entry_count": 1}],
    "is_whole": True,
}
_documentation: dict[str, Any] = {
    "operation_id": "requests_get",
    "summary": "Read one request as a timeline",
    "description": (
        "The entries that share a request id, over all resources and services, oldest first, and a summary of them (of all pages). "
        "The id may have any characters, percent-encoded. `from` and `to` bound the look, which makes it quicker; the summary is of the same range. "
        "An id that is `.` or `..` alone can't be written in a path: search for it by `request_id`."
    ),
    "parameters": [
        OpenApiParameter(
            "request_id", {"type": "string", "minLength": 1, "maxLength": 256}, OpenApiParameter.PATH, description="The `request_id` of the entries."
        ),
        *(parameter for parameter in filter_parameters() if parameter.name in ("from", "to")),
        OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": MAX_LIMIT}),
        OpenApiParameter("cursor", CURSOR, description="From `next` of an answer."),
        TENANT,
    ],
    "responses": {200: OpenApiResponse(Timeline, description="One page of the timeline."), 404: NOT_FOUND, 422: INVALID_QUERY},
    "examples": [
        OpenApiExample(
            "a timeline",
            value={"request_id": "req-7f3a", "summary": _SUMMARY, "results": [STORED | {"offset_ms": 0.0}], "has_more": False, "next": None},
            response_only=True,
            status_codes=["200"],
        )
    ],
}


class TimelineView(LeanView):
    rate_class = EndpointClass.SEARCH
    permission_classes = [MayRead]
    deeds = {"GET": Deed("SEARCH", "audit_log")}

    @extend_schema(**_documentation)
    def get(self, request: Request, request_id: str) -> HttpResponse:
        query = request._request.GET
        question = timeline_question_of(query, request_id, principal_of(request))
        found = find_timeline(question) if question else None
        if found is None:
            raise NotFound("There is no entry with this request id, or none that you may see.")
        timeline, cursor = found
        note(request, results=len(timeline.results))
        if cursor is not None:
            given = {name: value for name, value in query.items() if name != "cursor"}
            # The id is quoted whole: a slash in it is part of a name, and `request.path` is decoded.
            timeline.next = f"/api/v1/requests/{quote(request_id, safe='')}?{urlencode(given | {'cursor': cursor})}"
        return json_response(timeline, headers={"Link": f'<{timeline.next}>; rel="next"'} if timeline.next else None)
