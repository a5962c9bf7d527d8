"""Erasures over HTTP, for who may erase."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated, Literal
from urllib.parse import urlencode

import msgspec
from django.http import HttpResponse
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request

from accounts.deeds import Deed, note
from accounts.limits import writing
from accounts.models import EndpointClass
from accounts.permissions import MayErase, principal_of
from accounts.problems import Fault, Invalid, NotFound
from accounts.recording import whence
from logs.api import erasures_documentation as documentation
from logs.api.answers import json_response
from logs.api.bodies import decoded
from logs.api.views import LeanView
from logs.erasure import NewErasure, erase
from logs.erasure.erasing import ERASE
from logs.errors import InvalidQuery
from logs.extensions import Deferral
from logs.models import Erasure, ErasureState
from logs.search.pages import limit_of
from logs.search.parameters import check_parameters
from logs.subjects import MAX_SUBJECT_LENGTH

StateName = Literal["begun", "destroyed", "done", "held"]
_Subject = Annotated[str, Meta(min_length=1, max_length=MAX_SUBJECT_LENGTH)]


class ErasureInput(msgspec.Struct, forbid_unknown_fields=True):
    """A data subject to be erased. There is no way back."""

    subject: Annotated[_Subject, Meta(description="Their `user_id`; where the tenant names a `subject_key`, what stands under it.")]
    reason: Annotated[str, Meta(min_length=10, max_length=2000, description="Why. Kept with the erasure, not in the log.")]
    confirm: Annotated[_Subject, Meta(description="The subject once more.")]


class ErasureOutput(msgspec.Struct, omit_defaults=True):
    """An erasure."""

    id: str
    state: Annotated[StateName, Meta(description="`begun` and `destroyed` go on by themselves. `held`: a legal hold forbade it.")]
    reason: str
    asked_by: Annotated[str, Meta(description="key:<prefix> or user:<name>.")]
    created_at: datetime.datetime
    keys_destroyed: Annotated[int, Meta(description="0: nothing of theirs was encrypted, or they were erased before.")]
    subject: Annotated[str | None, Meta(description="Absent from the end on where the log itself does not name its users.")] = None
    key_ids: list[int] = []
    pseudonyms: Annotated[list[str], Meta(description="What their keys were called; the entries about the erasure have it as `resource_id`.")] = []
    exports_removed: Annotated[list[str], Meta(description="Export jobs whose files may have held them. The files are gone; those that ran began anew.")] = []
    repeats: Annotated[str | None, Meta(description="The earlier erasure of the same subject: this one found nothing new.")] = None
    held_because: str | None = None
    finished_at: datetime.datetime | None = None


class DeferredErasure(msgspec.Struct):
    """An erasure that is under dual control: nothing is erased until another Admin has confirmed it."""

    pending_act: Annotated[int, Meta(description="Its id at `/pending-acts`.")]


class ErasurePage(msgspec.Struct):
    """One page of erasures, newest first. `next` is the path of the page after it, or null."""

    results: list[ErasureOutput]
    next: str | None


class ErasuresView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [MayErase]
    # What succeeds, and what a hold forbids, is recorded by `logs.erasure`, before and after.
    deeds = {"GET": Deed("READ", ERASE.resource_type), "POST": Deed(ERASE.action, ERASE.resource_type, refusals_only=True)}

    @extend_schema(**documentation.list_erasures_with(ErasurePage))
    def get(self, request: Request) -> HttpResponse:
        query = request._request.GET
        check_parameters(query, ["limit", "cursor"])
        limit = limit_of(query)
        found = Erasure.objects.filter(tenant_id=principal_of(request).tenant_id)
        if (cursor := query.get("cursor")) is not None:
            found = found.filter(id__lt=_cursor(cursor))
        page = list(found[: limit + 1])
        note(request, results=min(len(page), limit))
        following = f"{request._request.path}?{urlencode({'limit': limit, 'cursor': page[limit - 1].id})}" if len(page) > limit else None
        return json_response(ErasurePage([_output(erasure) for erasure in page[:limit]], following))

    @extend_schema(**documentation.erase_with(ErasureInput, ErasureOutput, DeferredErasure))
    def post(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        given = decoded(request, ErasureInput)
        if given.confirm != given.subject:
            raise Invalid([Fault("/confirm", "not_confirmed", "`confirm` has to be the subject once more, letter by letter.")])
        erasure = erase(principal_of(request), NewErasure(given.subject, given.reason, whence(request._request)))
        if isinstance(erasure, Deferral):
            return json_response(DeferredErasure(erasure.pending_act), status=202, headers={"Location": erasure.path})
        # Accepted, and carried on by itself, where a step could not be taken now.
        status = 201 if erasure.state == ErasureState.DONE else 202
        return json_response(_output(erasure), status=status, headers={"Location": reverse("erasure", args=[str(erasure.id)])})


class ErasureView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [MayErase]
    deeds = {"GET": Deed("READ", ERASE.resource_type)}

    @extend_schema(**documentation.get_erasure_with(ErasureOutput))
    def get(self, request: Request, id: str) -> HttpResponse:
        check_parameters(request._request.GET, [])
        note(request, resource_id=id)
        try:
            erasure = Erasure.objects.filter(tenant_id=principal_of(request).tenant_id, pk=uuid.UUID(id)).first()
        except ValueError:
            erasure = None
        if erasure is None:
            raise NotFound(f"There is no erasure {id}, or none that you may see.")
        return json_response(_output(erasure))


def _cursor(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise InvalidQuery([Fault("cursor", "bad_cursor", "The cursor is damaged. Take `next` of an answer as it is.")]) from None


def _output(erasure: Erasure) -> ErasureOutput:
    return ErasureOutput(
        id=str(erasure.id),
        state=msgspec.convert(str(erasure.state), StateName),
        reason=erasure.reason,
        asked_by=erasure.asked_by,
        created_at=erasure.created_at,
        keys_destroyed=0 if erasure.state == ErasureState.BEGUN else len(erasure.key_ids),
        subject=erasure.subject or None,
        key_ids=erasure.key_ids,
        pseudonyms=erasure.pseudonyms,
        exports_removed=[str(id) for id in erasure.exports],
        repeats=str(erasure.repeats_id) if erasure.repeats_id else None,
        held_because=erasure.held_because or None,
        finished_at=erasure.finished_at,
    )
