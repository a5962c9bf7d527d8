"""Forwarders over HTTP. For Admins who see the whole log: that is what they send on."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlencode

import msgspec
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from msgspec import UNSET
from rest_framework.request import Request

from accounts.api.etags import if_match
from accounts.deeds import Deed, note
from accounts.limits import writing
from accounts.models import EndpointClass
from accounts.permissions import AdminOfWholeLog, principal_of
from logs import forwarding
from logs.api import forwarders_documentation as documentation
from logs.api.answers import json_response
from logs.api.bodies import decoded
from logs.api.forwarders_bodies import ChangedForwarder, ForwarderInput, ForwarderKindName, ForwarderOutput, ForwarderPage, ForwarderReplay
from logs.api.views import LeanView
from logs.forwarding.forwarders import NewForwarder, no_such_forwarder
from logs.models import Forwarder
from logs.search.pages import limit_of
from logs.search.parameters import MAX_NUMBER, check_parameters, number_in
from logs.streaming.reading import tree_size_of

FORWARDER = "audit_log_forwarder"


class ForwardersView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [AdminOfWholeLog]
    deeds = {"GET": Deed("READ", FORWARDER), "POST": Deed("CREATE", FORWARDER)}

    @extend_schema(**documentation.list_forwarders_with(ForwarderPage))
    def get(self, request: Request) -> HttpResponse:
        query = request._request.GET
        check_parameters(query, ["limit", "before"])
        limit, before, tenant_id = limit_of(query), number_in(query, "before"), principal_of(request).tenant_id
        rows = Forwarder.objects.filter(tenant_id=tenant_id, pk__lt=MAX_NUMBER if before is None else before)
        page = list(rows.order_by("-pk")[: limit + 1])
        note(request, results=len(page[:limit]))
        following = f"{request._request.path}?{urlencode({'limit': limit, 'before': page[limit - 1].pk})}" if len(page) > limit else None
        size, now = tree_size_of(tenant_id), _now()
        return json_response(ForwarderPage([_output(row, size, now) for row in page[:limit]], following))

    @extend_schema(**documentation.create_forwarder_with(ForwarderInput, ForwarderOutput))
    def post(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        principal, given = principal_of(request), msgspec.structs.asdict(decoded(request, ForwarderInput))
        from_position = given.pop("from_position")
        row, secret = forwarding.create_forwarder(principal.tenant_id, principal.source, NewForwarder(**given), _now(), from_position)
        note(request, resource_id=row.pk, kind=row.kind, host=row.host, query=row.query, position=row.position)
        return _answer(row, secret, status=201, headers={"Location": f"{request._request.path}/{row.pk}"})


class ForwarderView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [AdminOfWholeLog]
    deeds = {"GET": Deed("READ", FORWARDER), "PATCH": Deed("UPDATE", FORWARDER), "DELETE": Deed("DELETE", FORWARDER)}

    @extend_schema(**documentation.get_forwarder_with(ForwarderOutput))
    def get(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        note(request, resource_id=id)
        row = Forwarder.objects.filter(tenant_id=principal_of(request).tenant_id, pk=id).first()
        if row is None:
            raise no_such_forwarder(id)
        return _answer(row)

    @extend_schema(**documentation.change_forwarder_with(ChangedForwarder, ForwarderOutput))
    def patch(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        given = {name: value for name, value in msgspec.structs.asdict(decoded(request, ChangedForwarder)).items() if value is not UNSET}
        # Names of what is changed: an address is a secret.
        note(request, resource_id=id, changes=sorted(given))
        return _answer(forwarding.change_forwarder(principal_of(request).tenant_id, id, given, if_match(request), _now()))

    @extend_schema(**documentation.delete_forwarder)
    def delete(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        note(request, resource_id=id)
        forwarding.delete_forwarder(principal_of(request).tenant_id, id, if_match(request))
        return HttpResponse(status=204)


class ForwarderPauseView(LeanView):
    rate_class = EndpointClass.OTHER
    permission_classes = [AdminOfWholeLog]
    deeds = {"POST": Deed("PAUSE", FORWARDER)}

    @extend_schema(**documentation.pause_forwarder_with(ForwarderOutput))
    def post(self, request: Request, id: int) -> HttpResponse:
        return _switched(request, id, is_active=False)


class ForwarderResumeView(LeanView):
    rate_class = EndpointClass.OTHER
    permission_classes = [AdminOfWholeLog]
    deeds = {"POST": Deed("RESUME", FORWARDER)}

    @extend_schema(**documentation.resume_forwarder_with(ForwarderOutput))
    def post(self, request: Request, id: int) -> HttpResponse:
        return _switched(request, id, is_active=True)


class ForwarderReplayView(LeanView):
    rate_class = EndpointClass.OTHER
    permission_classes = [AdminOfWholeLog]
    deeds = {"POST": Deed("REPLAY", FORWARDER)}

    @extend_schema(**documentation.replay_forwarder_with(ForwarderReplay, ForwarderOutput))
    def post(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        position = decoded(request, ForwarderReplay).from_position
        note(request, resource_id=id, position=position)
        return _answer(forwarding.replay_from(principal_of(request).tenant_id, id, position, if_match(request)))


def _switched(request: Request, id: int, *, is_active: bool) -> HttpResponse:
    check_parameters(request._request.GET, [])
    note(request, resource_id=id)
    return _answer(forwarding.switch(principal_of(request).tenant_id, id, is_active=is_active, etags=if_match(request)))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _answer(row: Forwarder, secret: str | None = None, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    output = _output(row, tree_size_of(row.tenant_id), _now(), secret)
    return json_response(output, status=status, headers={"ETag": row.etag, **(headers or {})})


def _output(row: Forwarder, tree_size: int, now: datetime.datetime, secret: str | None = None) -> ForwarderOutput:
    behind = max(0, tree_size - 1 - row.position)
    since = row.caught_up_at or row.created_at
    return ForwarderOutput(
        id=row.pk,
        name=row.name,
        kind=cast("ForwarderKindName", row.kind),
        host=row.host,
        query=row.query,
        is_active=row.is_active,
        position=row.position,
        lag_entries=behind,
        lag_seconds=max(0.0, round((now - since).total_seconds(), 3)) if behind else 0.0,
        sent_count=row.sent_count,
        sent_at=row.sent_at,
        failure_count=row.failure_count,
        last_error=row.last_error or None,
        failed_at=row.failed_at,
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
        secret=secret or UNSET,
    )
