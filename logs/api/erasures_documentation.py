"""What the OpenAPI document says of erasures, with examples of every answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, PolymorphicProxySerializer

from accounts.schema import NOT_FOUND, problem_response
from logs.api.documentation import INVALID_QUERY, TENANT, shown
from logs.search.pages import DEFAULT_LIMIT, MAX_LIMIT

_ID = "019a2b3c-4d5e-7000-8000-00000000002a"
_DONE = {
    "id": _ID,
    "state": "done",
    "reason": "Request of 2026-01-30 under GDPR Art. 17.",
    "asked_by": "user:alice",
    "created_at": "2026-01-31T12:00:00.123456Z",
    "keys_destroyed": 1,
    "subject": "carol",
    "key_ids": [57],
    "pseudonyms": ["p_6f0c2a9d4b8e417f93a5d1c07e2b6a84"],
    "finished_at": "2026-01-31T12:00:00.234567Z",
}
_BEGUN = {name: _DONE[name] for name in ("id", "reason", "asked_by", "created_at", "subject", "key_ids", "pseudonyms")} | {
    "state": "begun",
    "keys_destroyed": 0,
}
_DETAIL = "`confirm` has to be the subject once more, letter by letter."
INVALID = problem_response(422, "invalid", "The content is not right", _DETAIL, errors=[{"pointer": "/confirm", "code": "not_confirmed", "detail": _DETAIL}])
HELD = problem_response(409, "held", "A legal hold forbids it", "The legal hold 7 is on this subject. Nothing was erased.", erasure=_ID)


def list_erasures_with(page: type) -> dict[str, Any]:
    return {
        "operation_id": "erasures_list",
        "summary": "List erasures",
        "description": "Those of the tenant, newest first, those that a legal hold forbade included.",
        "parameters": [
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}),
            OpenApiParameter("cursor", {"type": "string", "format": "uuid"}, description="From `next` of an answer."),
            TENANT,
        ],
        "responses": {200: OpenApiResponse(page, description="One page."), 422: INVALID_QUERY},
        "examples": [shown("a page", {"results": [_DONE], "next": None})],
    }


def erase_with(given: type, output: type, deferred: type) -> dict[str, Any]:
    return {
        "operation_id": "erasures_create",
        "summary": "Erase a data subject",
        "description": (
            "Destroys the subject's data key: what was encrypted with it can't be read any more, by anybody, anywhere; export files that may hold the "
            "subject are removed; entries and proofs stay. `user_id` stays where the tenant does not pseudonymise its users. The act is recorded in "
            "the log before and after. Asked again, it finds nothing new and says so. See docs/erasure.md, also for what it can't do."
        ),
        "parameters": [TENANT],
        "request": given,
        "responses": {
            201: OpenApiResponse(output, description="Done. `Location` is its address."),
            202: OpenApiResponse(
                PolymorphicProxySerializer("ErasureAccepted", [output, deferred], resource_type_field_name=None),
                description="Begun, and carried on by itself: a step could not be taken now. Or under dual control: it waits for a second Admin.",
            ),
            409: HELD,
            422: INVALID,
        },
        "examples": [
            OpenApiExample("a subject", value={"subject": "carol", "reason": _DONE["reason"], "confirm": "carol"}, request_only=True),
            shown("done", _DONE, "201"),
            shown("begun", _BEGUN, "202"),
            shown("under dual control", {"pending_act": 7}, "202"),
        ],
    }


def get_erasure_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "erasures_get",
        "summary": "Read an erasure",
        "parameters": [OpenApiParameter("id", {"type": "string", "format": "uuid"}, OpenApiParameter.PATH), TENANT],
        "responses": {200: OpenApiResponse(output, description="The erasure."), 404: NOT_FOUND, 422: INVALID_QUERY},
        "examples": [shown("done", _DONE)],
    }
