"""OpenAPI: how to authenticate, and the problem documents of every operation."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import serializers
from rest_framework.views import APIView


class PrincipalScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.PrincipalAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "An API key (alk_...) or an access token (POST /api/v1/auth/token)."}


class FaultSerializer(serializers.Serializer[Any]):
    pointer = serializers.CharField(help_text="JSON Pointer into the body, or the name of a parameter.")
    code = serializers.CharField()
    detail = serializers.CharField()
    column = serializers.IntegerField(required=False, help_text="Where in the parameter's value, in characters from 1.")


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457 problem document."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()

    # Not as an attribute: `errors` is a name of the Serializer's own.
    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "errors": FaultSerializer(many=True, required=False)}


def problem_response(status: int, code: str, title: str, detail: str, **members: Any) -> OpenApiResponse:
    """An error answer with its example, for `extend_schema(responses=...)`."""
    value = {"type": f"urn:auditlog:problem:{code}", "title": title, "status": status, "code": code, "detail": detail, **members}
    example = OpenApiExample(code, value=value, response_only=True, status_codes=[str(status)])
    return OpenApiResponse(ProblemSerializer, description=title, examples=[example])


BAD_REQUEST = problem_response(400, "bad_request", "The request is not right", "The body is not JSON: JSON is malformed: expected '}' (byte 17)")
UNAUTHENTICATED = problem_response(401, "not_authenticated", "Who are you?", "Send an API key or an access token: Authorization: Bearer ...")
NOT_ALLOWED = problem_response(403, "not_allowed", "You may not do this", "This needs the role Admin.")
NOT_FOUND = problem_response(404, "not_found", "There is nothing here", "There is nothing at this address, or nothing that you may see.")
NO_TENANT = problem_response(404, "not_found", "There is nothing here", "You belong to no tenant 'other'.")
WHICH_TENANT = problem_response(
    400, "bad_request", "The request is not right", "You belong to several tenants (main, other): say which by the header X-Tenant."
)
NOT_ACCEPTABLE = problem_response(406, "not_acceptable", "No answer in a format that you accept", "Could not satisfy the request Accept header.")
TOO_LARGE = problem_response(413, "body_too_large", "The body is too large", "The body is over the limit of 16777216 bytes. Send it in smaller parts.")
WRONG_TYPE = problem_response(
    415, "unsupported_media_type", "This content type is not understood", "The content type 'text/plain' is not understood here. Send application/json."
)
RATE_LIMITED = problem_response(429, "rate_limited", "Too many requests", "Too many requests of this kind: the limit is 6000 in 60 s for one principal.")
UNAVAILABLE = problem_response(503, "unavailable", "Not available at the moment", "The database does not answer. Nothing was stored.")


class ProblemAutoSchema(AutoSchema):
    """Adds the answers that an operation may give by its nature, where it does not describe them itself; and problem documents' type."""

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        for status, response in self._common_problems().items():
            bodies.setdefault(status, self._get_response_for_code(response, status, direction=direction))  # type: ignore[no-untyped-call]  # drf-spectacular's is untyped
        for status, body in bodies.items():
            if status[0] in "45" and "application/json" in body.get("content", {}):
                body["content"] = {"application/problem+json": body["content"].pop("application/json")}
        return bodies

    def _common_problems(self) -> dict[str, OpenApiResponse]:
        found = {"429": RATE_LIMITED, "503": UNAVAILABLE}
        if self.method in ("POST", "PUT", "PATCH") and self.get_request_serializer() is not None:
            found |= {"400": BAD_REQUEST, "413": TOO_LARGE, "415": WRONG_TYPE}
        if self.get_auth():
            found = {"400": WHICH_TENANT, "401": UNAUTHENTICATED, "403": NOT_ALLOWED, "404": NO_TENANT} | found
        # A view that has its own way here answers in its one format, whatever `Accept` says.
        if type(self.view).perform_content_negotiation is APIView.perform_content_negotiation:
            found["406"] = NOT_ACCEPTABLE
        return found
