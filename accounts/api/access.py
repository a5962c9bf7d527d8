"""Grants, members and viewer tokens over HTTP."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import granting, viewer_tokens
from accounts.api.access_serializers import (
    GrantPageSerializer,
    GrantSerializer,
    MemberPageSerializer,
    MemberSerializer,
    MintedViewerTokenSerializer,
    NewViewerTokenSerializer,
    ViewerTokenPageSerializer,
    ViewerTokenSerializer,
)
from accounts.api.etags import CHANGED, IF_MATCH, if_match
from accounts.api.paging import MAX_NUMBER, PARAMETERS, page_of
from accounts.deeds import Deed, note
from accounts.limits import writing
from accounts.models import AccessGrant, EndpointClass, Membership
from accounts.permissions import IsAdmin, MayMint, principal_of
from accounts.problems import NotFound
from accounts.recording import RecordedView
from accounts.schema import NOT_FOUND, problem_response

_GRANT = {
    "id": 7,
    "name": "Billing support",
    "description": "",
    "resource_types": ["invoice"],
    "actions": [],
    "severities": [],
    "own_entries_only": False,
    "from_at": None,
    "until_at": None,
    "forced_query": "metadata.customer:acme after:-30d",
    "valid_until": "2027-01-31T00:00:00.000000Z",
    "is_active": True,
    "may_decrypt": False,
    "may_export": True,
    "may_erase": False,
    "may_manage_retention": False,
    "created_at": "2026-01-31T12:00:00.000000Z",
    "updated_at": "2026-01-31T12:00:00.000000Z",
}
_MEMBER = {"id": 3, "username": "bob", "user_id": "bob", "is_active": True, "role": "auditor", "grant": 7}
_TOKEN = {
    "id": 9,
    "label": "acme's page",
    "prefix": "abcdefghijkl",
    "query": "metadata.customer:acme",
    "may_export": False,
    "minted_by": "key:mnopqrstuvwx",
    "created_at": "2026-01-31T12:00:00.000000Z",
    "expires_at": "2026-01-31T12:15:00.000000Z",
    "revoked_at": None,
}
_DETAIL = "Column 1: there is no qualifier 'usr'. Did you mean user:?"
_INVALID_GRANT = problem_response(
    422,
    "invalid",
    "The content is not right",
    _DETAIL,
    errors=[{"pointer": "/forced_query", "code": "unknown_qualifier", "detail": _DETAIL, "column": 1}],
)
_IN_USE = "2 members and keys hold this grant. Give them another first, or make it inactive: then they have nothing."
_HELD = problem_response(422, "invalid", "The content is not right", _IN_USE, errors=[{"pointer": "", "code": "in_use", "detail": _IN_USE}])
_LAST = "The tenant would have no Admin left. Make another one first."
_LAST_ADMIN = problem_response(422, "invalid", "The content is not right", _LAST, errors=[{"pointer": "/role", "code": "last_admin", "detail": _LAST}])
_BAD_QUERY = problem_response(
    422,
    "invalid",
    "The content is not right",
    _DETAIL,
    errors=[{"pointer": "/query", "code": "unknown_qualifier", "detail": _DETAIL, "column": 1}],
)
_BAD_PAGE = problem_response(
    422,
    "invalid",
    "The content is not right",
    "limit has to be a whole number from 1 to 1000.",
    errors=[{"pointer": "limit", "code": "bad_limit", "detail": "limit has to be a whole number from 1 to 1000."}],
)


def _shown(name: str, value: Any, status_code: str = "200") -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True, status_codes=[status_code])


class GrantsView(RecordedView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [IsAdmin]
    deeds = {"GET": Deed("READ", "audit_log_grant"), "POST": Deed("CREATE", "audit_log_grant")}

    @extend_schema(
        operation_id="grants_list",
        summary="List grants",
        parameters=PARAMETERS,
        responses={200: GrantPageSerializer, 422: _BAD_PAGE},
        examples=[_shown("a page", {"results": [_GRANT], "next": None})],
    )
    def get(self, request: Request) -> Response:
        page, following = page_of(AccessGrant.objects.filter(tenant_id=principal_of(request).tenant_id), request)
        note(request, results=len(page))
        return Response({"results": GrantSerializer(page, many=True).data, "next": following})

    @extend_schema(
        operation_id="grants_create",
        summary="Make a grant",
        description="What its holders see and may do, instead of what their role or scopes give. Give it to them at `/members` and `/api-keys`.",
        request=GrantSerializer,
        responses={201: GrantSerializer, 422: _INVALID_GRANT},
        examples=[
            OpenApiExample("a grant", value={"name": "Billing support", "resource_types": ["invoice"], "may_export": True}, request_only=True),
            _shown("made", _GRANT, "201"),
        ],
    )
    def post(self, request: Request) -> Response:
        serializer = GrantSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        grant = granting.make_grant(principal_of(request).tenant_id, serializer.validated_data)
        note(request, resource_id=str(grant.pk))
        return _grant_answer(grant, status.HTTP_201_CREATED)


class GrantView(RecordedView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [IsAdmin]
    deeds = {
        "GET": Deed("READ", "audit_log_grant"),
        "PATCH": Deed("UPDATE", "audit_log_grant"),
        "DELETE": Deed("DELETE", "audit_log_grant"),
    }

    @extend_schema(
        operation_id="grants_get",
        summary="Read a grant",
        responses={200: GrantSerializer, 404: NOT_FOUND},
        examples=[_shown("a grant", _GRANT)],
    )
    def get(self, request: Request, pk: int) -> Response:
        note(request, resource_id=str(pk))
        grant = AccessGrant.objects.filter(tenant_id=principal_of(request).tenant_id, pk=_possible(pk)).first()
        if grant is None:
            raise NotFound(f"There is no grant {pk}.")
        return _grant_answer(grant)

    @extend_schema(
        operation_id="grants_change",
        summary="Change a grant",
        description="Its holders see and may do accordingly within `AUDITLOG_CREDENTIAL_CACHE_SECONDS`; exports under way end.",
        parameters=[IF_MATCH],
        request=GrantSerializer(partial=True),
        responses={200: GrantSerializer, 404: NOT_FOUND, 412: CHANGED, 422: _INVALID_GRANT},
        examples=[OpenApiExample("end it", value={"is_active": False}, request_only=True), _shown("changed", _GRANT | {"is_active": False})],
    )
    def patch(self, request: Request, pk: int) -> Response:
        note(request, resource_id=str(pk))
        serializer = GrantSerializer(data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        note(request, changes=sorted(serializer.validated_data))
        return _grant_answer(granting.change_grant(principal_of(request).tenant_id, _possible(pk), serializer.validated_data, if_match(request)))

    @extend_schema(
        operation_id="grants_delete",
        summary="Delete a grant",
        description="One that nobody holds. To take everything from its holders, make it inactive.",
        parameters=[IF_MATCH],
        responses={204: None, 404: NOT_FOUND, 412: CHANGED, 422: _HELD},
    )
    def delete(self, request: Request, pk: int) -> Response:
        note(request, resource_id=str(pk))
        granting.delete_grant(principal_of(request).tenant_id, _possible(pk), if_match(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class MembersView(RecordedView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [IsAdmin]
    deeds = {"GET": Deed("READ", "audit_log_member")}

    @extend_schema(
        operation_id="members_list",
        summary="List the tenant's members",
        parameters=PARAMETERS,
        responses={200: MemberPageSerializer, 422: _BAD_PAGE},
        examples=[_shown("a page", {"results": [_MEMBER], "next": None})],
    )
    def get(self, request: Request) -> Response:
        members = Membership.objects.select_related("user", "grant").filter(tenant_id=principal_of(request).tenant_id)
        page, following = page_of(members, request)
        note(request, results=len(page))
        return Response({"results": MemberSerializer(page, many=True).data, "next": following})


class MemberView(RecordedView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [IsAdmin]
    deeds = {"PATCH": Deed("UPDATE", "audit_log_member")}

    @extend_schema(
        operation_id="members_change",
        summary="Change a member's role or grant",
        description="The tenant keeps an Admin: the last one's role can't be taken away. It counts within `AUDITLOG_CREDENTIAL_CACHE_SECONDS`.",
        request=MemberSerializer(partial=True),
        responses={200: MemberSerializer, 404: NOT_FOUND, 422: _LAST_ADMIN},
        examples=[OpenApiExample("give a grant", value={"grant": 7}, request_only=True), _shown("changed", _MEMBER)],
    )
    def patch(self, request: Request, pk: int) -> Response:
        note(request, resource_id=str(pk))
        tenant_id = principal_of(request).tenant_id
        serializer = MemberSerializer(data=request.data, partial=True, context={"tenant_id": tenant_id})
        serializer.is_valid(raise_exception=True)
        note(request, changes=sorted(serializer.validated_data))
        return Response(MemberSerializer(granting.change_member(tenant_id, _possible(pk), serializer.validated_data)).data)


class ViewerTokensView(RecordedView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [MayMint]
    deeds = {"GET": Deed("READ", "audit_log_viewer_token"), "POST": Deed("CREATE", "audit_log_viewer_token")}

    @extend_schema(
        operation_id="viewer_tokens_list",
        summary="List viewer tokens",
        description="Those that you minted; Admins see all of the tenant. A token that is over is listed for 30 days.",
        parameters=PARAMETERS,
        responses={200: ViewerTokenPageSerializer, 422: _BAD_PAGE},
        examples=[_shown("a page", {"results": [_TOKEN], "next": None})],
    )
    def get(self, request: Request) -> Response:
        page, following = page_of(_tokens(request), request)
        note(request, results=len(page))
        return Response({"results": ViewerTokenSerializer(page, many=True).data, "next": following})

    @extend_schema(
        operation_id="viewer_tokens_mint",
        summary="Mint a viewer token",
        description=(
            "A short-lived credential to hand on: it reads what `query` finds among what you see yourself, now and later. "
            "Should your own rights end or become narrower, so do its. The answer holds the token itself, once."
        ),
        request=NewViewerTokenSerializer,
        responses={201: MintedViewerTokenSerializer, 422: _BAD_QUERY},
        examples=[
            OpenApiExample("for one customer", value={"query": "metadata.customer:acme", "expires_in_seconds": 900, "label": "acme's page"}, request_only=True),
            _shown("minted", _TOKEN | {"token": "alv_abcdefghijkl_..."}, "201"),
        ],
    )
    def post(self, request: Request) -> Response:
        serializer = NewViewerTokenSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked = serializer.validated_data
        row, token = viewer_tokens.mint_viewer_token(
            principal_of(request), asked["query"], seconds=asked["expires_in_seconds"], label=asked["label"], may_export=asked["may_export"]
        )
        row.token = token  # type: ignore[attr-defined]  # read by the serializer, this once
        note(request, resource_id=row.prefix, forced_query=row.query)
        return Response(MintedViewerTokenSerializer(row).data, status=status.HTTP_201_CREATED)


class ViewerTokenView(RecordedView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [MayMint]
    deeds = {"DELETE": Deed("REVOKE", "audit_log_viewer_token")}

    @extend_schema(operation_id="viewer_tokens_revoke", summary="Revoke a viewer token", responses={204: None, 404: NOT_FOUND})
    def delete(self, request: Request, pk: int) -> Response:
        row = _tokens(request).filter(pk=_possible(pk)).first()
        if row is None:
            raise NotFound(f"There is no viewer token {pk}, or none that you may see.")
        note(request, resource_id=row.prefix)
        viewer_tokens.revoke_viewer_token(row)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _tokens(request: Request) -> Any:
    return viewer_tokens.visible_tokens(principal_of(request)).select_related("minted_by_member__user", "minted_by_key")


def _grant_answer(grant: AccessGrant, status_code: int = status.HTTP_200_OK) -> Response:
    return Response(GrantSerializer(grant).data, status=status_code, headers={"ETag": grant.etag})


def _possible(pk: int) -> int:
    """The id, if a row can have it. Raises NotFound."""
    if pk > MAX_NUMBER:
        raise NotFound("There is nothing with an id so large.")
    return pk
