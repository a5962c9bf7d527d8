"""Signing in, staying in and signing out; and the keys by which others verify access tokens."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from accounts import tokens
from accounts.addresses import client_address
from accounts.api.serializers import KeySetSerializer, RefreshSerializer, SignInSerializer, TokensSerializer, VerifySerializer
from accounts.limits import LimitedView
from accounts.models import EndpointClass
from accounts.schema import problem_response
from accounts.sign_in import identify, recorded
from accounts.tokens.families import RefreshReused

WHO = "Who are you?"
BAD_TOKEN = problem_response(401, "not_authenticated", WHO, "The refresh token is not valid or has expired. Sign in.")
BAD_ACCESS = problem_response(401, "invalid_token", WHO, "The access token is not valid or has expired. Get a new one.")
BAD_PASSWORD = problem_response(401, "not_authenticated", WHO, "No active account found with the given credentials")
LOCKED = problem_response(429, "locked_out", "Too many failed attempts to sign in", "Signing in by this name has failed too often. Try again in 60 seconds.")
INVALID = problem_response(
    422,
    "invalid",
    "The content is not right",
    "This field is required.",
    errors=[{"pointer": "/password", "code": "required", "detail": "This field is required."}],
)
REUSED = (
    "Gives a new pair. The refresh token that was sent is used up: sent a second time it ends every token of its sign-in "
    "(problem `refresh_reused`), for then somebody else may have it. There is no time in which it works twice."
)
TOKENS = OpenApiExample("tokens", value={"access": "eyJhbGciOi...", "refresh": "eyJhbGciOi..."}, response_only=True, status_codes=["200"])
SEND_REFRESH = OpenApiExample("a refresh token", value={"refresh": "eyJhbGciOi..."}, request_only=True)
SIGN_IN = OpenApiExample("sign in", value={"username": "alice", "password": "correct horse battery staple"}, request_only=True)
SIGN_IN_WITH_CODE = OpenApiExample(
    "with a second factor", value={"username": "alice", "password": "correct horse battery staple", "otp": "492039"}, request_only=True
)
KEYS = OpenApiExample(
    "keys",
    value={
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                "use": "sig",
                "alg": "EdDSA",
                "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            }
        ]
    },
    response_only=True,
    status_codes=["200"],
)
KEYS_SECONDS = 300


class OpenView(LimitedView):
    """Open to everybody: what is sent is the credential."""

    rate_class = EndpointClass.SIGN_IN
    authentication_classes: list[type] = []
    permission_classes = [AllowAny]

    def given(self, request: Request, kind: type[Serializer[Any]]) -> dict[str, Any]:
        """The body, checked. Raises ValidationError."""
        serializer = kind(data=request.data)
        serializer.is_valid(raise_exception=True)
        found: dict[str, Any] = serializer.validated_data
        return found


class TokenView(OpenView):
    user_name_field = "username"

    @extend_schema(
        operation_id="auth_token",
        summary="Sign in",
        description=(
            "Exchanges user name and password for an access token (short-lived) and a refresh token. An account with a second factor needs `otp`, too: "
            "the code of its authenticator, or a recovery code; without it the answer is the problem `second_factor_needed`."
        ),
        request=SignInSerializer,
        responses={200: TokensSerializer, 401: BAD_PASSWORD, 422: INVALID, 429: LOCKED},
        examples=[SIGN_IN, SIGN_IN_WITH_CODE, TOKENS],
        auth=[],
    )
    def post(self, request: Request) -> Response:
        given = self.given(request, SignInSerializer)
        plain: HttpRequest = request._request
        user = identify(plain, given["username"], given["password"], given.get("otp"))
        recorded(plain, user, "LOGIN", second_factor=user.otp_device is not None)
        made = tokens.start_family(user, ip_address=client_address(plain), user_agent=plain.META.get("HTTP_USER_AGENT", ""))
        return Response(TokensSerializer(made).data)


class RefreshView(OpenView):
    @extend_schema(
        operation_id="auth_refresh",
        summary="Get a new access token",
        description=REUSED,
        request=RefreshSerializer,
        responses={200: TokensSerializer, 401: BAD_TOKEN, 422: INVALID},
        examples=[SEND_REFRESH, TOKENS],
        auth=[],
    )
    def post(self, request: Request) -> Response:
        refresh = self.given(request, RefreshSerializer)["refresh"]
        with transaction.atomic():
            try:
                made = tokens.rotate(refresh)
            except RefreshReused as reused:
                # Kept for after the commit: an exception that left here would take the family's end back.
                refused = reused
            else:
                # If it can't be recorded, the token that was sent stays good.
                recorded(request._request, made.user, "REFRESH")
                return Response(TokensSerializer(made).data)
        recorded(request._request, refused.user, "REFRESH_REUSED", "failure", sign_in=str(refused.family.pk))
        raise refused


class VerifyView(OpenView):
    @extend_schema(
        operation_id="auth_verify",
        summary="Check an access token",
        description="Whether it is ours, in its time, and of a sign-in that goes on.",
        request=VerifySerializer,
        responses={200: None, 401: BAD_ACCESS, 422: INVALID},
        examples=[OpenApiExample("a token", value={"token": "eyJhbGciOi..."}, request_only=True)],
        auth=[],
    )
    def post(self, request: Request) -> Response:
        tokens.decode_access(self.given(request, VerifySerializer)["token"])
        return Response({})


class SignOutView(OpenView):
    @extend_schema(
        operation_id="auth_sign_out",
        summary="Sign out",
        description="Ends the sign-in that a refresh token comes from: no token of it works any more, access tokens within seconds.",
        request=RefreshSerializer,
        responses={200: None, 401: BAD_TOKEN, 422: INVALID},
        examples=[SEND_REFRESH],
        auth=[],
    )
    def post(self, request: Request) -> Response:
        refresh = self.given(request, RefreshSerializer)["refresh"]
        with transaction.atomic():
            recorded(request._request, tokens.end_family(refresh), "LOGOUT")
        return Response({})


class KeySetView(OpenView):
    rate_class = EndpointClass.OTHER

    @extend_schema(
        operation_id="auth_jwks",
        summary="Get the keys of access tokens",
        description=(
            "The public keys (Ed25519) that verify access tokens, as a JSON Web Key Set (RFC 7517, RFC 8037). A token's header names its key by `kid`. "
            "The same is at `/.well-known/jwks.json`. A token that verifies may still belong to a sign-in that has ended: `POST /auth/token/verify` knows."
        ),
        responses={200: KeySetSerializer},
        examples=[KEYS],
        auth=[],
    )
    def get(self, request: Request) -> Response:
        return Response(tokens.key_set(), headers={"Cache-Control": f"public, max-age={KEYS_SECONDS}"})
