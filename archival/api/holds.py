"""Legal holds over HTTP, for who may manage retention."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal
from urllib.parse import urlencode

import msgspec
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request

from accounts.deeds import Deed, note
from accounts.limits import writing
from accounts.models import EndpointClass
from accounts.permissions import MayManageRetention, principal_of
from accounts.problems import NotFound
from archival.api import holds_documentation as documentation
from archival.api.pending_acts import PendingActOutput, pending_answer
from archival.dual_control.acts import Asker
from archival.hold_preview import preview_hold
from archival.holds import MAX_REASON_LENGTH, MIN_REASON_LENGTH, RETENTION, NewHold, place_hold, release, visible_holds
from archival.models import HeldThing, LegalHold, PendingAct
from logs.api.answers import json_response
from logs.api.bodies import decoded
from logs.api.views import LeanView
from logs.search.grammar import MAX_CHARACTERS
from logs.search.pages import limit_of
from logs.search.parameters import MAX_NUMBER, check_parameters, flag_in, number_in
from logs.subjects import MAX_SUBJECT_LENGTH

HeldName = Literal["tenant", "query", "subject"]
StateName = Literal["active", "due", "released"]
_Reason = Annotated[str, Meta(min_length=MIN_REASON_LENGTH, max_length=MAX_REASON_LENGTH)]


class LegalHoldInput(msgspec.Struct, forbid_unknown_fields=True):
    """A legal hold to be placed."""

    holds: Annotated[HeldName, Meta(description="`tenant`: the whole log; `query`: the entries that `query` finds; `subject`: the data subject `subject`.")]
    reason: _Reason
    query: Annotated[str, Meta(max_length=MAX_CHARACTERS, description="In the query language. Relative times count from now.")] = ""
    subject: Annotated[str, Meta(max_length=MAX_SUBJECT_LENGTH)] = ""
    until: Annotated[datetime.datetime, Meta(tz=True, description="From then on the hold is due: still active, until a person releases it.")] | None = None


class LegalHoldTrial(msgspec.Struct, forbid_unknown_fields=True):
    """A legal hold to be looked at before it is placed."""

    holds: HeldName
    query: Annotated[str, Meta(max_length=MAX_CHARACTERS)] = ""
    subject: Annotated[str, Meta(max_length=MAX_SUBJECT_LENGTH)] = ""


class LegalHoldPreview(msgspec.Struct):
    """What a legal hold would hold now. What comes in later is held as well."""

    entries: Annotated[int, Meta(description="Entries in the database. The archive is not counted, and held as well.")]
    of: Annotated[int, Meta(description="All entries in the database.")]


class LegalHoldRelease(msgspec.Struct, forbid_unknown_fields=True):
    """Why a hold is released."""

    reason: _Reason


class LegalHoldOutput(msgspec.Struct, omit_defaults=True):
    """A legal hold."""

    id: int
    holds: HeldName
    state: Annotated[StateName, Meta(description="`due`: its date has passed; it is active until it is released.")]
    reason: str
    placed_by: Annotated[str, Meta(description="key:<prefix> or user:<name>.")]
    placed_at: datetime.datetime
    query: str | None = None
    subject: str | None = None
    until: datetime.datetime | None = None
    released_by: str | None = None
    released_at: datetime.datetime | None = None
    release_reason: str | None = None


class LegalHoldPage(msgspec.Struct):
    """One page of legal holds, newest first. `next` is the path of the page after it, or null."""

    results: list[LegalHoldOutput]
    next: str | None


class LegalHoldsView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [MayManageRetention]
    deeds = {"GET": Deed("READ", RETENTION), "POST": Deed("CREATE", RETENTION)}

    @extend_schema(**documentation.list_holds_with(LegalHoldPage))
    def get(self, request: Request) -> HttpResponse:
        query = request._request.GET
        check_parameters(query, ["limit", "before", "active", "due"])
        limit, before = limit_of(query), number_in(query, "before")
        found = visible_holds(principal_of(request)).filter(id__lt=MAX_NUMBER if before is None else before)
        now = datetime.datetime.now(datetime.UTC)
        if flag_in(query, "active"):
            found = found.filter(released_at=None)
        if flag_in(query, "due"):
            found = found.filter(released_at=None, until__lte=now)
        page = list(found[: limit + 1])
        following = None
        if len(page) > limit:
            following = f"{request._request.path}?{urlencode(query.dict() | {'limit': limit, 'before': page[limit - 1].pk})}"
        note(request, results=len(page[:limit]))
        return json_response(LegalHoldPage([_output(hold, now) for hold in page[:limit]], following))

    @extend_schema(**documentation.place_hold_with(LegalHoldInput, LegalHoldOutput))
    def post(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        given, principal, now = decoded(request, LegalHoldInput), principal_of(request), datetime.datetime.now(datetime.UTC)
        wanted = NewHold(HeldThing(given.holds), given.reason, given.query, given.subject, given.until)
        hold = place_hold(principal.tenant_id, principal.source, wanted, now)
        note(request, resource_id=f"hold-{hold.pk}", holds=given.holds, reason=given.reason)
        return json_response(_output(hold, now), status=201, headers={"Location": f"{request._request.path}/{hold.pk}"})


class LegalHoldPreviewView(LeanView):
    rate_class = EndpointClass.SEARCH
    permission_classes = [MayManageRetention]
    deeds = {"POST": Deed("PREVIEW", RETENTION)}

    @extend_schema(**documentation.preview_hold_with(LegalHoldTrial, LegalHoldPreview))
    def post(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        given, now = decoded(request, LegalHoldTrial), datetime.datetime.now(datetime.UTC)
        count = preview_hold(principal_of(request), NewHold(HeldThing(given.holds), "", given.query, given.subject), now)
        note(request, would_hold=count.entries)
        return json_response(LegalHoldPreview(count.entries, count.of))


class LegalHoldView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [MayManageRetention]
    deeds = {"GET": Deed("READ", RETENTION)}

    @extend_schema(**documentation.get_hold_with(LegalHoldOutput))
    def get(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        hold = visible_holds(principal_of(request)).filter(pk=_possible(id)).first()
        if hold is None:
            raise NotFound(f"There is no legal hold {id}, or none that you may see.")
        note(request, resource_id=f"hold-{hold.pk}")
        return json_response(_output(hold, datetime.datetime.now(datetime.UTC)))


class LegalHoldReleaseView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [MayManageRetention]
    deeds = {"POST": Deed("RELEASE", RETENTION)}

    @extend_schema(**documentation.release_hold_with(LegalHoldRelease, LegalHoldOutput, PendingActOutput))
    def post(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        given, principal, now = decoded(request, LegalHoldRelease), principal_of(request), datetime.datetime.now(datetime.UTC)
        hold = release(Asker.of(principal, request._request), _possible(id), given.reason, now)
        if isinstance(hold, PendingAct):
            return pending_answer(request, hold)
        note(request, resource_id=f"hold-{hold.pk}", reason=given.reason)
        return json_response(_output(hold, now))


def _possible(id: int) -> int:
    """The id, if a row can have it. Raises NotFound."""
    if id > MAX_NUMBER:
        raise NotFound("There is no legal hold with an id so large.")
    return id


def _output(hold: LegalHold, now: datetime.datetime) -> LegalHoldOutput:
    return LegalHoldOutput(
        id=hold.pk,
        holds=msgspec.convert(str(hold.holds), HeldName),
        state="released" if not hold.is_active else "due" if hold.is_due(now) else "active",
        reason=hold.reason,
        placed_by=hold.placed_by,
        placed_at=hold.placed_at,
        query=hold.query or None,
        subject=hold.subject or None,
        until=hold.until,
        released_by=hold.released_by or None,
        released_at=hold.released_at,
        release_reason=hold.release_reason or None,
    )
