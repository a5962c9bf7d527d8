"""Who am I, and keys for services."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import granting
from accounts.api.serializers import ApiKeySerializer, CreatedApiKeySerializer, GrantedApiKeySerializer, MeSerializer
from accounts.api_keys import create_api_key, revoke_api_key
from accounts.authentication import user_of_request
from accounts.deeds import Deed, note
from accounts.limits import writing
from accounts.models import ApiKey, EndpointClass, Tenant, User
from accounts.permissions import IsAdmin, principal_of
from accounts.recording import RecordedView
from accounts.schema import NOT_FOUND, UNAUTHENTICATED, problem_response

KEY = "audit_log_key"
INVALID = problem_response(
    422,
    "invalid",
    "The content is not right",
    "This field is required.",
    errors=[{"pointer": "/name", "code": "required", "detail": "This field is required."}],
)
# The stub says names; the document wants requirements.
BEARER: Any = [{"bearer": []}]
KEY_ROW = {
    "id": 7,
    "name": "billing",
    "prefix": "abcdefghijkl",
    "scopes": ["logs:write"],
    "grant": None,
    "created_at": "2026-01-31T12:00:00.000000Z",
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": None,
}
KEYS = OpenApiExample("keys", value=[KEY_ROW], response_only=True, status_codes=["200"])
ME = OpenApiExample(
    "me",
    value={
        "username": "alice",
        "email": "alice@example.com",
        "memberships": [{"tenant": "main", "tenant_name": "Main", "role": "auditor", "user_id": "alice"}],
    },
    response_only=True,
    status_codes=["200"],
)


class MeView(RecordedView):
    rate_class = EndpointClass.OTHER
    # Works without X-Tenant, so that a person can see which tenants there are to choose from.
    authentication_classes: list[type] = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="auth_me",
        summary="Who am I?",
        responses={200: MeSerializer, 401: UNAUTHENTICATED},
        examples=[ME],
        auth=BEARER,
    )
    def get(self, request: Request) -> Response:
        user = user_of_request(request._request)
        memberships = user.memberships.select_related("tenant", "user").filter(tenant__is_active=True)
        return Response(MeSerializer({"username": user.username, "email": user.email, "memberships": memberships}).data)


class ApiKeysView(RecordedView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [IsAdmin]
    deeds = {"GET": Deed("READ", KEY), "POST": Deed("CREATE", KEY)}

    @extend_schema(
        operation_id="api_keys_list",
        summary="List the tenant's API keys",
        responses={200: ApiKeySerializer(many=True)},
        examples=[KEYS],
    )
    def get(self, request: Request) -> Response:
        keys = ApiKey.objects.select_related("grant").filter(tenant_id=principal_of(request).tenant_id)
        found = ApiKeySerializer(keys, many=True).data
        note(request, results=len(found))
        return Response(found)

    @extend_schema(
        operation_id="api_keys_create",
        summary="Make an API key",
        description="The answer holds the key itself, once.",
        request=ApiKeySerializer,
        responses={201: CreatedApiKeySerializer, 422: INVALID},
        examples=[
            OpenApiExample("a key for a service", value={"name": "billing", "scopes": ["logs:write"]}, request_only=True),
            OpenApiExample("made", value=KEY_ROW | {"key": "alk_abcdefghijkl_..."}, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request) -> Response:
        serializer = ApiKeySerializer(data=request.data, context={"tenant_id": principal_of(request).tenant_id})
        serializer.is_valid(raise_exception=True)
        tenant = Tenant.objects.get(pk=principal_of(request).tenant_id)
        creator = User.objects.get(pk=principal_of(request).user_pk or 0)
        with transaction.atomic():
            granting.lock_for_holder(tenant.pk, serializer.validated_data.get("grant"))
            row, key = create_api_key(tenant, created_by=creator, **serializer.validated_data)
        note(request, resource_id=row.pk, prefix=row.prefix, name=row.name, scopes=row.scopes, expires_at=row.expires_at)
        row.key = key  # type: ignore[attr-defined]  # read by the serializer, this once
        return Response(CreatedApiKeySerializer(row).data, status=status.HTTP_201_CREATED)


class ApiKeyView(RecordedView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [IsAdmin]
    deeds = {"PATCH": Deed("UPDATE", KEY), "DELETE": Deed("REVOKE", KEY)}

    @extend_schema(
        operation_id="api_keys_change",
        summary="Change an API key's grant",
        description="It counts within `AUDITLOG_CREDENTIAL_CACHE_SECONDS`. A key's scopes are its own for life.",
        request=GrantedApiKeySerializer,
        responses={200: ApiKeySerializer, 404: NOT_FOUND, 422: INVALID},
        examples=[
            OpenApiExample("a grant", value={"grant": 7}, request_only=True),
            OpenApiExample("changed", value=KEY_ROW | {"grant": 7}, response_only=True, status_codes=["200"]),
        ],
    )
    def patch(self, request: Request, pk: int) -> Response:
        tenant_id = principal_of(request).tenant_id
        get_object_or_404(ApiKey, pk=pk, tenant_id=tenant_id)
        serializer = GrantedApiKeySerializer(data=request.data, context={"tenant_id": tenant_id})
        serializer.is_valid(raise_exception=True)
        note(request, resource_id=pk, changes=["grant"])
        return Response(ApiKeySerializer(granting.change_key(tenant_id, pk, serializer.validated_data["grant"])).data)

    @extend_schema(operation_id="api_keys_revoke", summary="Revoke an API key", responses={204: None, 404: NOT_FOUND})
    def delete(self, request: Request, pk: int) -> Response:
        note(request, resource_id=pk)
        revoke_api_key(get_object_or_404(ApiKey, pk=pk, tenant_id=principal_of(request).tenant_id))
        return Response(status=status.HTTP_204_NO_CONTENT)
