"""Alert rules over HTTP. Who sees the whole log may look; Admins make, change and try them out."""

from __future__ import annotations

import datetime
from dataclasses import replace
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
from accounts.permissions import AdminWritesOfWholeLog, principal_of
from accounts.problems import Invalid
from logs.alerts import NewRule, change_rule, create_rule, delete_rule, mute_rule
from logs.alerts.conditions import State
from logs.alerts.definition import condition_of, quiet_of
from logs.alerts.lag import waiting_count
from logs.alerts.rules import no_such_rule
from logs.alerts.trying import try_rule
from logs.api import alerts_documentation as documentation
from logs.api.alert_rules_bodies import (
    AlertRuleInput,
    AlertRuleMute,
    AlertRuleOutput,
    AlertRulePage,
    AlertRuleTrial,
    AlertRuleTrialOutput,
    ChangedAlertRule,
    GroupField,
    SigmaInput,
    SigmaOutput,
    SigmaRuleOutput,
    TriedAlertOutput,
)
from logs.api.answers import json_response
from logs.api.bodies import decoded
from logs.api.views import LeanView
from logs.entry_types import SeverityName
from logs.models import AlertProgress, AlertRule
from logs.search.pages import limit_of
from logs.search.parameters import MAX_NUMBER, check_parameters, flag_in, number_in

ALERT_RULE = "audit_log_alert_rule"


class AlertRulesView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [AdminWritesOfWholeLog]
    deeds = {"GET": Deed("READ", ALERT_RULE), "POST": Deed("CREATE", ALERT_RULE)}

    @extend_schema(**documentation.list_rules_with(AlertRulePage))
    def get(self, request: Request) -> HttpResponse:
        query = request._request.GET
        check_parameters(query, ["limit", "before"])
        limit, before = limit_of(query), number_in(query, "before")
        rows = AlertRule.objects.filter(tenant_id=principal_of(request).tenant_id, pk__lt=MAX_NUMBER if before is None else before)
        page = list(rows.select_related("progress").prefetch_related("targets").order_by("-pk")[: limit + 1])
        following = f"{request._request.path}?{urlencode({'limit': limit, 'before': page[limit - 1].pk})}" if len(page) > limit else None
        note(request, results=len(page[:limit]))
        return json_response(AlertRulePage([_output(row) for row in page[:limit]], following, waiting_count(principal_of(request).tenant_id)))

    @extend_schema(**documentation.create_rule_with(AlertRuleInput, AlertRuleOutput))
    def post(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        principal = principal_of(request)
        row = create_rule(principal.tenant_id, principal.source, _new(decoded(request, AlertRuleInput)), _now())
        note(request, resource_id=row.pk, name=row.name, rule_query=row.query)
        return _answer(row, status=201, headers={"Location": f"{request._request.path}/{row.pk}"})


class AlertRuleView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [AdminWritesOfWholeLog]
    deeds = {"GET": Deed("READ", ALERT_RULE), "PATCH": Deed("UPDATE", ALERT_RULE), "DELETE": Deed("DELETE", ALERT_RULE)}

    @extend_schema(**documentation.get_rule_with(AlertRuleOutput))
    def get(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        note(request, resource_id=id)
        row = AlertRule.objects.select_related("progress").filter(tenant_id=principal_of(request).tenant_id, pk=id).first()
        if row is None:
            raise no_such_rule(id)
        return _answer(row)

    @extend_schema(**documentation.change_rule_with(ChangedAlertRule, AlertRuleOutput))
    def patch(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        given = decoded(request, ChangedAlertRule)
        changes = {name: value for name in given.__struct_fields__ if (value := getattr(given, name)) is not UNSET}
        note(request, resource_id=id, changed=sorted(changes))
        return _answer(change_rule(principal_of(request).tenant_id, id, changes, if_match(request), _now()))

    @extend_schema(**documentation.delete_rule)
    def delete(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        note(request, resource_id=id)
        delete_rule(principal_of(request).tenant_id, id, if_match(request))
        return HttpResponse(status=204)


class AlertRuleMuteView(LeanView):
    rate_class = EndpointClass.OTHER
    permission_classes = [AdminWritesOfWholeLog]
    deeds = {"POST": Deed("MUTE", ALERT_RULE)}

    @extend_schema(**documentation.mute_rule_with(AlertRuleMute, AlertRuleOutput))
    def post(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        until = decoded(request, AlertRuleMute).until
        note(request, resource_id=id, until=None if until is None else until.isoformat())
        return _answer(mute_rule(principal_of(request).tenant_id, id, until, if_match(request), _now()))


class AlertRuleSigmaView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [AdminWritesOfWholeLog]
    deeds = {"POST": Deed("IMPORT", ALERT_RULE)}

    @extend_schema(**documentation.import_sigma_with(SigmaInput, SigmaOutput))
    def post(self, request: Request) -> HttpResponse:
        # pySigma and its parser take a third of a second to import, and most processes never need them.
        from logs.alerts.sigma import keep_rules, read_rules

        query = request._request.GET
        check_parameters(query, ["save"])
        is_kept, principal, given, now = flag_in(query, "save"), principal_of(request), decoded(request, SigmaInput), _now()
        note(request, saved=is_kept)
        rules = read_rules(given.sigma, given.fields, now)
        rows = keep_rules(principal.tenant_id, principal.source, rules, is_active=given.is_active, now=now) if is_kept else []
        note(request, rules=[one.new.name for one in rules], ids=[row.pk for row in rows])
        answer = SigmaOutput(
            [
                SigmaRuleOutput(
                    id=rows[index].pk if rows else None,
                    name=one.new.name,
                    description=one.new.description,
                    query=one.new.query,
                    condition=one.new.condition,
                    group_by=cast("list[GroupField]", list(one.new.group_by)),
                    severity=cast("SeverityName", one.new.severity),
                    mapped=dict(one.mapped),
                    notes=list(one.notes),
                )
                for index, one in enumerate(rules)
            ]
        )
        return json_response(answer, status=201 if is_kept else 200)


class AlertRuleTestView(LeanView):
    rate_class = EndpointClass.SEARCH
    permission_classes = [AdminWritesOfWholeLog]
    deeds = {"POST": Deed("PREVIEW", ALERT_RULE)}

    @extend_schema(**documentation.test_rule_with(AlertRuleTrial, AlertRuleTrialOutput))
    def post(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        given, now = decoded(request, AlertRuleTrial), _now()
        note(request, rule_query=given.rule.query, days=given.days)
        try:
            found = try_rule(principal_of(request).tenant_id, _new(given.rule), now - datetime.timedelta(days=given.days), now)
        except Invalid as error:
            raise Invalid([replace(fault, pointer="/rule" + fault.pointer) for fault in error.faults]) from error
        note(request, results=found.match_count)
        alerts = [
            TriedAlertOutput(one.occurred_at, one.group, one.count, one.suppressed_count, [str(entry_id) for entry_id in one.entry_ids])
            for one in found.alerts
        ]  # fmt: skip
        answer = AlertRuleTrialOutput(found.since, found.until, found.searched_to, found.match_count, found.fire_count, found.alert_count, alerts)
        return json_response(answer)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _new(given: AlertRuleInput) -> NewRule:
    return NewRule(**{name: getattr(given, name) for name in given.__struct_fields__})


def _answer(row: AlertRule, *, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    return json_response(_output(row), status=status, headers={"ETag": row.etag, **(headers or {})})


def _output(row: AlertRule) -> AlertRuleOutput:
    progress: AlertProgress | None = getattr(row, "progress", None)
    if progress is None or progress.definition != row.definition:
        # What was counted is of another definition.
        progress = AlertProgress(rule=row, definition=row.definition, begins_at=row.begins_at)
    state = msgspec.msgpack.decode(progress.condition_state, type=State) if progress.condition_state else State(0)
    return AlertRuleOutput(
        id=row.pk,
        name=row.name,
        description=row.description,
        query=row.query,
        condition=condition_of(row),
        group_by=cast("list[GroupField]", list(row.group_by)),
        severity=cast("SeverityName", row.severity),
        cool_down_seconds=row.cool_down_seconds,
        schedule=quiet_of(row).schedule,
        muted_until=row.muted_until,
        is_active=row.is_active,
        began_at=row.began_at,
        error=progress.error or None,
        match_count=progress.match_count,
        alert_count=progress.alert_count,
        suppressed_count=progress.suppressed_count,
        target_ids=sorted(target.pk for target in row.targets.all()),
        forgotten_count=state.forgotten,
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
