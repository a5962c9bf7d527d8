"""Sign-in for people and keys for services."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt import views as simplejwt
from rest_framework_simplejwt.settings import api_settings as simplejwt_settings
from rest_framework_simplejwt.tokens import RefreshToken

from accounts import granting
from accounts.api.serializers import ApiKeySerializer, CreatedApiKeySerializer, GrantedApiKeySerializer, MeSerializer
from accounts.api_keys import create_api_key, revoke_api_key
from accounts.authentication import user_of_request
from accounts.deeds import Deed, note
from accounts.limits import LimitedView, writing
from accounts.models import ApiKey, EndpointClass, Tenant, User
from accounts.permissions import IsAdmin, principal_of
from accounts.recording import RecordedView
from accounts.schema import NOT_FOUND, UNAUTHENTICATED, problem_response
from accounts.sign_ins import LOGIN, LOGOUT, REFRESH, record_session

KEY = "audit_log_key"
BAD_TOKEN = problem_response(401, "not_authenticated", "Who are you?", "Token is invalid")
BAD_PASSWORD = problem_response(401, "not_authenticated", "Who are you?", "No active account found with the given credentials")
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
SEND_REFRESH = OpenApiExample("a refresh token", value={"refresh": "eyJhbGciOi..."}, request_only=True)
TOKENS = {"access": "eyJhbGciOi...", "refresh": "eyJhbGciOi..."}


@extend_schema_view(
    post=extend_schema(
        operation_id="auth_token",
        summary="Sign in",
        description="Exchanges user name and password for an access token (short-lived) and a refresh token.",
        responses={200: simplejwt.TokenObtainPairView.serializer_class, 401: BAD_PASSWORD, 422: INVALID},
        examples=[
            OpenApiExample("sign in", value={"username": "alice", "password": "correct horse battery staple"}, request_only=True),
            OpenApiExample("tokens", value=TOKENS, response_only=True, status_codes=["200"]),
        ],
        auth=[],
    )
)
class TokenView(LimitedView, simplejwt.TokenObtainPairView):
    """Open to everybody (simplejwt's views ask for no permission)."""

    rate_class = EndpointClass.SIGN_IN
    user_name_field = "username"

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        # A failure is told by Django's own signal.
        user: User = serializer.user  # type: ignore[attr-defined]  # simplejwt's, there once it is valid
        record_session(request, user, LOGIN)
        return Response(serializer.validated_data)


@extend_schema_view(
    post=extend_schema(
        operation_id="auth_refresh",
        summary="Get a new access token",
        description="Gives a new pair; the refresh token that was sent is used up (rotation) and can't be used again.",
        responses={200: simplejwt.TokenRefreshView.serializer_class, 401: BAD_TOKEN, 422: INVALID},
        examples=[SEND_REFRESH, OpenApiExample("tokens", value=TOKENS, response_only=True, status_codes=["200"])],
        auth=[],
    )
)
class RefreshView(LimitedView, simplejwt.TokenRefreshView):
    """Open to everybody (simplejwt's views ask for no permission)."""

    rate_class = EndpointClass.SIGN_IN

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            response = super().post(request, *args, **kwargs)
            record_session(request, _holder_of(request), REFRESH)
        return response


@extend_schema_view(
    post=extend_schema(
        operation_id="auth_verify",
        summary="Check a token",
        responses={200: None, 401: BAD_TOKEN, 422: INVALID},
        auth=[],
        examples=[OpenApiExample("a token", value={"token": "eyJhbGciOi..."}, request_only=True)],
    )
)
class VerifyView(LimitedView, simplejwt.TokenVerifyView):
    """Open to everybody (simplejwt's views ask for no permission)."""

    rate_class = EndpointClass.SIGN_IN


@extend_schema_view(
    post=extend_schema(
        operation_id="auth_sign_out",
        summary="Sign out",
        description="Ends a refresh token.",
        responses={200: None, 401: BAD_TOKEN, 422: INVALID},
        auth=[],
        examples=[SEND_REFRESH],
    )
)
class SignOutView(LimitedView, simplejwt.TokenBlacklistView):
    """Open to everybody (simplejwt's views ask for no permission)."""

    rate_class = EndpointClass.SIGN_IN

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            response = super().post(request, *args, **kwargs)
            record_session(request, _holder_of(request), LOGOUT)
        return response


def _holder_of(request: Request) -> User | None:
    """The person who was given the refresh token that the request sends. It is checked already."""
    given: Any = request.data
    token: Any = given["refresh"]
    return User.objects.filter(pk=RefreshToken(token, verify=False)[simplejwt_settings.USER_ID_CLAIM]).first()


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
