"""What the OpenAPI document says of legal holds, with examples of every answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from accounts.schema import NOT_FOUND, problem_response
from archival.api.pending_acts_documentation import WAITING_EXAMPLE, waits
from logs.api.documentation import INTEGER_ID, INVALID_QUERY, TENANT, shown
from logs.search.pages import DEFAULT_LIMIT, MAX_LIMIT

_GIVEN = {"holds": "query", "query": "resource_type:invoice after:2026-01-01", "reason": "Case 4711: tax audit of 2026.", "until": "2027-01-31T00:00:00Z"}
_HOLD = {
    "id": 7,
    "holds": "query",
    "state": "active",
    "reason": "Case 4711: tax audit of 2026.",
    "placed_by": "user:alice",
    "placed_at": "2026-01-31T12:00:00.123456Z",
    "query": "resource_type:invoice after:2026-01-01",
    "until": "2027-01-31T00:00:00Z",
}
_RELEASED = _HOLD | {
    "state": "released",
    "released_by": "user:bob",
    "released_at": "2027-02-01T09:00:00.123456Z",
    "release_reason": "Case 4711 is closed.",
}
_DETAIL = "A hold on a query has to say which: query."
INVALID = problem_response(422, "invalid", "The content is not right", _DETAIL, errors=[{"pointer": "/query", "code": "missing_field", "detail": _DETAIL}])


def list_holds_with(page: type) -> dict[str, Any]:
    return {
        "operation_id": "legal_holds_list",
        "summary": "List legal holds",
        "description": "Those of the tenant, newest first. A hold whose date has passed is `due`, and still active.",
        "parameters": [
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}),
            OpenApiParameter("before", {"type": "integer", "minimum": 0}, description="From `next` of an answer."),
            OpenApiParameter("active", OpenApiTypes.BOOL, description="Only those that nobody has released."),
            OpenApiParameter("due", OpenApiTypes.BOOL, description="Only those whose date has passed and that nobody has released: somebody is to decide."),
            TENANT,
        ],
        "responses": {200: OpenApiResponse(page, description="One page."), 422: INVALID_QUERY},
        "examples": [shown("a page", {"results": [_HOLD], "next": None})],
    }


def place_hold_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "legal_holds_place",
        "summary": "Place a legal hold",
        "description": (
            "What is held is neither erased nor purged, in the database or in the archive. On the whole log, on the entries that a query finds (then no "
            "data subject of such an entry is erased), or on a data subject. It is active until somebody releases it."
        ),
        "parameters": [TENANT],
        "request": given,
        "responses": {201: OpenApiResponse(output, description="Placed. `Location` is its address."), 422: INVALID},
        "examples": [OpenApiExample("a hold", value=_GIVEN, request_only=True), shown("placed", _HOLD, "201")],
    }


def preview_hold_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "legal_holds_preview",
        "summary": "Preview a legal hold",
        "description": "How many entries it would hold now. Nothing is held by looking.",
        "parameters": [TENANT],
        "request": given,
        "responses": {200: OpenApiResponse(output, description="What it would hold."), 422: INVALID},
        "examples": [
            OpenApiExample("a hold", value={"holds": "query", "query": "resource_type:invoice after:2026-01-01"}, request_only=True),
            shown("a preview", {"entries": 4711, "of": 120000}),
        ],
    }


def get_hold_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "legal_holds_get",
        "summary": "Read a legal hold",
        "parameters": [INTEGER_ID, TENANT],
        "responses": {200: OpenApiResponse(output, description="The hold."), 404: NOT_FOUND, 422: INVALID_QUERY},
        "examples": [shown("a hold", _HOLD)],
    }


def release_hold_with(given: type, output: type, act: type) -> dict[str, Any]:
    return {
        "operation_id": "legal_holds_release",
        "summary": "Release a legal hold",
        "description": "It no longer holds anything, and stays on record. One that is released already stays as it was.",
        "parameters": [INTEGER_ID, TENANT],
        "request": given,
        "responses": {200: OpenApiResponse(output, description="The hold as it is now."), 202: waits(act), 404: NOT_FOUND, 422: INVALID},
        "examples": [OpenApiExample("why", value={"reason": "Case 4711 is closed."}, request_only=True), shown("released", _RELEASED), WAITING_EXAMPLE],
    }
