"""Retention policies over HTTP, for who may manage retention."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

import msgspec
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from msgspec import UNSET, Meta, UnsetType
from rest_framework.request import Request

from accounts.api.etags import if_match
from accounts.deeds import Deed, note
from accounts.limits import writing
from accounts.models import EndpointClass
from accounts.models.grant import ACTION_PATTERN
from accounts.permissions import MayManageRetention, principal_of
from accounts.problems import Fault, Invalid, NotAllowed
from archival.api import policies_documentation as documentation
from archival.api.pending_acts import PendingActOutput, pending_answer
from archival.dual_control.acts import Asker
from archival.holds import RETENTION
from archival.models import PendingAct, RetentionPolicy
from archival.models.policy import MAX_DAYS, MAX_VALUES
from archival.retention.changing import MAX_POLICIES, Outlook, PolicyChange, change_policies, preview
from archival.retention.counting import DueCount
from archival.retention.finding import find_policy, list_policies
from logs.api.answers import json_response
from logs.api.bodies import decoded
from logs.api.views import LeanView
from logs.search.parameters import check_parameters

SeverityName = Literal["INFO", "WARNING", "ERROR", "CRITICAL"]
_Name = Annotated[str, Meta(min_length=1, max_length=100, description="Each of a tenant's policies has another.")]
_ResourceTypes = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=128)]], Meta(max_length=MAX_VALUES, description="Entries of these resource types; empty: of all.")
]  # fmt: skip
_Actions = Annotated[
    list[Annotated[str, Meta(pattern=ACTION_PATTERN)]], Meta(max_length=MAX_VALUES, description="Entries with these actions; empty: with all.")
]  # fmt: skip
_Severities = Annotated[list[SeverityName], Meta(max_length=4, description="Entries so grave; empty: all.")]
_HotDays = Annotated[int, Meta(ge=1, le=MAX_DAYS, description="Days in the database, counted from the end of the entry's day (UTC).")]
_ColdDays = Annotated[
    Annotated[int, Meta(ge=0, le=MAX_DAYS)] | None,
    Meta(description="Days in the archive after that; null: for ever; 0: purged without being archived."),
]
_Precedence = Annotated[int, Meta(ge=0, le=1_000_000, description="Lower ones come first; the default comes last, whatever it has here.")]
_IsLocked = Annotated[bool, Meta(description="It can be lengthened, never shortened, narrowed, overtaken or deleted; and never unlocked.")]
_Confirm = Annotated[str, Meta(max_length=100, description="The policy's name once more, where the preview says so.")]


class NewRetentionPolicy(msgspec.Struct, forbid_unknown_fields=True):
    """A retention policy to be kept."""

    name: _Name
    hot_days: _HotDays
    cold_days: _ColdDays = None
    resource_types: _ResourceTypes = []
    actions: _Actions = []
    severities: _Severities = []
    precedence: _Precedence = 100
    is_locked: _IsLocked = False
    confirm: _Confirm = ""


class ChangedRetentionPolicy(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be changed of a retention policy; what is absent stays as it is."""

    name: _Name | UnsetType = UNSET
    hot_days: _HotDays | UnsetType = UNSET
    cold_days: Annotated[int, Meta(ge=0, le=MAX_DAYS)] | UnsetType | None = UNSET
    resource_types: _ResourceTypes | UnsetType = UNSET
    actions: _Actions | UnsetType = UNSET
    severities: _Severities | UnsetType = UNSET
    precedence: _Precedence | UnsetType = UNSET
    is_locked: _IsLocked | UnsetType = UNSET
    confirm: _Confirm = ""


class RetentionPolicyOutput(msgspec.Struct):
    """A retention policy."""

    id: int
    place: Annotated[int, Meta(description="The order in which they count, from 1: the first that matches an entry decides.")]
    name: str
    hot_days: int
    cold_days: int | None
    resource_types: list[str]
    actions: list[str]
    severities: list[SeverityName]
    precedence: int
    is_default: Annotated[bool, Meta(description="The one for every entry that no other matches.")]
    is_locked: bool
    updated_by: Annotated[str, Meta(description="key:<prefix> or user:<name>; empty: as it was made.")]
    created_at: datetime.datetime
    updated_at: datetime.datetime


class RetentionPolicies(msgspec.Struct):
    """All policies of the tenant, in the order in which they count."""

    results: list[RetentionPolicyOutput]


class PolicyOrder(msgspec.Struct, forbid_unknown_fields=True):
    """The order in which policies are to count."""

    ids: Annotated[list[int], Meta(max_length=MAX_POLICIES, description="The id of every policy but the default, the first to count first.")]
    confirm: Annotated[str, Meta(max_length=100, description="`order`, where the preview says so.")] = ""


class PolicyTrial(msgspec.Struct, forbid_unknown_fields=True):
    """A change of policies to be looked at before it is made. Exactly one of `add`, `change` (of `policy`), `delete` (of `policy`), `order`."""

    add: NewRetentionPolicy | None = None
    change: ChangedRetentionPolicy | None = None
    delete: bool = False
    order: list[int] | None = None
    policy: Annotated[int, Meta(ge=0, description="The id of the policy that is to be changed or deleted.")] | None = None


class PolicyDue(msgspec.Struct):
    """What one policy would move and purge now."""

    id: Annotated[int | None, Meta(description="null: it is not kept yet.")]
    name: str
    archived: int
    purged: int


class DueOutput(msgspec.Struct):
    """What all policies together would move and purge now."""

    hot: Annotated[int, Meta(description="Entries in the database.")]
    archived: int
    purged: int
    by_policy: list[PolicyDue]
    counted_from: Annotated[
        Literal["entries", "rollups"],
        Meta(description="`rollups`: it took too long to count, and it is at most so much; what holds keep and what left before is in it."),
    ]


class PolicyPreview(msgspec.Struct):
    """What the policies do now, and what they would do. Of the archive nothing is counted."""

    now: DueOutput
    then: DueOutput
    keeps_less: Annotated[bool, Meta(description="Would anything be purged earlier than it was to be?")]
    confirm: Annotated[str, Meta(description="Send this as `confirm` with the change itself; empty: it need not be confirmed.")]


class RetentionPoliciesView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [MayManageRetention]
    deeds = {"GET": Deed("READ", RETENTION), "POST": Deed("CREATE", RETENTION)}

    @extend_schema(**documentation.list_policies_with(RetentionPolicies))
    def get(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        rows = list_policies(principal_of(request).tenant_id)
        note(request, results=len(rows))
        return json_response(RetentionPolicies([_output(row, place + 1) for place, row in enumerate(rows)]))

    @extend_schema(**documentation.add_policy_with(NewRetentionPolicy, RetentionPolicyOutput, PendingActOutput))
    def post(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        given = decoded(request, NewRetentionPolicy)
        return _changed(request, PolicyChange("add", values=_values(given)), given.confirm)


class RetentionPolicyView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [MayManageRetention]
    deeds = {"GET": Deed("READ", RETENTION), "PATCH": Deed("UPDATE", RETENTION), "DELETE": Deed("DELETE", RETENTION)}

    @extend_schema(**documentation.get_policy_with(RetentionPolicyOutput))
    def get(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        row = find_policy(principal_of(request).tenant_id, id)
        note(request, resource_id=_name(row.pk))
        return _answer(row)

    @extend_schema(**documentation.change_policy_with(ChangedRetentionPolicy, RetentionPolicyOutput, PendingActOutput))
    def patch(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        given = decoded(request, ChangedRetentionPolicy)
        return _changed(request, PolicyChange("change", id, _values(given), etags=if_match(request)), given.confirm)

    @extend_schema(**documentation.delete_policy_with(PendingActOutput))
    def delete(self, request: Request, id: int) -> HttpResponse:
        query = request._request.GET
        check_parameters(query, ["confirm"])
        return _changed(request, PolicyChange("delete", id, etags=if_match(request)), query.get("confirm", ""))


class PolicyOrderView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [MayManageRetention]
    deeds = {"PUT": Deed("UPDATE", RETENTION)}

    @extend_schema(**documentation.order_policies_with(PolicyOrder, RetentionPolicies, PendingActOutput))
    def put(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        given = decoded(request, PolicyOrder)
        return _changed(request, PolicyChange("order", ids=given.ids), given.confirm)


class PolicyPreviewView(LeanView):
    rate_class = EndpointClass.SEARCH
    permission_classes = [MayManageRetention]
    deeds = {"POST": Deed("PREVIEW", RETENTION)}

    @extend_schema(**documentation.preview_policies_with(PolicyTrial, PolicyPreview))
    def post(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        if not principal_of(request).restriction.leaves_all:
            raise NotAllowed("What policies would move and purge is counted for who sees the whole log.")
        trial = decoded(request, PolicyTrial)
        outlook = preview(principal_of(request).tenant_id, _change_of(trial), datetime.datetime.now(datetime.UTC))
        note(request, would_purge=outlook.after.purged, would_archive=outlook.after.archived)
        return json_response(_preview(outlook))


def _changed(request: Request, change: PolicyChange, confirm: str) -> HttpResponse:
    """Make the change and answer it."""
    principal, now = principal_of(request), datetime.datetime.now(datetime.UTC)
    row = change_policies(Asker.of(principal, request._request), change, now, confirm=confirm)
    if isinstance(row, PendingAct):
        return pending_answer(request, row)
    if change.step == "order":
        note(request, resource_id="policies", ids=change.ids)
        rows = list_policies(principal.tenant_id)
        return json_response(RetentionPolicies([_output(other, place + 1) for place, other in enumerate(rows)]))
    if row is None:
        note(request, resource_id=_name(change.id))
        return HttpResponse(status=204)
    note(request, resource_id=_name(row.pk), changes=change.values)
    if change.step == "add":
        return _answer(row, status=201, headers={"Location": f"{request._request.path}/{row.pk}"})
    return _answer(row)


def _change_of(trial: PolicyTrial) -> PolicyChange:
    """Raises Invalid for none, and for more than one."""
    given = [name for name in ("add", "change", "delete", "order") if getattr(trial, name) not in (None, False)]
    if len(given) != 1 or (given[0] in ("change", "delete")) != (trial.policy is not None):
        raise Invalid([Fault("", "wrong_trial", "Say exactly one of add, change, delete, order; and with change and delete the policy's id.")])
    if trial.add is not None:
        return PolicyChange("add", values=_values(trial.add))
    if trial.order is not None:
        return PolicyChange("order", ids=trial.order)
    id = trial.policy or 0
    return PolicyChange("delete", id) if trial.change is None else PolicyChange("change", id, _values(trial.change))


def _values(given: NewRetentionPolicy | ChangedRetentionPolicy) -> dict[str, Any]:
    """The fields that were given; each value of a list once."""
    found = {name: value for name, value in msgspec.structs.asdict(given).items() if value is not UNSET and name != "confirm"}
    return {name: list(dict.fromkeys(value)) if isinstance(value, list) else value for name, value in found.items()}


def _name(id: int | None) -> str:
    """What entries call a policy."""
    return f"policy-{id}"


def _answer(row: RetentionPolicy, *, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    ids = [other.pk for other in list_policies(row.tenant_id)]
    return json_response(_output(row, ids.index(row.pk) + 1), status=status, headers={"ETag": row.etag, **(headers or {})})


def _output(row: RetentionPolicy, place: int) -> RetentionPolicyOutput:
    fields = {name: getattr(row, name) for name in RetentionPolicyOutput.__struct_fields__ if name not in ("id", "place")}
    return RetentionPolicyOutput(id=row.pk, place=place, **fields)


def _preview(outlook: Outlook) -> PolicyPreview:
    return PolicyPreview(_due(outlook.before), _due(outlook.after), outlook.keeps_less, outlook.confirm)


def _due(count: DueCount) -> DueOutput:
    by_policy = [PolicyDue(one.policy_id, one.policy_name, one.archived, one.purged) for one in count.by_policy]
    return DueOutput(count.hot, count.archived, count.purged, by_policy, count.counted_from)
