"""What the OpenAPI document says of saved searches, with examples of every answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from accounts.schema import NOT_FOUND, problem_response
from logs.api.documentation import CURSOR, INTEGER_ID, INVALID_QUERY, LIMIT, STORED, TENANT, shown

_QUERY = {"severity_min": ["ERROR"], "resource_type": ["invoice", "account"]}
_SAVED = {
    "id": 7,
    "name": "Failures in billing",
    "description": "What the morning round looks at.",
    "query": _QUERY,
    "is_shared": True,
    "owner": "alice",
    "is_own": True,
    "may_change": True,
    "search": "/api/v1/logs?severity_min=ERROR&resource_type=invoice&resource_type=account",
    "created_at": "2026-01-31T12:00:00.123456Z",
    "updated_at": "2026-01-31T12:00:00.123456Z",
}
_DETAIL = "There is no parameter 'usr_id'. Did you mean user_id?"
INVALID_SEARCH = problem_response(
    422, "invalid", "The content is not right", _DETAIL, errors=[{"pointer": "/query/usr_id", "code": "unknown_parameter", "detail": _DETAIL}]
)
CHANGED = problem_response(
    412,
    "changed_meanwhile",
    "It was changed meanwhile",
    'It was changed since you read it. It is at "7-3" now: read it again, then change it.',
)
_IF_MATCH = OpenApiParameter(
    "If-Match", OpenApiTypes.STR, OpenApiParameter.HEADER, description="The `ETag` of the answer that you go by: 412 if it has changed."
)


def list_searches_with(page: type) -> dict[str, Any]:
    return {
        "operation_id": "saved_searches_list",
        "summary": "List saved searches",
        "description": "Your own and those that are shared in the tenant, newest first.",
        "parameters": [LIMIT, OpenApiParameter("before", {"type": "integer", "minimum": 0}, description="From `next` of an answer."), TENANT],
        "responses": {200: OpenApiResponse(page, description="One page."), 422: INVALID_QUERY},
        "examples": [shown("a page", {"results": [_SAVED], "next": None})],
    }


def save_search_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "saved_searches_create",
        "summary": "Save a search",
        "description": "For persons, at most 200 each; an API key has none. The question is checked as search checks it.",
        "parameters": [TENANT],
        "request": given,
        "responses": {201: OpenApiResponse(output, description="Saved. `Location` is its address, `ETag` its version."), 422: INVALID_SEARCH},
        "examples": [
            OpenApiExample("a search", value={"name": "Failures in billing", "query": _QUERY, "is_shared": True}, request_only=True),
            shown("saved", _SAVED, "201"),
        ],
    }


def get_search_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "saved_searches_get",
        "summary": "Read a saved search",
        "parameters": [INTEGER_ID, TENANT],
        "responses": {200: OpenApiResponse(output, description="The search; `ETag` is its version."), 404: NOT_FOUND},
        "examples": [shown("a search", _SAVED)],
    }


def change_search_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "saved_searches_change",
        "summary": "Change a saved search",
        "description": "For its owner; Admins may change what is shared.",
        "parameters": [INTEGER_ID, _IF_MATCH, TENANT],
        "request": given,
        "responses": {200: OpenApiResponse(output, description="As it is now."), 404: NOT_FOUND, 412: CHANGED, 422: INVALID_SEARCH},
        "examples": [OpenApiExample("share it", value={"is_shared": True}, request_only=True), shown("changed", _SAVED)],
    }


delete_search: dict[str, Any] = {
    "operation_id": "saved_searches_delete",
    "summary": "Delete a saved search",
    "description": "For its owner; Admins may delete what is shared.",
    "parameters": [INTEGER_ID, _IF_MATCH, TENANT],
    "responses": {204: None, 404: NOT_FOUND, 412: CHANGED},
}


def run_search_with(page: type) -> dict[str, Any]:
    return {
        "operation_id": "saved_searches_run",
        "summary": "Run a saved search",
        "description": "Gives what you may see of it, whoever saved it.",
        "parameters": [INTEGER_ID, LIMIT, OpenApiParameter("cursor", CURSOR, description="From `next` or `previous` of an answer."), TENANT],
        "responses": {200: OpenApiResponse(page, description="One page."), 404: NOT_FOUND, 422: INVALID_QUERY},
        "examples": [shown("a page", {"results": [STORED], "next": "/api/v1/saved-searches/7/entries?cursor=AAGaKzxN...", "previous": None})],
    }
