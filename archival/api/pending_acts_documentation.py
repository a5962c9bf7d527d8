"""What the OpenAPI document says of dual control, with examples of every answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from accounts.api.etags import CHANGED, IF_MATCH
from accounts.schema import NOT_FOUND, problem_response
from logs.api.documentation import INTEGER_ID, INVALID_QUERY, TENANT, shown
from logs.search.pages import DEFAULT_LIMIT, MAX_LIMIT

_SETTINGS = {"is_for_purges": True, "is_for_erasures": True, "is_for_releases": True, "waiting_hours": 24, "updated_by": "user:alice"}
_ASKED = {
    "id": 7,
    "act": "release",
    "state": "asked",
    "what": {"hold": 3},
    "asked_by": "user:alice",
    "asked_at": "2026-01-31T12:00:00.123456Z",
    "expires_at": "2026-02-07T12:00:00.123456Z",
    "reason": "Case 4711 is closed.",
}
_CONFIRMED = _ASKED | {
    "state": "confirmed",
    "decided_by": "user:bob",
    "decided_at": "2026-01-31T13:00:00.123456Z",
    "not_before": "2026-02-01T13:00:00.123456Z",
}
_DONE = _CONFIRMED | {"state": "done", "finished_at": "2026-02-01T13:00:30.123456Z", "outcome": "hold-3"}
_REFUSED = _ASKED | {
    "state": "refused",
    "decided_by": "user:bob",
    "decided_at": "2026-01-31T13:00:00.123456Z",
    "finished_at": "2026-01-31T13:00:00.123456Z",
}
_ONE = "The tenant has one Admin, and nobody could confirm what they ask for. Make another one first."
INVALID = problem_response(422, "invalid", "The content is not right", _ONE, errors=[{"pointer": "", "code": "one_admin", "detail": _ONE}])
OVER = problem_response(
    409, "act_over", "The pending act is decided already", "The pending act 7 is done, or its time to be confirmed is over.", state="done"
)  # fmt: skip


def waits(output: type) -> OpenApiResponse:
    """The answer of whatever may need a second Admin."""
    return OpenApiResponse(output, description="Under dual control: it waits for a second Admin. `Location` is where to watch that.")


WAITING_EXAMPLE = shown("under dual control", _ASKED, "202")


def get_dual_control_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "dual_control_get",
        "summary": "What needs a second Admin",
        "parameters": [TENANT],
        "responses": {200: OpenApiResponse(output, description="What needs one."), 422: INVALID_QUERY},
        "examples": [shown("everything", _SETTINGS)],
    }


def change_dual_control_with(given: type, output: type, act: type) -> dict[str, Any]:
    return {
        "operation_id": "dual_control_change",
        "summary": "Change what needs a second Admin",
        "description": "What is absent stays as it is. To need less, or to wait less long, is itself under dual control.",
        "parameters": [IF_MATCH, TENANT],
        "request": given,
        "responses": {200: OpenApiResponse(output, description="What needs one now."), 202: waits(act), 412: CHANGED, 422: INVALID},
        "examples": [
            OpenApiExample("purges, after a day", value={"is_for_purges": True, "waiting_hours": 24}, request_only=True),
            shown("changed", _SETTINGS),
            WAITING_EXAMPLE,
        ],
    }


def list_acts_with(page: type) -> dict[str, Any]:
    return {
        "operation_id": "pending_acts_list",
        "summary": "List acts under dual control",
        "description": "Of Admins all of the tenant, of others those that they asked for; newest first, those that are over included.",
        "parameters": [
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}),
            OpenApiParameter("before", {"type": "integer", "minimum": 0}, description="From `next` of an answer."),
            OpenApiParameter("waiting", OpenApiTypes.BOOL, description="Only those that are not over."),
            TENANT,
        ],
        "responses": {200: OpenApiResponse(page, description="One page."), 422: INVALID_QUERY},
        "examples": [shown("a page", {"results": [_ASKED], "next": None})],
    }


def get_act_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "pending_acts_get",
        "summary": "Read an act under dual control",
        "parameters": [INTEGER_ID, TENANT],
        "responses": {200: OpenApiResponse(output, description="The act."), 404: NOT_FOUND, 422: INVALID_QUERY},
        "examples": [shown("done", _DONE)],
    }


def confirm_act_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "pending_acts_confirm",
        "summary": "Confirm an act",
        "description": (
            "For an Admin in person, other than who asked, who might ask for the same. The waiting time begins; when it is over the act is carried out, "
            "if both persons may still do it then."
        ),
        "parameters": [INTEGER_ID, TENANT],
        "request": None,
        "responses": {202: OpenApiResponse(output, description="Confirmed."), 404: NOT_FOUND, 409: OVER, 422: INVALID_QUERY},
        "examples": [shown("confirmed", _CONFIRMED, "202")],
    }


def refuse_act_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "pending_acts_refuse",
        "summary": "Refuse an act",
        "description": "For any Admin, until it is carried out; and for who asked, to take it back.",
        "parameters": [INTEGER_ID, TENANT],
        "request": None,
        "responses": {200: OpenApiResponse(output, description="Refused."), 404: NOT_FOUND, 409: OVER, 422: INVALID_QUERY},
        "examples": [shown("refused", _REFUSED)],
    }
