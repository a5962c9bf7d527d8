"""Masking rules over HTTP. Everybody of the tenant who may read may look; Admins change, and try rules out."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import msgspec
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from msgspec import UNSET
from rest_framework.request import Request

from accounts.api.etags import if_match
from accounts.deeds import Deed, note
from accounts.limits import writing
from accounts.models import EndpointClass
from accounts.permissions import AdminWrites, principal_of
from accounts.problems import Invalid
from logs.api import masking_documentation as documentation
from logs.api.answers import json_response
from logs.api.masking_bodies import (
    BuiltInMaskingOutput,
    ChangedBuiltInMasking,
    ChangedMaskingRule,
    MaskingPreview,
    MaskingRuleOutput,
    MaskingRules,
    MaskingTrial,
    NewMaskingRule,
)
from logs.api.views import LeanView
from logs.ingest import faults
from logs.masking_rules import (
    KeptBuiltIn,
    KeptRule,
    RuleChanges,
    add_rule,
    change_built_in,
    change_rule,
    delete_rule,
    find_built_in,
    find_rule,
    list_built_in,
    list_rules,
    preview,
)
from logs.models import MaskedField, MaskingAction, MaskingKind
from logs.privacy.masking import OwnRule, check_rule
from logs.search.parameters import check_parameters

_Input = TypeVar("_Input")


class MaskingRulesView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [AdminWrites]
    deeds = {"GET": Deed("VIEW", "audit_log_masking_rule"), "POST": Deed("CREATE", "audit_log_masking_rule")}

    @extend_schema(**documentation.list_rules_with(MaskingRules))
    def get(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        tenant_id = principal_of(request).tenant_id
        rules = MaskingRules([_rule(kept) for kept in list_rules(tenant_id)], [_built_in(kept) for kept in list_built_in(tenant_id)])
        note(request, results=len(rules.rules))
        return json_response(rules)

    @extend_schema(**documentation.add_rule_with(NewMaskingRule, MaskingRuleOutput))
    def post(self, request: Request) -> HttpResponse:
        given = _decoded(request, NewMaskingRule)
        kept = add_rule(principal_of(request), RuleChanges(**msgspec.structs.asdict(given)))
        note(request, resource_id=str(kept.id), name=kept.name)
        return _answer(kept, status=201, headers={"Location": f"{request._request.path}/{kept.id}"})


class MaskingRuleView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [AdminWrites]
    deeds = {
        "GET": Deed("VIEW", "audit_log_masking_rule"),
        "PATCH": Deed("UPDATE", "audit_log_masking_rule"),
        "DELETE": Deed("DELETE", "audit_log_masking_rule"),
    }

    @extend_schema(**documentation.get_rule_with(MaskingRuleOutput))
    def get(self, request: Request, id: int) -> HttpResponse:
        note(request, resource_id=str(id))
        return _answer(find_rule(principal_of(request).tenant_id, id))

    @extend_schema(**documentation.change_rule_with(ChangedMaskingRule, MaskingRuleOutput))
    def patch(self, request: Request, id: int) -> HttpResponse:
        note(request, resource_id=str(id))
        given = msgspec.structs.asdict(_decoded(request, ChangedMaskingRule))
        changes = {name: value for name, value in given.items() if value is not UNSET}
        note(request, changed=sorted(changes))
        return _answer(change_rule(principal_of(request), id, RuleChanges(**changes), if_match(request)))

    @extend_schema(**documentation.delete_rule)
    def delete(self, request: Request, id: int) -> HttpResponse:
        note(request, resource_id=str(id))
        delete_rule(principal_of(request), id, if_match(request))
        return HttpResponse(status=204)


class BuiltInMaskingView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [AdminWrites]
    deeds = {"GET": Deed("VIEW", "audit_log_masking_rule"), "PATCH": Deed("UPDATE", "audit_log_masking_rule")}

    @extend_schema(**documentation.get_built_in_with(BuiltInMaskingOutput))
    def get(self, request: Request, name: str) -> HttpResponse:
        note(request, resource_id=name)
        return json_response(_built_in(find_built_in(principal_of(request).tenant_id, name)))

    @extend_schema(**documentation.change_built_in_with(ChangedBuiltInMasking, BuiltInMaskingOutput))
    def patch(self, request: Request, name: str) -> HttpResponse:
        note(request, resource_id=name)
        given = msgspec.structs.asdict(_decoded(request, ChangedBuiltInMasking))
        changes = {field: None if value is UNSET else value for field, value in given.items()}
        note(request, changed={field: value for field, value in changes.items() if value is not None})
        return json_response(_built_in(change_built_in(principal_of(request), name, **changes)))


class MaskingPreviewView(LeanView):
    rate_class = EndpointClass.SEARCH
    permission_classes = [AdminWrites]
    deeds = {"POST": Deed("PREVIEW", "audit_log_masking_rule")}

    @extend_schema(**documentation.preview_with(MaskingTrial, MaskingPreview))
    def post(self, request: Request) -> HttpResponse:
        trial = _decoded(request, MaskingTrial)
        kind = MaskingKind(trial.rule.kind)
        try:
            check_rule(kind, trial.rule.pattern)
        except Invalid as error:
            raise Invalid([replace(fault, pointer="/rule" + fault.pointer) for fault in error.faults]) from error
        rule = OwnRule(
            trial.rule.name,
            kind,
            trial.rule.pattern,
            MaskingAction(trial.rule.action),
            tuple(MaskedField(field) for field in trial.rule.fields),
            tuple(trial.rule.resource_types),
        )
        found = preview(principal_of(request), rule, trial.entries, [msgspec.structs.asdict(sample) for sample in trial.samples])
        note(request, results=found.looked_at)
        return json_response(found)


def _decoded(request: Request, kind: type[_Input]) -> _Input:
    """The body as `kind`. Raises Invalid."""
    try:
        return msgspec.convert(request.data, kind)
    except msgspec.ValidationError as error:
        fault = faults.fault_of(error, "")
        raise Invalid([replace(fault, detail=fault.detail.replace("The entry ", "The body ", 1))]) from error


def _answer(kept: KeptRule, *, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    return json_response(_rule(kept), status=status, headers={"ETag": kept.etag, **(headers or {})})


def _rule(kept: KeptRule) -> MaskingRuleOutput:
    return msgspec.convert(kept, MaskingRuleOutput, from_attributes=True)


def _built_in(kept: KeptBuiltIn) -> BuiltInMaskingOutput:
    return msgspec.convert(kept, BuiltInMaskingOutput, from_attributes=True)
