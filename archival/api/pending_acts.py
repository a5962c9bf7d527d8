"""Dual control over HTTP: what it is for, and the acts that wait for a second Admin."""

from __future__ import annotations

import datetime
import functools
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import msgspec
from django.db import transaction
from django.http import HttpResponse
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from msgspec import UNSET, Meta, UnsetType
from rest_framework.request import Request

from accounts.api.etags import if_match
from accounts.deeds import Deed, has_recorded, note
from accounts.limits import writing
from accounts.models import EndpointClass
from accounts.permissions import IsAdmin, MayDoForGood, principal_of
from archival.api import pending_acts_documentation as documentation
from archival.dual_control.acts import ACT, Asker, confirm, find_act, refuse, told, visible_acts
from archival.dual_control.carrying_out import carry_out_quietly
from archival.dual_control.changing import change_dual_control
from archival.dual_control.settings import dual_control_of
from archival.holds import RETENTION
from archival.models import WAITING, DualControl, PendingAct
from archival.models.dual_control import MAX_WAITING_HOURS
from logs.api.answers import json_response
from logs.api.bodies import decoded
from logs.api.views import LeanView
from logs.search.pages import limit_of
from logs.search.parameters import MAX_NUMBER, check_parameters, flag_in, number_in

KindName = Literal["cleanup", "policy", "erasure", "release", "dual_control"]
StateName = Literal["asked", "confirmed", "done", "refused", "expired", "failed"]
_Hours = Annotated[int, Meta(ge=0, le=MAX_WAITING_HOURS, description="So long after its confirmation an act is carried out.")]
_ForPurges = Annotated[bool, Meta(description="Clean-ups, and changes of policies by which anything is kept less long.")]


class DualControlOutput(msgspec.Struct):
    """What needs a second Admin."""

    is_for_purges: _ForPurges
    is_for_erasures: bool
    is_for_releases: bool
    waiting_hours: _Hours
    updated_by: Annotated[str, Meta(description="user:<name>; empty: nobody has said anything yet.")]


class ChangedDualControl(msgspec.Struct, forbid_unknown_fields=True):
    """What is to need a second Admin; what is absent stays as it is."""

    is_for_purges: _ForPurges | UnsetType = UNSET
    is_for_erasures: bool | UnsetType = UNSET
    is_for_releases: bool | UnsetType = UNSET
    waiting_hours: _Hours | UnsetType = UNSET


class PendingActOutput(msgspec.Struct, omit_defaults=True):
    """An act under dual control."""

    id: int
    act: KindName
    state: Annotated[StateName, Meta(description="`asked` and `confirmed` go on; the others are ends.")]
    what: Annotated[dict[str, Any], Meta(description="What is to be done. Whom an erasure is about is told here until it is over.")]
    asked_by: Annotated[str, Meta(description="user:<name>.")]
    asked_at: datetime.datetime
    expires_at: Annotated[datetime.datetime, Meta(description="Unless another Admin confirms it before then, it is off.")]
    reason: str | None = None
    decided_by: Annotated[str | None, Meta(description="Who confirmed or refused it.")] = None
    decided_at: datetime.datetime | None = None
    not_before: Annotated[datetime.datetime | None, Meta(description="It is carried out then, and can be refused until then.")] = None
    finished_at: datetime.datetime | None = None
    outcome: Annotated[str | None, Meta(description="What came of it: what was made or changed, or why it could not be done.")] = None


class PendingActPage(msgspec.Struct):
    """One page of acts, newest first. `next` is the path of the page after it, or null."""

    results: list[PendingActOutput]
    next: str | None


class DualControlView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [IsAdmin]
    deeds = {"GET": Deed("READ", RETENTION), "PATCH": Deed("UPDATE", RETENTION)}

    @extend_schema(**documentation.get_dual_control_with(DualControlOutput))
    def get(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        return _settings_answer(dual_control_of(principal_of(request).tenant_id))

    @extend_schema(**documentation.change_dual_control_with(ChangedDualControl, DualControlOutput, PendingActOutput))
    def patch(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        given = msgspec.structs.asdict(decoded(request, ChangedDualControl))
        values = {name: value for name, value in given.items() if value is not UNSET}
        now = datetime.datetime.now(datetime.UTC)
        made = change_dual_control(Asker.of(principal_of(request), request._request), values, if_match(request), now)
        if isinstance(made, PendingAct):
            return pending_answer(request, made)
        note(request, resource_id="dual-control", changes=values)
        return _settings_answer(made)


class PendingActsView(LeanView):
    rate_class = EndpointClass.OTHER
    permission_classes = [MayDoForGood]
    deeds = {"GET": Deed("READ", ACT)}

    @extend_schema(**documentation.list_acts_with(PendingActPage))
    def get(self, request: Request) -> HttpResponse:
        query = request._request.GET
        check_parameters(query, ["limit", "before", "waiting"])
        limit, before = limit_of(query), number_in(query, "before")
        found = visible_acts(principal_of(request)).filter(id__lt=MAX_NUMBER if before is None else before)
        if flag_in(query, "waiting"):
            found = found.filter(state__in=WAITING)
        page = list(found[: limit + 1])
        following = None
        if len(page) > limit:
            following = f"{request._request.path}?{urlencode(query.dict() | {'limit': limit, 'before': page[limit - 1].pk})}"
        note(request, results=len(page[:limit]))
        return json_response(PendingActPage([_output(act) for act in page[:limit]], following))


class PendingActView(LeanView):
    rate_class = EndpointClass.OTHER
    permission_classes = [MayDoForGood]
    deeds = {"GET": Deed("READ", ACT)}

    @extend_schema(**documentation.get_act_with(PendingActOutput))
    def get(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        act = find_act(principal_of(request), id)
        note(request, resource_id=str(act.pk))
        return json_response(_output(act))


class PendingActConfirmView(LeanView):
    rate_class = EndpointClass.OTHER
    permission_classes = [IsAdmin]
    deeds = {"POST": Deed("CONFIRM", ACT)}

    @extend_schema(**documentation.confirm_act_with(PendingActOutput))
    def post(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        now = datetime.datetime.now(datetime.UTC)
        act = confirm(principal_of(request), id, now)
        note(request, resource_id=str(act.pk), **told(act))
        if act.not_before is not None and act.not_before <= now:
            # At once; what goes wrong then is left to the schedule.
            transaction.on_commit(functools.partial(carry_out_quietly, act.pk, now), robust=True)
        return json_response(_output(act), status=202)


class PendingActRefuseView(LeanView):
    rate_class = EndpointClass.OTHER
    permission_classes = [MayDoForGood]
    deeds = {"POST": Deed("REFUSE", ACT)}

    @extend_schema(**documentation.refuse_act_with(PendingActOutput))
    def post(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        act = refuse(principal_of(request), id, datetime.datetime.now(datetime.UTC))
        note(request, resource_id=str(act.pk), **told(act))
        return json_response(_output(act))


def pending_answer(request: Request, act: PendingAct) -> HttpResponse:
    """The answer to what waits for a second Admin now, which has an entry already."""
    has_recorded(request)
    return json_response(_output(act), status=202, headers={"Location": reverse("pending-act", args=[act.pk])})


def _settings_answer(found: DualControl) -> HttpResponse:
    fields = {name: getattr(found, name) for name in DualControlOutput.__struct_fields__}
    return json_response(DualControlOutput(**fields), headers={"ETag": found.etag})


def _output(act: PendingAct) -> PendingActOutput:
    return PendingActOutput(
        id=act.pk,
        act=msgspec.convert(str(act.kind), KindName),
        state=msgspec.convert(str(act.state), StateName),
        what=act.what,
        asked_by=act.asked_by,
        asked_at=act.asked_at,
        expires_at=act.expires_at,
        reason=act.reason or None,
        decided_by=act.decided_by or None,
        decided_at=act.decided_at,
        not_before=act.not_before,
        finished_at=act.finished_at,
        outcome=act.outcome or None,
    )
