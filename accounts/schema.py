"""OpenAPI: how to authenticate, and the problem documents of every operation."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import serializers


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


UNAUTHENTICATED = problem_response(401, "not_authenticated", "Who are you?", "Send an API key or an access token: Authorization: Bearer ...")
NOT_ALLOWED = problem_response(403, "not_allowed", "You may not do this", "This needs the role Admin.")
NOT_FOUND = problem_response(404, "not_found", "There is nothing here", "There is nothing at this address, or nothing that you may see.")
UNAVAILABLE = problem_response(503, "unavailable", "Not available at the moment", "The database does not answer. Nothing was stored.")


class ProblemAutoSchema(AutoSchema):
    """Adds the answers that any operation may give: 401 and 403 where it needs a principal, and problem documents' type."""

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        needs_principal = bool(self.get_auth())
        for status, response in (("401", UNAUTHENTICATED), ("403", NOT_ALLOWED)) if needs_principal else ():
            bodies.setdefault(status, self._get_response_for_code(response, status, direction=direction))  # type: ignore[no-untyped-call]  # drf-spectacular's is untyped
        for status, body in bodies.items():
            if status[0] in "45" and "application/json" in body.get("content", {}):
                body["content"] = {"application/problem+json": body["content"].pop("application/json")}
        return bodies
