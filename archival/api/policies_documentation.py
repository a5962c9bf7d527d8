"""What the OpenAPI document says of retention policies, with examples of every answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from accounts.api.etags import CHANGED, IF_MATCH
from accounts.schema import NOT_FOUND, problem_response
from archival.api.pending_acts_documentation import WAITING_EXAMPLE, waits
from logs.api.documentation import INTEGER_ID, INVALID_QUERY, TENANT, shown

_GIVEN = {"name": "Payments", "resource_types": ["payment", "invoice"], "hot_days": 180, "cold_days": 2555, "precedence": 10, "is_locked": True}
_POLICY = {
    "id": 7,
    "place": 1,
    "name": "Payments",
    "hot_days": 180,
    "cold_days": 2555,
    "resource_types": ["payment", "invoice"],
    "actions": [],
    "severities": [],
    "precedence": 10,
    "is_default": False,
    "is_locked": True,
    "updated_by": "user:alice",
    "created_at": "2026-01-31T12:00:00.123456Z",
    "updated_at": "2026-01-31T12:00:00.123456Z",
}
_DEFAULT = _POLICY | {
    "id": 1,
    "place": 2,
    "name": "Default",
    "hot_days": 90,
    "cold_days": None,
    "resource_types": [],
    "precedence": 100,
    "is_default": True,
    "is_locked": False,
    "updated_by": "",
}
_DUE = {"hot": 120000, "archived": 0, "purged": 0, "by_policy": [{"id": 1, "name": "Default", "archived": 0, "purged": 0}], "counted_from": "entries"}
_THEN = _DUE | {
    "purged": 80000,
    "by_policy": [{"id": None, "name": "Debugging", "archived": 0, "purged": 80000}, {"id": 1, "name": "Default", "archived": 0, "purged": 0}],
}
_PREVIEW = {"now": _DUE, "then": _THEN, "keeps_less": True, "confirm": "Debugging"}
_DETAIL = "A locked policy can be lengthened, never shortened: at least 180 hot days."
INVALID = problem_response(422, "invalid", "The content is not right", _DETAIL, errors=[{"pointer": "/hot_days", "code": "locked_policy", "detail": _DETAIL}])
_ASKS = (
    "What would purge more than half of what is in the database now, or give everything an earlier end, has to be confirmed (422 "
    "`confirmation_needed`): the answer and the preview say by which name."
)


def list_policies_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "retention_policies_list",
        "summary": "List retention policies",
        "description": "All of the tenant, in the order in which they count: the first that matches an entry decides. The default comes last.",
        "parameters": [TENANT],
        "responses": {200: OpenApiResponse(output, description="The policies."), 422: INVALID_QUERY},
        "examples": [shown("policies", {"results": [_POLICY, _DEFAULT]})],
    }


def add_policy_with(given: type, output: type, act: type) -> dict[str, Any]:
    return {
        "operation_id": "retention_policies_create",
        "summary": "Make a retention policy",
        "description": f"Nothing moves or purges entries by policy yet: it can be made, previewed, ordered and locked, and takes no effect. {_ASKS}",
        "parameters": [TENANT],
        "request": given,
        "responses": {201: OpenApiResponse(output, description="Made. `Location` is its address."), 202: waits(act), 422: INVALID},
        "examples": [OpenApiExample("a policy", value=_GIVEN, request_only=True), shown("made", _POLICY, "201"), WAITING_EXAMPLE],
    }


def get_policy_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "retention_policies_get",
        "summary": "Read a retention policy",
        "parameters": [INTEGER_ID, TENANT],
        "responses": {200: OpenApiResponse(output, description="The policy."), 404: NOT_FOUND, 422: INVALID_QUERY},
        "examples": [shown("a policy", _POLICY)],
    }


def change_policy_with(given: type, output: type, act: type) -> dict[str, Any]:
    return {
        "operation_id": "retention_policies_change",
        "summary": "Change a retention policy",
        "description": f"What is absent stays as it is. A locked policy can be lengthened and widened, and nothing else. {_ASKS}",
        "parameters": [INTEGER_ID, IF_MATCH, TENANT],
        "request": given,
        "responses": {200: OpenApiResponse(output, description="The policy as it is now."), 202: waits(act), 404: NOT_FOUND, 412: CHANGED, 422: INVALID},
        "examples": [OpenApiExample("longer", value={"cold_days": 3650}, request_only=True), shown("changed", _POLICY | {"cold_days": 3650}), WAITING_EXAMPLE],
    }


def delete_policy_with(act: type) -> dict[str, Any]:
    return {
        "operation_id": "retention_policies_delete",
        "summary": "Delete a retention policy",
        "description": f"What it decided is decided by those after it. Neither a locked policy nor the default can be deleted. {_ASKS}",
        "parameters": [
            INTEGER_ID,
            OpenApiParameter("confirm", {"type": "string", "maxLength": 100}, description="The policy's name, where that is asked for."),
            IF_MATCH,
            TENANT,
        ],
        "responses": {204: OpenApiResponse(description="Deleted."), 202: waits(act), 404: NOT_FOUND, 412: CHANGED, 422: INVALID},
        "examples": [WAITING_EXAMPLE],
    }


def order_policies_with(given: type, output: type, act: type) -> dict[str, Any]:
    return {
        "operation_id": "retention_policies_order",
        "summary": "Order retention policies",
        "description": f"Names every policy but the default, the first to count first. {_ASKS}",
        "parameters": [TENANT],
        "request": given,
        "responses": {200: OpenApiResponse(output, description="The policies in their new order."), 202: waits(act), 422: INVALID},
        "examples": [OpenApiExample("an order", value={"ids": [7]}, request_only=True), shown("ordered", {"results": [_POLICY, _DEFAULT]}), WAITING_EXAMPLE],
    }


def preview_policies_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "retention_policies_preview",
        "summary": "Preview a change of retention policies",
        "description": "What the policies would move and purge now if the change were made, beside what they do as they are. Nothing is changed.",
        "parameters": [TENANT],
        "request": given,
        "responses": {200: OpenApiResponse(output, description="What it would do."), 404: NOT_FOUND, 422: INVALID},
        "examples": [
            OpenApiExample("a short one", value={"add": {"name": "Debugging", "severities": ["INFO"], "hot_days": 7, "cold_days": 0}}, request_only=True),
            shown("a preview", _PREVIEW),
        ],
    }
