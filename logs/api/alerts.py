"""Alerts over HTTP. Who sees the whole log may look; Admins acknowledge and close."""

from __future__ import annotations

import datetime
from typing import Any, cast
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpResponse, QueryDict
from drf_spectacular.utils import extend_schema
from msgspec import UNSET
from rest_framework.request import Request

from accounts.api.etags import if_match
from accounts.deeds import Deed, note
from accounts.limits import writing
from accounts.models import EndpointClass
from accounts.permissions import AdminWritesOfWholeLog, principal_of
from accounts.problems import Fault
from logs.alerts.handling import handle, no_such_alert
from logs.alerts.recording import ALERT
from logs.api import alerts_documentation as documentation
from logs.api.alert_rules_bodies import AlertHandling, AlertOutput, AlertPage, AlertStateName
from logs.api.answers import json_response
from logs.api.bodies import decoded
from logs.api.views import LeanView
from logs.entry_types import SeverityName
from logs.errors import InvalidQuery
from logs.models import Alert, AlertSeverity, AlertState
from logs.search.pages import limit_of
from logs.search.parameters import MAX_NUMBER, check_parameters, number_in
from logs.search.values import time_of

PARAMETERS = ("limit", "before", "state", "severity", "rule_id", "from", "to")


class AlertsView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [AdminWritesOfWholeLog]
    deeds = {"GET": Deed("READ", ALERT)}

    @extend_schema(**documentation.list_alerts_with(AlertPage))
    def get(self, request: Request) -> HttpResponse:
        query = request._request.GET
        check_parameters(query, PARAMETERS, repeated=("state", "severity"))
        limit = limit_of(query)
        rows = _filtered(Alert.objects.filter(tenant_id=principal_of(request).tenant_id), query)
        page = list(rows.order_by("-pk")[: limit + 1])
        following = None
        if len(page) > limit:
            asked: dict[str, Any] = {name: query.getlist(name) for name in query} | {"limit": limit, "before": page[limit - 1].pk}
            following = f"{request._request.path}?{urlencode(asked, doseq=True)}"
        note(request, results=len(page[:limit]))
        return json_response(AlertPage([_output(alert) for alert in page[:limit]], following))


class AlertView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [AdminWritesOfWholeLog]
    deeds = {"GET": Deed("READ", ALERT)}

    @extend_schema(**documentation.get_alert_with(AlertOutput))
    def get(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        note(request, resource_id=id)
        alert = Alert.objects.filter(tenant_id=principal_of(request).tenant_id, pk=id).first()
        if alert is None:
            raise no_such_alert(id)
        return _answer(alert)


class AlertAcknowledgeView(LeanView):
    rate_class = EndpointClass.OTHER
    permission_classes = [AdminWritesOfWholeLog]
    deeds = {"POST": Deed("ACKNOWLEDGE", ALERT)}

    @extend_schema(**documentation.acknowledge_alert_with(AlertHandling, AlertOutput))
    def post(self, request: Request, id: int) -> HttpResponse:
        return _handled(request, id, AlertState.ACKNOWLEDGED)


class AlertCloseView(LeanView):
    rate_class = EndpointClass.OTHER
    permission_classes = [AdminWritesOfWholeLog]
    deeds = {"POST": Deed("CLOSE", ALERT)}

    @extend_schema(**documentation.close_alert_with(AlertHandling, AlertOutput))
    def post(self, request: Request, id: int) -> HttpResponse:
        return _handled(request, id, AlertState.CLOSED)


def _handled(request: Request, id: int, state: AlertState) -> HttpResponse:
    check_parameters(request._request.GET, [])
    principal, given = principal_of(request), decoded(request, AlertHandling)
    note(request, resource_id=id)
    text = None if given.note is UNSET else given.note
    return _answer(handle(principal.tenant_id, id, state, principal.source, text, datetime.datetime.now(datetime.UTC), if_match(request)))


def _filtered(rows: QuerySet[Alert], query: QueryDict) -> QuerySet[Alert]:
    """The alerts that the query string asks for. Raises InvalidQuery."""
    for name, known in (("state", AlertState.values), ("severity", AlertSeverity.values)):
        given = query.getlist(name)
        if wrong := [value for value in given if value not in known]:
            raise InvalidQuery([Fault(name, "unknown_value", f"{wrong[0]!r} is none of {', '.join(known)}.")])
        if given:
            rows = rows.filter(**{f"{name}__in": given})
    rule_id, before = number_in(query, "rule_id"), number_in(query, "before")
    if rule_id is not None:
        rows = rows.filter(rule_id=rule_id)
    for name, lookup in (("from", "fired_at__gte"), ("to", "fired_at__lt")):
        if (text := query.get(name)) is not None:
            rows = rows.filter(**{lookup: _moment(name, text)})
    return rows.filter(pk__lt=MAX_NUMBER if before is None else before)


def _moment(name: str, text: str) -> datetime.datetime:
    try:
        return time_of(text, datetime.datetime.now(datetime.UTC))
    except ValueError as error:
        raise InvalidQuery([Fault(name, "bad_timestamp", f"{error}.")]) from error


def _answer(alert: Alert) -> HttpResponse:
    return json_response(_output(alert), headers={"ETag": alert.etag})


def _output(alert: Alert) -> AlertOutput:
    return AlertOutput(
        id=alert.pk,
        rule_id=alert.rule_id,
        rule_name=alert.rule_name,
        severity=cast("SeverityName", alert.severity),
        group=alert.group,
        count=alert.count,
        suppressed_count=alert.suppressed_count,
        positions=list(alert.positions),
        entry_ids=[str(entry_id) for entry_id in alert.entry_ids],
        occurred_at=alert.occurred_at,
        fired_at=alert.fired_at,
        state=cast("AlertStateName", alert.state),
        note=alert.note,
        changed_by=alert.changed_by or None,
        changed_at=alert.changed_at,
    )
