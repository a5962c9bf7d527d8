"""What the OpenAPI document says of masking rules, with examples of every answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from accounts.api.etags import IF_MATCH
from accounts.schema import NOT_FOUND, problem_response
from logs.api.documentation import INTEGER_ID, TENANT, shown
from logs.api.saved_searches_documentation import CHANGED

_NEW = {"name": "Employee numbers", "kind": "pattern", "pattern": "EMP-[0-9]{6}", "fields": ["message", "metadata"], "action": "hash"}
_RULE = {
    "id": 7,
    "resource_types": [],
    "position": 100,
    "is_active": True,
    "created_by": "user:alice",
    "created_at": "2026-01-31T12:00:00.123456Z",
    "updated_at": "2026-01-31T12:00:00.123456Z",
} | _NEW
_BUILT_IN = {"name": "emails", "description": "e-mail addresses", "action": "hash", "default_action": "hash", "is_active": True}
_PREVIEW = {
    "looked_at": 50,
    "would_change": 1,
    "changes": [
        {
            "id": "019a2b3c-4d5e-7000-8000-00000000002a",
            "masked": ["/message"],
            "before": {"message": "Badge of EMP-004711 was blocked"},
            "after": {"message": "Badge of [hash:5f1c2a90b3d4e6f7] was blocked"},
        }
    ],
    "samples": [{"masked": ["/metadata/by"], "before": {"metadata": {"by": "EMP-000001"}}, "after": {"metadata": {"by": "[hash:0b9a8c7d6e5f4a3b]"}}}],
}
_DETAIL = "RE2 says: missing ): (EMP."
INVALID_RULE = problem_response(422, "invalid", "The content is not right", _DETAIL, errors=[{"pointer": "/pattern", "code": "bad_pattern", "detail": _DETAIL}])
INVALID_TRIAL = problem_response(
    422, "invalid", "The content is not right", _DETAIL, errors=[{"pointer": "/rule/pattern", "code": "bad_pattern", "detail": _DETAIL}]
)
_BUILT_IN_NAME = OpenApiParameter("name", OpenApiTypes.STR, OpenApiParameter.PATH, description="From `built_in` of the list.")


def list_rules_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "masking_rules_list",
        "summary": "List masking rules",
        "description": "The tenant's own and the built-in ones, in the order in which they count.",
        "parameters": [TENANT],
        "responses": {200: OpenApiResponse(output, description="All rules.")},
        "examples": [shown("rules", {"rules": [_RULE], "built_in": [_BUILT_IN]})],
    }


def add_rule_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "masking_rules_create",
        "summary": "Add a masking rule",
        "description": "At most 100. It counts in every process within seconds, for entries that come in from then on.",
        "parameters": [TENANT],
        "request": given,
        "responses": {201: OpenApiResponse(output, description="Kept. `Location` is its address, `ETag` its version."), 422: INVALID_RULE},
        "examples": [OpenApiExample("a rule", value=_NEW, request_only=True), shown("kept", _RULE, "201")],
    }


def get_rule_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "masking_rules_get",
        "summary": "Read a masking rule",
        "parameters": [INTEGER_ID, TENANT],
        "responses": {200: OpenApiResponse(output, description="The rule; `ETag` is its version."), 404: NOT_FOUND},
        "examples": [shown("a rule", _RULE)],
    }


def change_rule_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "masking_rules_change",
        "summary": "Change a masking rule",
        "description": "What is stored already stays as it is.",
        "parameters": [INTEGER_ID, IF_MATCH, TENANT],
        "request": given,
        "responses": {200: OpenApiResponse(output, description="As it is now."), 404: NOT_FOUND, 412: CHANGED, 422: INVALID_RULE},
        "examples": [
            OpenApiExample("switch it off", value={"is_active": False}, request_only=True),
            shown("changed", _RULE | {"is_active": False}),
        ],
    }


delete_rule: dict[str, Any] = {
    "operation_id": "masking_rules_delete",
    "summary": "Delete a masking rule",
    "parameters": [INTEGER_ID, IF_MATCH, TENANT],
    "responses": {204: None, 404: NOT_FOUND, 412: CHANGED},
}


def get_built_in_with(output: type) -> dict[str, Any]:
    return {
        "operation_id": "masking_rules_built_in_get",
        "summary": "Read a built-in masking rule",
        "parameters": [_BUILT_IN_NAME, TENANT],
        "responses": {200: OpenApiResponse(output, description="The rule as your tenant has it."), 404: NOT_FOUND},
        "examples": [shown("a built-in rule", _BUILT_IN)],
    }


def change_built_in_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "masking_rules_built_in_change",
        "summary": "Change a built-in masking rule",
        "description": "Switch it off or on for your tenant, or give it another action.",
        "parameters": [_BUILT_IN_NAME, TENANT],
        "request": given,
        "responses": {200: OpenApiResponse(output, description="As it is now."), 404: NOT_FOUND, 422: INVALID_RULE},
        "examples": [
            OpenApiExample("keep e-mail addresses", value={"is_active": False}, request_only=True),
            shown("changed", _BUILT_IN | {"is_active": False}),
        ],
    }


def preview_with(given: type, output: type) -> dict[str, Any]:
    return {
        "operation_id": "masking_rules_preview",
        "summary": "Try a masking rule out",
        "description": "On the newest entries, as they are stored (masked by the rules of their time), and on samples of your own, to which all "
        "other rules are applied as well. Takes two seconds at most. Nothing is stored.",
        "parameters": [TENANT],
        "request": given,
        "responses": {200: OpenApiResponse(output, description="What the rule would do."), 422: INVALID_TRIAL},
        "examples": [
            OpenApiExample("a trial", value={"rule": _NEW, "entries": 50, "samples": [{"metadata": {"by": "EMP-000001"}}]}, request_only=True),
            shown("a preview", _PREVIEW),
        ],
    }
