"""What the OpenAPI document says of forwarders, with examples of every answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse

from accounts.api.etags import CHANGED, IF_MATCH
from accounts.schema import NOT_FOUND, problem_response
from logs.api.documentation import BEFORE, INTEGER_ID, INVALID_QUERY, LIMIT, TENANT, shown

_NEW = {"name": "SIEM", "kind": "syslog", "url": "syslog+tls://siem.example.com:6514", "query": "severity:>=WARNING"}
_FORWARDER = {
    "id": 4,
    "name": "SIEM",
    "kind": "syslog",
    "host": "siem.example.com",
    "query": "severity:>=WARNING",
    "is_active": True,
    "position": 1041,
    "lag_entries": 0,
    "lag_seconds": 0.0,
    "sent_count": 93,
    "sent_at": "2026-01-31T12:00:00.123456Z",
    "failure_count": 0,
    "last_error": None,
    "failed_at": None,
    "created_by": "user:alice",
    "created_at": "2026-01-30T12:00:00.123456Z",
    "updated_at": "2026-01-30T12:00:00.123456Z",
}
_DETAIL = "The operator allows no forwarding there: AUDITLOG_FORWARD_URLS names the object storages that may be used."
INVALID_FORWARDER = problem_response(
    422, "invalid", "The content is not right", _DETAIL, errors=[{"pointer": "/url", "code": "storage_not_allowed", "detail": _DETAIL}]
)
_NO_POSITION = "The log has the positions 0 to 1041."
NO_POSITION = problem_response(
    422, "invalid", "The content is not right", _NO_POSITION, errors=[{"pointer": "/from_position", "code": "no_such_position", "detail": _NO_POSITION}]
)


def list_forwarders_with(page: type) -> dict[str, Any]:
    return {
        "operation_id": "forwarders_list",
        "summary": "List forwarders",
        "description": "Newest first, each with its lag and its last error.",
        "parameters": [LIMIT, BEFORE, TENANT],
        "responses": {200: OpenApiResponse(page, description="One page."), 422: INVALID_QUERY},
        "examples": [shown("a page", {"results": [_FORWARDER], "next": None})],
    }


def create_forwarder_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "forwarders_create",
        "summary": "Make a forwarder",
        "description": "Sends what the query finds, in the order of positions, at least once. At most 20.",
        "parameters": [TENANT],
        "request": given,
        "responses": {201: OpenApiResponse(output, description="Kept. `Location` is its address, `ETag` its version."), 422: INVALID_FORWARDER},
        "examples": [
            OpenApiExample("syslog over TLS", value=_NEW, request_only=True),
            OpenApiExample(
                "Splunk, from the beginning",
                value={"name": "Splunk", "kind": "splunk", "url": "https://splunk.example.com:8088", "token": "0a1b2c3d", "index": "audit", "from_position": 0},
                request_only=True,
            ),
            shown("kept", _FORWARDER, "201"),
        ],
    }


def get_forwarder_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "forwarders_get",
        "summary": "Read a forwarder",
        "parameters": [INTEGER_ID, TENANT],
        "responses": {200: OpenApiResponse(output, description="The forwarder; `ETag` is its version."), 404: NOT_FOUND},
        "examples": [shown("a forwarder", _FORWARDER)],
    }


def change_forwarder_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "forwarders_change",
        "summary": "Change a forwarder",
        "description": "It goes on from its position.",
        "parameters": [INTEGER_ID, IF_MATCH, TENANT],
        "request": given,
        "responses": {200: OpenApiResponse(output, description="As it is now."), 404: NOT_FOUND, 412: CHANGED, 422: INVALID_FORWARDER},
        "examples": [
            OpenApiExample("everything", value={"query": ""}, request_only=True),
            shown("changed", _FORWARDER | {"query": ""}),
        ],
    }


delete_forwarder: dict[str, Any] = {
    "operation_id": "forwarders_delete",
    "summary": "Delete a forwarder",
    "parameters": [INTEGER_ID, IF_MATCH, TENANT],
    "responses": {204: None, 404: NOT_FOUND, 412: CHANGED},
}


def pause_forwarder_with(output: type) -> dict[str, Any]:
    return _switched_with(output, "pause", "Pause a forwarder", {"is_active": False})


def resume_forwarder_with(output: type) -> dict[str, Any]:
    return _switched_with(output, "resume", "Have a forwarder go on from where it was", {})


def replay_forwarder_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "forwarders_replay",
        "summary": "Send again from a position on",
        "description": "Or skip to a later one.",
        "parameters": [INTEGER_ID, IF_MATCH, TENANT],
        "request": given,
        "responses": {200: OpenApiResponse(output, description="As it is now."), 404: NOT_FOUND, 412: CHANGED, 422: NO_POSITION},
        "examples": [OpenApiExample("from the beginning", value={"from_position": 0}, request_only=True), shown("replayed", _FORWARDER | {"position": -1})],
    }


def _switched_with(output: type, deed: str, summary: str, told: dict[str, Any]) -> dict[str, Any]:
    return {
        "operation_id": f"forwarders_{deed}",
        "summary": summary,
        "parameters": [INTEGER_ID, IF_MATCH, TENANT],
        "request": None,
        "responses": {200: OpenApiResponse(output, description="As it is now."), 404: NOT_FOUND, 412: CHANGED},
        "examples": [shown("as it is now", _FORWARDER | told)],
    }
