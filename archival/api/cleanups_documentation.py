"""What the OpenAPI document says of clean-ups, with examples of every answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, PolymorphicProxySerializer

from accounts.schema import NOT_FOUND, UNAVAILABLE, problem_response
from archival.api.pending_acts_documentation import WAITING_EXAMPLE
from logs.api.documentation import INVALID_QUERY, TENANT, filter_parameters, shown
from logs.search.pages import DEFAULT_LIMIT, MAX_LIMIT

_ID = "019a2b3c-4d5e-7000-8000-00000000002a"
_DRY_RUN = {
    "before": "2024-01-01T00:00:00Z",
    "would_purge": 120000,
    "held": 42,
    "locked": 0,
    "counted": "database",
    "confirmation": "eyJ0ZW5hbnQiOiIwMTlhMmIzYyJ9:1vZ8Qk:4r1o0yXJ5w",
    "confirmation_expires_at": "2026-01-31T12:10:00.123456Z",
}
_QUEUED = {
    "id": _ID,
    "state": "queued",
    "before": "2024-01-01T00:00:00Z",
    "asked_by": "user:alice",
    "created_at": "2026-01-31T12:01:00.123456Z",
    "entries_expected": 120000,
    "entries_purged": 0,
    "partitions_done": 0,
    "partitions_total": 0,
    "query": "resource_type=note",
}
_DONE = _QUEUED | {
    "state": "done",
    "entries_purged": 120000,
    "partitions_done": 25,
    "partitions_total": 25,
    "finished_at": "2026-01-31T12:02:10.123456Z",
}
MORE = problem_response(
    409,
    "more_than_confirmed",
    "It would purge more than was confirmed",
    "The dry run counted 120000 entries, and 120007 would be purged now. Do the dry run again.",
    confirmed=120000,
    would_purge=120007,
)


def clean_up_with(dry_run: type, output: type, act: type) -> dict[str, Any]:
    return {
        "operation_id": "cleanup",
        "summary": "Purge entries",
        "description": (
            "For good, in the database and in the archive. Without `dry_run=false` it is a dry run, which counts and answers a confirmation that is good "
            "for ten minutes; the real run takes the same parameters and the confirmation, and is a job. Kept is what legal holds keep, what is younger "
            "than a locked policy keeps it, and what the log has recorded of its own use. The proofs of all other entries hold, and a signed record says "
            "what was purged. At least one of `before`, `policy` and the filters of search has to be given; all of them have to hold."
        ),
        "parameters": [
            OpenApiParameter("before", OpenApiTypes.DATETIME, description="Timestamp before, not in the future. Without it: before the dry run."),
            OpenApiParameter(
                "policy",
                {"type": "integer", "minimum": 0},
                description="What this retention policy decides; without `before`, what is older than it keeps.",
            ),
            *filter_parameters(),
            OpenApiParameter("dry_run", OpenApiTypes.BOOL, default=True),
            OpenApiParameter("confirmation", OpenApiTypes.STR, description="From the dry run, with `dry_run=false`."),
            TENANT,
        ],
        "responses": {
            200: OpenApiResponse(dry_run, description="The dry run. Nothing was purged."),
            202: OpenApiResponse(
                PolymorphicProxySerializer("CleanupAccepted", [output, act], resource_type_field_name=None),
                description="The job, at `Location`. Or under dual control: what waits for a second Admin.",
            ),
            409: MORE,
            422: INVALID_QUERY,
            503: UNAVAILABLE,
        },
        "examples": [shown("a dry run", _DRY_RUN), shown("a job", _QUEUED, "202"), WAITING_EXAMPLE],
    }


def list_cleanups_with(page: type) -> dict[str, Any]:
    return {
        "operation_id": "cleanups_list",
        "summary": "List clean-ups",
        "description": "Those of the tenant, newest first.",
        "parameters": [
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}),
            OpenApiParameter("cursor", {"type": "string", "format": "uuid"}, description="From `next` of an answer."),
            TENANT,
        ],
        "responses": {200: OpenApiResponse(page, description="One page."), 422: INVALID_QUERY},
        "examples": [shown("a page", {"results": [_DONE], "next": None})],
    }


def get_cleanup_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "cleanups_get",
        "summary": "Watch a clean-up",
        "parameters": [OpenApiParameter("id", {"type": "string", "format": "uuid"}, OpenApiParameter.PATH), TENANT],
        "responses": {200: OpenApiResponse(output, description="The clean-up."), 404: NOT_FOUND, 422: INVALID_QUERY},
        "examples": [shown("done", _DONE)],
    }
