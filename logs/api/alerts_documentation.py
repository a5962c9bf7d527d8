"""What the OpenAPI document says of alert rules and alerts, with examples of every answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from accounts.api.etags import CHANGED, IF_MATCH
from accounts.schema import NOT_FOUND, problem_response
from logs.api.documentation import BEFORE, INTEGER_ID, INVALID_QUERY, LIMIT, TENANT, shown
from logs.models import AlertSeverity, AlertState

_NEW = {
    "name": "Password guessing",
    "query": "action:LOGIN_FAILED",
    "condition": {"kind": "threshold", "count": 5, "window_seconds": 300},
    "group_by": ["user_id"],
    "severity": "ERROR",
    "schedule": {"days": ["mon", "tue", "wed", "thu", "fri"], "start": "18:00", "end": "08:00", "time_zone": "Europe/Berlin"},
}
_RULE = {
    "id": 7,
    "description": "",
    "cool_down_seconds": 300,
    "muted_until": None,
    "is_active": True,
    "began_at": "2026-01-31T12:00:00.123456Z",
    "error": None,
    "match_count": 11,
    "alert_count": 2,
    "suppressed_count": 0,
    "target_ids": [3],
    "forgotten_count": 0,
    "created_by": "user:alice",
    "created_at": "2026-01-31T12:00:00.123456Z",
    "updated_at": "2026-01-31T12:00:00.123456Z",
} | _NEW
_ENTRY_IDS = ["019a2b3c-4d5e-7000-8000-00000000002a", "019a2b3c-4d5f-7000-8000-00000000002b"]
_ALERT = {
    "id": 31,
    "rule_id": 7,
    "rule_name": "Password guessing",
    "severity": "ERROR",
    "group": {"user_id": "bob"},
    "count": 5,
    "suppressed_count": 0,
    "positions": [1041, 1042],
    "entry_ids": _ENTRY_IDS,
    "occurred_at": "2026-01-31T12:04:11.000250Z",
    "fired_at": "2026-01-31T12:04:12.310000Z",
    "state": "open",
    "note": "",
    "changed_by": None,
    "changed_at": None,
}
_TRIAL = {
    "since": "2026-01-24T12:00:00Z",
    "until": "2026-01-31T12:00:00Z",
    "searched_to": None,
    "match_count": 23,
    "fire_count": 4,
    "alert_count": 3,
    "alerts": [{"occurred_at": "2026-01-30T09:12:44.5Z", "group": {"user_id": "bob"}, "count": 5, "suppressed_count": 1, "entry_ids": _ENTRY_IDS}],
}
_DETAIL = "Column 8: 'LOGIN FAILED' is no name of an action: letters, digits and _ . : -"
INVALID_RULE = problem_response(
    422, "invalid", "The content is not right", _DETAIL, errors=[{"pointer": "/query", "code": "bad_format", "detail": _DETAIL, "column": 8}]
)
INVALID_TRIAL = problem_response(
    422, "invalid", "The content is not right", _DETAIL, errors=[{"pointer": "/rule/query", "code": "bad_format", "detail": _DETAIL, "column": 8}]
)
_SIGMA = """title: Console login of root
logsource: {product: aws, service: cloudtrail}
detection:
  selection: {eventName: ConsoleLogin, userIdentity.type: Root}
  condition: selection
level: high
"""
_IMPORTED: dict[str, Any] = {
    "rules": [
        {
            "id": None,
            "name": "Console login of root",
            "description": "Log source: product aws, service cloudtrail",
            "query": 'action:"CONSOLE_LOGIN" metadata.identity.kind:"Root"',
            "condition": {"kind": "every_match"},
            "group_by": [],
            "severity": "ERROR",
            "mapped": {"eventName": "action", "userIdentity.type": "metadata.identity.kind"},
            "notes": ["Texts are compared as they are written; Sigma does not tell capitals from small letters. Actions are found in any case."],
        }
    ]
}
_SIGMA_DETAIL = "The query language has no regular expressions."
INVALID_SIGMA = problem_response(
    422,
    "invalid",
    "The content is not right",
    _SIGMA_DETAIL,
    errors=[{"pointer": "/sigma/0/detection/selection/eventName|re", "code": "sigma_unfit", "detail": _SIGMA_DETAIL}],
)
_MUTE_DETAIL = "A rule is muted for 366 days at most."
INVALID_MUTE = problem_response(
    422, "invalid", "The content is not right", _MUTE_DETAIL, errors=[{"pointer": "/until", "code": "out_of_range", "detail": _MUTE_DETAIL}]
)
_CLOSED_DETAIL = "The alert is closed already."
INVALID_HANDLING = problem_response(
    422, "invalid", "The content is not right", _CLOSED_DETAIL, errors=[{"pointer": "", "code": "closed", "detail": _CLOSED_DETAIL}]
)
_TIME = "RFC 3339, a date, or so long ago: `-7d`."


def list_rules_with(page: type) -> dict[str, Any]:
    return {
        "operation_id": "alert_rules_list",
        "summary": "List alert rules",
        "description": "Newest first.",
        "parameters": [LIMIT, BEFORE, TENANT],
        "responses": {200: OpenApiResponse(page, description="One page."), 422: INVALID_QUERY},
        "examples": [shown("a page", {"results": [_RULE], "next": None, "waiting_count": 0})],
    }


def create_rule_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "alert_rules_create",
        "summary": "Make an alert rule",
        "description": "At most 1,000. It counts from the present on; try it on what is stored first (`POST /api/v1/alert-rules/test`).",
        "parameters": [TENANT],
        "request": given,
        "responses": {201: OpenApiResponse(output, description="Kept. `Location` is its address, `ETag` its version."), 422: INVALID_RULE},
        "examples": [
            OpenApiExample("five failures of one user", value=_NEW, request_only=True),
            OpenApiExample(
                "a user's first deletion",
                value={"name": "First deletion", "query": "action:DELETE", "condition": {"kind": "first_seen", "learn_days": 30}, "group_by": ["user_id"]},
                request_only=True,
            ),
            OpenApiExample(
                "a silent service",
                value={"name": "Billing is silent", "query": "source:key:0a1b2c3d4e5f", "condition": {"kind": "absence", "window_seconds": 3600}},
                request_only=True,
            ),
            shown("kept", _RULE, "201"),
        ],
    }


def get_rule_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "alert_rules_get",
        "summary": "Read an alert rule",
        "parameters": [INTEGER_ID, TENANT],
        "responses": {200: OpenApiResponse(output, description="The rule; `ETag` is its version."), 404: NOT_FOUND},
        "examples": [shown("a rule", _RULE)],
    }


def change_rule_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "alert_rules_change",
        "summary": "Change an alert rule",
        "description": "With another query, condition or grouping it begins to count anew, from the present on; so it does when it is switched on.",
        "parameters": [INTEGER_ID, IF_MATCH, TENANT],
        "request": given,
        "responses": {200: OpenApiResponse(output, description="As it is now."), 404: NOT_FOUND, 412: CHANGED, 422: INVALID_RULE},
        "examples": [
            OpenApiExample("switch it off", value={"is_active": False}, request_only=True),
            shown("changed", _RULE | {"is_active": False}),
        ],
    }


delete_rule: dict[str, Any] = {
    "operation_id": "alert_rules_delete",
    "summary": "Delete an alert rule",
    "description": "Its alerts stay.",
    "parameters": [INTEGER_ID, IF_MATCH, TENANT],
    "responses": {204: None, 404: NOT_FOUND, 412: CHANGED},
}


def mute_rule_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "alert_rules_mute",
        "summary": "Mute an alert rule",
        "description": "It counts on, and makes no alerts until then.",
        "parameters": [INTEGER_ID, IF_MATCH, TENANT],
        "request": given,
        "responses": {200: OpenApiResponse(output, description="As it is now."), 404: NOT_FOUND, 412: CHANGED, 422: INVALID_MUTE},
        "examples": [
            OpenApiExample("until tomorrow", value={"until": "2026-02-01T08:00:00Z"}, request_only=True),
            shown("muted", _RULE | {"muted_until": "2026-02-01T08:00:00Z"}),
        ],
    }


def import_sigma_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "alert_rules_import_sigma",
        "summary": "Make alert rules of Sigma rules",
        "description": "Reads rules in the form of Sigma, and answers the alert rules that they stand for; with `save=true` they are kept, all or none. "
        "What the query language can't say is refused: `errors` names each part of the YAML by its path, with the reason.",
        "parameters": [OpenApiParameter("save", bool, description="Whether the rules are kept. Default: no, they are only shown."), TENANT],
        "request": given,
        "responses": {
            200: OpenApiResponse(output, description="What would be kept."),
            201: OpenApiResponse(output, description="Kept."),
            422: INVALID_SIGMA,
        },
        "examples": [
            OpenApiExample("a rule of CloudTrail", value={"sigma": _SIGMA, "fields": {"userIdentity.type": "metadata.identity.kind"}}, request_only=True),
            shown("shown", _IMPORTED),
            shown("kept", {"rules": [_IMPORTED["rules"][0] | {"id": 7}]}, "201"),
        ],
    }


def test_rule_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "alert_rules_test",
        "summary": "Try an alert rule on what is stored",
        "description": "What the rule would have done in the days before. Nothing is kept, nobody is told. Takes some seconds at most: what could not be "
        "looked through in that time is said.",
        "parameters": [TENANT],
        "request": given,
        "responses": {200: OpenApiResponse(output, description="What the rule would have done."), 422: INVALID_TRIAL},
        "examples": [OpenApiExample("a trial", value={"rule": _NEW, "days": 7}, request_only=True), shown("three alerts", _TRIAL)],
    }


def list_alerts_with(page: type) -> dict[str, Any]:
    return {
        "operation_id": "alerts_list",
        "summary": "List alerts",
        "description": "Newest first.",
        "parameters": [
            LIMIT,
            BEFORE,
            OpenApiParameter("state", OpenApiTypes.STR, many=True, enum=AlertState.values, description="Any of these."),
            OpenApiParameter("severity", OpenApiTypes.STR, many=True, enum=AlertSeverity.values, description="Any of these."),
            OpenApiParameter("rule_id", {"type": "integer", "minimum": 0}),
            OpenApiParameter("from", OpenApiTypes.STR, description=f"Fired at or after it. {_TIME}"),
            OpenApiParameter("to", OpenApiTypes.STR, description=f"Fired before it. {_TIME}"),
            TENANT,
        ],
        "responses": {200: OpenApiResponse(page, description="One page."), 422: INVALID_QUERY},
        "examples": [shown("a page", {"results": [_ALERT], "next": None})],
    }


def get_alert_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "alerts_get",
        "summary": "Read an alert",
        "parameters": [INTEGER_ID, TENANT],
        "responses": {200: OpenApiResponse(output, description="The alert; `ETag` is its version."), 404: NOT_FOUND},
        "examples": [shown("an alert", _ALERT)],
    }


def acknowledge_alert_with(given: type, output: type) -> dict[str, Any]:
    return _handled_with(given, output, "acknowledged", "alerts_acknowledge", "Acknowledge an alert", "Somebody is at it.")


def close_alert_with(given: type, output: type) -> dict[str, Any]:
    return _handled_with(given, output, "closed", "alerts_close", "Close an alert", "Nothing more is to be done about it.")


def _handled_with(given: type, output: type, state: str, operation_id: str, summary: str, description: str) -> dict[str, Any]:
    told = {"note": "Bob had forgotten it; called him.", "state": state, "changed_by": "user:alice", "changed_at": "2026-01-31T12:10:00Z"}
    return {
        "operation_id": operation_id,
        "summary": summary,
        "description": description,
        "parameters": [INTEGER_ID, IF_MATCH, TENANT],
        "request": given,
        "responses": {200: OpenApiResponse(output, description="As it is now."), 404: NOT_FOUND, 412: CHANGED, 422: INVALID_HANDLING},
        "examples": [OpenApiExample("with a note", value={"note": told["note"]}, request_only=True), shown(state, _ALERT | told)],
    }
