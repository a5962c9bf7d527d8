"""Restores over HTTP, for who may manage retention."""

from __future__ import annotations

import datetime
import functools
from typing import Annotated, Literal
from urllib.parse import urlencode

import msgspec
from django.db import transaction
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request

from accounts.deeds import Actor, Deed, note
from accounts.limits import writing
from accounts.models import EndpointClass
from accounts.permissions import MayManageRetention, principal_of
from accounts.problems import NotFound
from archival import tasks
from archival.api import restores_documentation as documentation
from archival.models.restore import MAX_DAYS, Restore
from archival.restoring import ARCHIVE, END_RESTORE, MAX_REASON_LENGTH, MIN_REASON_LENGTH, RESTORING, NewRestore, ask_restore, end_restore, visible_restores
from logs.api.answers import json_response
from logs.api.bodies import decoded
from logs.api.views import LeanView
from logs.search.grammar import MAX_CHARACTERS
from logs.search.pages import limit_of
from logs.search.parameters import MAX_NUMBER, check_parameters, number_in
from logs.search.windows import moment_of_id

StateName = Literal["queued", "running", "done", "failed", "ended"]


class RestoreInput(msgspec.Struct, forbid_unknown_fields=True):
    """Archived entries to be brought back into the database."""

    from_: Annotated[datetime.datetime, Meta(tz=True, description="Timestamps at or after.")] = msgspec.field(name="from")
    to: Annotated[datetime.datetime, Meta(tz=True, description="Timestamps before.")]
    days: Annotated[int, Meta(ge=1, le=MAX_DAYS, description="So long they stay, counted from when all are back. Then they leave by themselves.")]
    reason: Annotated[str, Meta(min_length=MIN_REASON_LENGTH, max_length=MAX_REASON_LENGTH)]
    query: Annotated[str, Meta(max_length=MAX_CHARACTERS, description="In the query language, to narrow it down. Relative times count from now.")] = ""


class RestoreOutput(msgspec.Struct, omit_defaults=True):
    """A restore."""

    id: int
    state: Annotated[StateName, Meta(description="`failed` and `ended`: what was copied leaves again.")]
    from_: datetime.datetime = msgspec.field(name="from")
    to: datetime.datetime
    days: int
    reason: str
    asked_by: Annotated[str, Meta(description="key:<prefix> or user:<name>.")]
    asked_at: datetime.datetime
    kept_until: Annotated[datetime.datetime, Meta(description="Until then they stay in the database. Nothing frees them afterwards yet.")]
    attempts: Annotated[int, Meta(description="How often it was begun.")]
    entries_restored: Annotated[int, Meta(description="Those that were in the database already are not counted.")]
    query: str | None = None
    restored_to: Annotated[datetime.datetime | None, Meta(description="How far it has come: the timestamp of the last entry that is back.")] = None
    started_at: datetime.datetime | None = None
    finished_at: datetime.datetime | None = None
    error: Annotated[str | None, Meta(description="What its last attempt failed of.")] = None


class RestorePage(msgspec.Struct):
    """One page of restores, newest first. `next` is the path of the page after it, or null."""

    results: list[RestoreOutput]
    next: str | None


class RestoresView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [MayManageRetention]
    deeds = {"GET": Deed("READ", ARCHIVE), "POST": RESTORING}

    @extend_schema(**documentation.list_restores_with(RestorePage))
    def get(self, request: Request) -> HttpResponse:
        query = request._request.GET
        check_parameters(query, ["limit", "before"])
        limit, before = limit_of(query), number_in(query, "before")
        page = list(visible_restores(principal_of(request)).filter(id__lt=MAX_NUMBER if before is None else before)[: limit + 1])
        following = f"{request._request.path}?{urlencode({'limit': limit, 'before': page[limit - 1].pk})}" if len(page) > limit else None
        note(request, results=len(page[:limit]))
        return json_response(RestorePage([_output(restore) for restore in page[:limit]], following))

    @extend_schema(**documentation.ask_restore_with(RestoreInput, RestoreOutput))
    def post(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        given, principal = decoded(request, RestoreInput), principal_of(request)
        wanted = NewRestore(given.from_, given.to, given.days, given.reason, given.query)
        restore = ask_restore(Actor.of(principal), wanted, datetime.datetime.now(datetime.UTC))
        note(request, resource_id=f"restore-{restore.pk}", phase="asked", asked=given.query, days=given.days, reason=given.reason)
        transaction.on_commit(functools.partial(tasks.send_restore, restore.pk))
        return json_response(_output(restore), status=202, headers={"Location": f"{request._request.path}/{restore.pk}"})


class RestoreView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [MayManageRetention]
    deeds = {"GET": Deed("READ", ARCHIVE), "DELETE": END_RESTORE}

    @extend_schema(**documentation.get_restore_with(RestoreOutput))
    def get(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        restore = visible_restores(principal_of(request)).filter(pk=_possible(id)).first()
        if restore is None:
            raise NotFound(f"There is no restore {id}, or none that you may see.")
        note(request, resource_id=f"restore-{restore.pk}")
        return json_response(_output(restore))

    @extend_schema(**documentation.end_restore_with(RestoreOutput))
    def delete(self, request: Request, id: int) -> HttpResponse:
        check_parameters(request._request.GET, [])
        restore = end_restore(principal_of(request).tenant_id, _possible(id))
        note(request, resource_id=f"restore-{restore.pk}")
        return json_response(_output(restore))


def _possible(id: int) -> int:
    """The id, if a row can have it. Raises NotFound."""
    if id > MAX_NUMBER:
        raise NotFound("There is no restore with an id so large.")
    return id


def _output(restore: Restore) -> RestoreOutput:
    return RestoreOutput(
        id=restore.pk,
        state=msgspec.convert(str(restore.state), StateName),
        from_=restore.from_at,
        to=restore.until_at,
        days=restore.days,
        reason=restore.reason,
        asked_by=restore.asked_by,
        asked_at=restore.asked_at,
        kept_until=restore.kept_until,
        attempts=restore.attempts,
        entries_restored=restore.entries_restored,
        query=restore.query or None,
        restored_to=None if restore.reached is None else moment_of_id(restore.reached),
        started_at=restore.started_at,
        finished_at=restore.finished_at,
        error=restore.error or None,
    )
