"""Delivery targets and deliveries over HTTP. For Admins who see the whole log: notices tell of it."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlencode

import msgspec
from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse, QueryDict
from drf_spectacular.utils import extend_schema
from msgspec import UNSET
from rest_framework.request import Request

from accounts.api.etags import if_match
from accounts.deeds import Deed, note
from accounts.limits import writing
from accounts.models import EndpointClass
from accounts.permissions import AdminOfWholeLog, principal_of
from accounts.problems import Fault
from logs import deliveries
from logs.api import deliveries_documentation as documentation
from logs.api.answers import json_response
from logs.api.bodies import decoded
from logs.api.deliveries_bodies import (
    AttemptOutput,
    ChangedTarget,
    DeliveryOutput,
    DeliveryPage,
    KindName,
    ReplayedDeliveries,
    SecretRotation,
    StateName,
    TargetInput,
    TargetOutput,
    TargetPage,
)
from logs.api.views import LeanView
from logs.deliveries import NewTarget
from logs.deliveries.channels import webhook_id
from logs.deliveries.recording import DELIVERY, TARGET
from logs.deliveries.replaying import no_such_delivery
from logs.deliveries.targets import no_such_target
from logs.entry_types import SeverityName
from logs.errors import InvalidQuery
from logs.models import Delivery, DeliveryState, DeliveryTarget
from logs.search.pages import limit_of
from logs.search.parameters import MAX_NUMBER, check_parameters, number_in

_COUNTS = {
    "waiting": Count("deliveries", filter=Q(deliveries__state=DeliveryState.WAITING)),
    "dead": Count("deliveries", filter=Q(deliveries__state=DeliveryState.DEAD)),
}


class DeliveryTargetsView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [AdminOfWholeLog]
    deeds = {"GET": Deed("READ", TARGET), "POST": Deed("CREATE", TARGET)}

    @extend_schema(**documentation.list_targets_with(TargetPage))
    def get(self, request: Request) -> HttpResponse:
        query = request._request.GET
        check_parameters(query, ["limit", "before"])
        limit, before = limit_of(query), number_in(query, "before")
        rows = DeliveryTarget.objects.filter(tenant_id=principal_of(request).tenant_id, pk__lt=MAX_NUMBER if before is None else before)
        page = list(rows.annotate(**_COUNTS).order_by("-pk")[: limit + 1])
        note(request, results=len(page[:limit]))
        following = None
        if len(page) > limit:
            following = f"{request._request.path}?{urlencode({'limit': limit, 'before': page[limit - 1].pk})}"
        return json_response(TargetPage([_target(row) for row in page[:limit]], following))

    @extend_schema(**documentation.create_target_with(TargetInput, TargetOutput))
    def post(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        principal, given = principal_of(request), decoded(request, TargetInput)
        new = NewTarget(name=given.name, kind=given.kind, url=given.url, email_addresses=tuple(given.email_addresses), is_active=given.is_active)
        target, secret = deliveries.create_target(principal.tenant_id, principal.source, new)
        note(request, resource_id=target.pk, kind=target.kind, host=target.host)
        return _answer(target, secret, status=201, headers={"Location": f"{request._request.path}/{target.pk}"})


class DeliveryTargetView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [AdminOfWholeLog]
    deeds = {"GET": Deed("READ", TARGET), "PATCH": Deed("UPDATE", TARGET), "DELETE": Deed("DELETE", TARGET)}

    @extend_schema(**documentation.get_target_with(TargetOutput))
    def get(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        note(request, resource_id=id)
        target = DeliveryTarget.objects.annotate(**_COUNTS).filter(tenant_id=principal_of(request).tenant_id, pk=id).first()
        if target is None:
            raise no_such_target(id)
        return _answer(target)

    @extend_schema(**documentation.change_target_with(ChangedTarget, TargetOutput))
    def patch(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        given = {name: value for name, value in msgspec.structs.asdict(decoded(request, ChangedTarget)).items() if value is not UNSET}
        if "email_addresses" in given:
            given["email_addresses"] = tuple(given["email_addresses"])
        # Names of what is changed: an address is a secret.
        note(request, resource_id=id, changes=sorted(given))
        return _answer(deliveries.change_target(principal_of(request).tenant_id, id, given, if_match(request)))

    @extend_schema(**documentation.delete_target)
    def delete(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        note(request, resource_id=id)
        deliveries.delete_target(principal_of(request).tenant_id, id, if_match(request))
        return HttpResponse(status=204)


class DeliveryTargetSecretView(LeanView):
    rate_class = EndpointClass.OTHER
    permission_classes = [AdminOfWholeLog]
    deeds = {"POST": Deed("ROTATE", TARGET)}

    @extend_schema(**documentation.rotate_secret_with(SecretRotation, TargetOutput))
    def post(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        seconds = decoded(request, SecretRotation).overlap_seconds
        note(request, resource_id=id, overlap_seconds=seconds)
        target, secret = deliveries.rotate_secret(principal_of(request).tenant_id, id, seconds, if_match(request), _now())
        return _answer(target, secret)


class DeliveryTargetTestView(LeanView):
    rate_class = EndpointClass.OTHER
    permission_classes = [AdminOfWholeLog]
    deeds = {"POST": Deed("TEST", TARGET)}

    @extend_schema(**documentation.test_target_with(DeliveryOutput))
    def post(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        principal = principal_of(request)
        note(request, resource_id=id)
        delivery = deliveries.send_test(principal.tenant_id, id, principal.source, _now())
        return json_response(_delivery(delivery), status=202, headers={"Location": f"/api/v1/deliveries/{delivery.pk}"})


class DeliveryTargetReplayView(LeanView):
    rate_class = EndpointClass.OTHER
    permission_classes = [AdminOfWholeLog]
    deeds = {"POST": Deed("REPLAY", TARGET)}

    @extend_schema(**documentation.replay_target_with(ReplayedDeliveries))
    def post(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        note(request, resource_id=id)
        count = deliveries.replay_dead(principal_of(request).tenant_id, id, _now())
        note(request, results=count)
        return json_response(ReplayedDeliveries(count), status=202)


class DeliveriesView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [AdminOfWholeLog]
    deeds = {"GET": Deed("READ", DELIVERY)}

    @extend_schema(**documentation.list_deliveries_with(DeliveryPage))
    def get(self, request: Request) -> HttpResponse:
        query = request._request.GET
        check_parameters(query, ["limit", "before", "state", "target_id"], repeated=("state",))
        limit = limit_of(query)
        page = list(_filtered(Delivery.objects.filter(tenant_id=principal_of(request).tenant_id), query)[: limit + 1])
        note(request, results=len(page[:limit]))
        following = None
        if len(page) > limit:
            asked: dict[str, object] = {name: query.getlist(name) for name in query} | {"limit": limit, "before": page[limit - 1].pk}
            following = f"{request._request.path}?{urlencode(asked, doseq=True)}"
        return json_response(DeliveryPage([_delivery(row) for row in page[:limit]], following))


class DeliveryView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [AdminOfWholeLog]
    deeds = {"GET": Deed("READ", DELIVERY)}

    @extend_schema(**documentation.get_delivery_with(DeliveryOutput))
    def get(self, request: Request, id: str) -> HttpResponse:
        check_parameters(request._request.GET, [])
        note(request, resource_id=id)
        delivery = Delivery.objects.filter(tenant_id=principal_of(request).tenant_id, pk=_uuid(id)).first()
        if delivery is None:
            raise no_such_delivery()
        return json_response(_delivery(delivery, with_attempts=True))


class DeliveryReplayView(LeanView):
    rate_class = EndpointClass.OTHER
    permission_classes = [AdminOfWholeLog]
    deeds = {"POST": Deed("REPLAY", DELIVERY)}

    @extend_schema(**documentation.replay_delivery_with(DeliveryOutput))
    def post(self, request: Request, id: str) -> HttpResponse:
        check_parameters(request._request.GET, [])
        note(request, resource_id=id)
        return json_response(_delivery(deliveries.replay(principal_of(request).tenant_id, _uuid(id), _now())), status=202)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _uuid(text: str) -> uuid.UUID:
    """The id. Raises NotFound for a text that is none."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise no_such_delivery() from None


def _filtered(rows: QuerySet[Delivery], query: QueryDict) -> QuerySet[Delivery]:
    """The deliveries that the query string asks for. Raises InvalidQuery."""
    own, states = rows, query.getlist("state")
    if wrong := [state for state in states if state not in DeliveryState.values]:
        raise InvalidQuery([Fault("state", "unknown_value", f"{wrong[0]!r} is none of {', '.join(DeliveryState.values)}.")])
    if states:
        rows = rows.filter(state__in=states)
    if (target_id := number_in(query, "target_id")) is not None:
        rows = rows.filter(target_id=target_id)
    if (before := query.get("before")) is not None:
        try:
            edge = own.filter(pk=uuid.UUID(before)).first()
        except ValueError:
            edge = None
        if edge is None:
            raise InvalidQuery([Fault("before", "bad_cursor", "It is none of the ids of your deliveries. Take it from `next` as it is.")])
        rows = rows.filter(Q(created_at__lt=edge.created_at) | Q(created_at=edge.created_at, pk__lt=edge.pk))
    return rows.order_by("-created_at", "-id")


def _answer(target: DeliveryTarget, secret: str | None = None, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    return json_response(_target(target, secret), status=status, headers={"ETag": target.etag, **(headers or {})})


def _target(row: DeliveryTarget, secret: str | None = None) -> TargetOutput:
    counts = {name: getattr(row, name, None) for name in _COUNTS}
    if None in counts.values():
        counts = DeliveryTarget.objects.filter(pk=row.pk).aggregate(**_COUNTS)
    return TargetOutput(
        id=row.pk,
        name=row.name,
        kind=cast("KindName", row.kind),
        host=row.host,
        email_addresses=list(row.email_addresses),
        is_active=row.is_active,
        stopped_because=row.stopped_because or None,
        failure_count=row.failure_count,
        rests_until=row.rests_until,
        waiting_count=counts["waiting"] or 0,
        dead_count=counts["dead"] or 0,
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
        secret=secret or UNSET,
    )


def _delivery(row: Delivery, *, with_attempts: bool = False) -> DeliveryOutput:
    return DeliveryOutput(
        id=str(row.pk),
        target_id=row.target_id,
        message_id=row.message_id,
        webhook_id=webhook_id(row.pk),
        type=row.type,
        title=row.notice["title"],
        severity=cast("SeverityName", row.notice["severity"]),
        state=cast("StateName", row.state),
        attempt_count=row.attempt_count,
        next_attempt_at=row.next_attempt_at,
        created_at=row.created_at,
        finished_at=row.finished_at,
        data=row.notice["data"],
        attempts=_attempts(row) if with_attempts else UNSET,
    )


def _attempts(row: Delivery) -> list[AttemptOutput]:
    return [
        AttemptOutput(one.series, one.started_at, one.duration_ms, one.is_success, one.status_code, one.error or None, one.answer or None)
        for one in row.attempts.order_by("-pk")[:100][::-1]
    ]
