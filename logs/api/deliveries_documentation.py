"""What the OpenAPI document says of delivery targets and deliveries, with examples of every answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from accounts.api.etags import CHANGED, IF_MATCH
from accounts.schema import NOT_FOUND, problem_response
from logs.api.documentation import BEFORE, INTEGER_ID, INVALID_QUERY, LIMIT, TENANT, shown
from logs.models import DeliveryState

_NEW = {"name": "On call", "kind": "webhook", "url": "https://hooks.example.com/auditlog"}
_SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU="
_TARGET = {
    "id": 3,
    "name": "On call",
    "kind": "webhook",
    "host": "hooks.example.com",
    "email_addresses": [],
    "is_active": True,
    "stopped_because": None,
    "failure_count": 0,
    "rests_until": None,
    "waiting_count": 0,
    "dead_count": 0,
    "created_by": "user:alice",
    "created_at": "2026-01-31T12:00:00.123456Z",
    "updated_at": "2026-01-31T12:00:00.123456Z",
}
_ID = "019a2b3c-4d5e-7000-8000-0000000000aa"
_DELIVERY = {
    "id": _ID,
    "target_id": 3,
    "message_id": "alert:31",
    "webhook_id": "msg_" + _ID.replace("-", ""),
    "type": "alert.fired",
    "title": "Password guessing",
    "severity": "ERROR",
    "state": "delivered",
    "attempt_count": 2,
    "next_attempt_at": None,
    "created_at": "2026-01-31T12:04:12.310000Z",
    "finished_at": "2026-01-31T12:04:18.900000Z",
    "data": {"alert_id": 31, "rule": "Password guessing", "group": {"user_id": "bob"}, "count": 5},
}
_ATTEMPT = {
    "series": 1,
    "started_at": "2026-01-31T12:04:12.4Z",
    "duration_ms": 31,
    "is_success": False,
    "status_code": 503,
    "error": "The receiver answered 503.",
}
_ATTEMPTS = [_ATTEMPT | {"answer": "busy"}, _ATTEMPT | {"is_success": True, "status_code": 204, "error": None, "answer": None}]
_WAITING = _DELIVERY | {"state": "waiting", "attempt_count": 0, "next_attempt_at": "2026-01-31T12:10:00Z", "finished_at": None}
_DETAIL = "hooks.internal may not be called: its address is private. (AUDITLOG_OUTBOUND_ALLOW names networks that may be.)"
INVALID_TARGET = problem_response(422, "invalid", "The content is not right", _DETAIL, errors=[{"pointer": "/url", "code": "bad_address", "detail": _DETAIL}])
_OFF = "The target is switched off: switch it on first."
SWITCHED_OFF = problem_response(422, "invalid", "The content is not right", _OFF, errors=[{"pointer": "", "code": "switched_off", "detail": _OFF}])
_NO_SIGNATURE = "Only webhooks are signed."
NOT_SIGNED = problem_response(
    422, "invalid", "The content is not right", _NO_SIGNATURE, errors=[{"pointer": "", "code": "not_of_kind", "detail": _NO_SIGNATURE}]
)
_TEXT_ID = OpenApiParameter("id", {"type": "string"}, OpenApiParameter.PATH)


def list_targets_with(page: type) -> dict[str, Any]:
    return {
        "operation_id": "delivery_targets_list",
        "summary": "List delivery targets",
        "description": "Newest first.",
        "parameters": [LIMIT, BEFORE, TENANT],
        "responses": {200: OpenApiResponse(page, description="One page."), 422: INVALID_QUERY},
        "examples": [shown("a page", {"results": [_TARGET], "next": None})],
    }


def create_target_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "delivery_targets_create",
        "summary": "Make a delivery target",
        "description": "Where notices go: a webhook (signed as [Standard Webhooks](https://www.standardwebhooks.com) say), an incoming webhook of Slack or "
        "its like, or mailboxes. At most 100. A webhook's signing secret is in this answer and in no other.",
        "parameters": [TENANT],
        "request": given,
        "responses": {201: OpenApiResponse(output, description="Kept. `Location` is its address, `ETag` its version."), 422: INVALID_TARGET},
        "examples": [
            OpenApiExample("a webhook", value=_NEW, request_only=True),
            OpenApiExample("mailboxes", value={"name": "Security", "kind": "email", "email_addresses": ["security@example.com"]}, request_only=True),
            shown("kept", _TARGET | {"secret": _SECRET}, "201"),
        ],
    }


def get_target_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "delivery_targets_get",
        "summary": "Read a delivery target",
        "parameters": [INTEGER_ID, TENANT],
        "responses": {200: OpenApiResponse(output, description="The target; `ETag` is its version."), 404: NOT_FOUND},
        "examples": [shown("a target", _TARGET)],
    }


def change_target_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "delivery_targets_change",
        "summary": "Change a delivery target",
        "description": "With another address, or switched on, it is tried at once.",
        "parameters": [INTEGER_ID, IF_MATCH, TENANT],
        "request": given,
        "responses": {200: OpenApiResponse(output, description="As it is now."), 404: NOT_FOUND, 412: CHANGED, 422: INVALID_TARGET},
        "examples": [OpenApiExample("switch it off", value={"is_active": False}, request_only=True), shown("changed", _TARGET | {"is_active": False})],
    }


delete_target: dict[str, Any] = {
    "operation_id": "delivery_targets_delete",
    "summary": "Delete a delivery target",
    "description": "With its deliveries. What became of them stays in the log.",
    "parameters": [INTEGER_ID, IF_MATCH, TENANT],
    "responses": {204: None, 404: NOT_FOUND, 412: CHANGED},
}


def rotate_secret_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "delivery_targets_rotate_secret",
        "summary": "Sign with a new secret",
        "description": "Until the overlap is over, each message has two signatures, by the new secret and the one before: receivers change when they like.",
        "parameters": [INTEGER_ID, IF_MATCH, TENANT],
        "request": given,
        "responses": {200: OpenApiResponse(output, description="The target with its new secret."), 404: NOT_FOUND, 412: CHANGED, 422: NOT_SIGNED},
        "examples": [
            OpenApiExample("two days", value={"overlap_seconds": 172_800}, request_only=True),
            shown("rotated", _TARGET | {"secret": _SECRET}),
        ],
    }


def test_target_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "delivery_targets_test",
        "summary": "Send a test to a target",
        "description": "Ends the rest of a target that failed. What comes of it is at `Location`.",
        "parameters": [INTEGER_ID, TENANT],
        "request": None,
        "responses": {202: OpenApiResponse(output, description="On its way."), 404: NOT_FOUND, 422: SWITCHED_OFF},
        "examples": [shown("on its way", _WAITING | {"type": "test", "title": "A test", "severity": "INFO", "data": {}}, "202")],
    }


def replay_target_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "delivery_targets_replay",
        "summary": "Send a target's dead letters once more",
        "parameters": [INTEGER_ID, TENANT],
        "request": None,
        "responses": {202: OpenApiResponse(output, description="How many."), 404: NOT_FOUND, 422: SWITCHED_OFF},
        "examples": [shown("twelve", {"replayed": 12}, "202")],
    }


def list_deliveries_with(page: type) -> dict[str, Any]:
    return {
        "operation_id": "deliveries_list",
        "summary": "List deliveries",
        "description": "Newest first. `state=dead` are the dead letters. What came to an end is kept for 30 days.",
        "parameters": [
            LIMIT,
            OpenApiParameter("before", OpenApiTypes.STR, description="From `next` of an answer."),
            OpenApiParameter("state", OpenApiTypes.STR, many=True, enum=DeliveryState.values, description="Any of these."),
            OpenApiParameter("target_id", {"type": "integer", "minimum": 0}),
            TENANT,
        ],
        "responses": {200: OpenApiResponse(page, description="One page."), 422: INVALID_QUERY},
        "examples": [shown("a page", {"results": [_DELIVERY], "next": None})],
    }


def get_delivery_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "deliveries_get",
        "summary": "Read a delivery and its attempts",
        "parameters": [_TEXT_ID, TENANT],
        "responses": {200: OpenApiResponse(output, description="The delivery, with its last 100 attempts."), 404: NOT_FOUND},
        "examples": [shown("a delivery", _DELIVERY | {"attempts": _ATTEMPTS})],
    }


def replay_delivery_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "deliveries_replay",
        "summary": "Send a delivery once more",
        "description": "One that arrived or was given up: a new series of attempts, under the same `webhook-id`.",
        "parameters": [_TEXT_ID, TENANT],
        "request": None,
        "responses": {202: OpenApiResponse(output, description="On its way."), 404: NOT_FOUND, 422: SWITCHED_OFF},
        "examples": [shown("on its way", _WAITING, "202")],
    }
