"""What the OpenAPI document says of restores, with examples of every answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from accounts.schema import NOT_FOUND, problem_response
from logs.api.documentation import INTEGER_ID, INVALID_QUERY, TENANT, shown
from logs.search.pages import DEFAULT_LIMIT, MAX_LIMIT

_GIVEN = {
    "from": "2025-03-01T00:00:00Z",
    "to": "2025-04-01T00:00:00Z",
    "query": "resource_type:invoice",
    "days": 14,
    "reason": "Case 4711: tax audit of March 2025.",
}
_QUEUED = _GIVEN | {
    "id": 3,
    "state": "queued",
    "asked_by": "user:alice",
    "asked_at": "2026-01-31T12:00:00.123456Z",
    "kept_until": "2026-02-14T12:00:00.123456Z",
    "attempts": 0,
    "entries_restored": 0,
}
_DONE = _QUEUED | {
    "state": "done",
    "attempts": 1,
    "entries_restored": 12345,
    "restored_to": "2025-03-31T23:59:58.123000Z",
    "started_at": "2026-01-31T12:00:01.123456Z",
    "finished_at": "2026-01-31T12:00:07.123456Z",
    "kept_until": "2026-02-14T12:00:07.123456Z",
}
_DETAIL = "`to` has to be after `from`."
INVALID = problem_response(422, "invalid", "The content is not right", _DETAIL, errors=[{"pointer": "/to", "code": "bad_range", "detail": _DETAIL}])


def list_restores_with(page: type) -> dict[str, Any]:
    return {
        "operation_id": "archive_restores_list",
        "summary": "List restores",
        "description": "Those of the tenant, newest first.",
        "parameters": [
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}),
            OpenApiParameter("before", {"type": "integer", "minimum": 0}, description="From `next` of an answer."),
            TENANT,
        ],
        "responses": {200: OpenApiResponse(page, description="One page."), 422: INVALID_QUERY},
        "examples": [shown("a page", {"results": [_DONE], "next": None})],
    }


def ask_restore_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "archive_restores_ask",
        "summary": "Bring archived entries back",
        "description": (
            "Archived entries are searched where they are; what is asked about again and again is quicker in the database. The entries of a time, or "
            "those of them that a query finds, are copied back and stay for so many days; then they leave by themselves. Their proofs are what they were."
        ),
        "parameters": [TENANT],
        "request": given,
        "responses": {202: OpenApiResponse(output, description="On record; a worker copies them. `Location` is its address."), 422: INVALID},
        "examples": [OpenApiExample("a restore", value=_GIVEN, request_only=True), shown("queued", _QUEUED, "202")],
    }


def get_restore_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "archive_restores_get",
        "summary": "Read a restore",
        "parameters": [INTEGER_ID, TENANT],
        "responses": {200: OpenApiResponse(output, description="The restore."), 404: NOT_FOUND, 422: INVALID_QUERY},
        "examples": [shown("a restore", _DONE)],
    }


def end_restore_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "archive_restores_end",
        "summary": "End a restore",
        "description": "Its entries may leave the database again from now on. They stay in the archive. One that has ended already stays as it was.",
        "parameters": [INTEGER_ID, TENANT],
        "responses": {200: OpenApiResponse(output, description="The restore as it is now."), 404: NOT_FOUND, 422: INVALID_QUERY},
        "examples": [shown("ended", _DONE | {"state": "ended"})],
    }
