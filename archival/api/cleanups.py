"""Clean-ups over HTTP, for Admins who manage retention: a dry run first, then a job."""

from __future__ import annotations

import datetime
import functools
import uuid
from typing import Annotated, Literal
from urllib.parse import urlencode

import msgspec
from django.db import transaction
from django.http import HttpResponse, QueryDict
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request

from accounts.deeds import Deed, note
from accounts.limits import writing
from accounts.models import EndpointClass
from accounts.permissions import IsAdmin, MayManageRetention, principal_of
from accounts.problems import Fault
from archival.api import cleanups_documentation as documentation
from archival.api.pending_acts import PendingActOutput, pending_answer
from archival.cleanups.asking import count, question_of
from archival.cleanups.confirming import GOOD_FOR, confirmation_of, confirmed
from archival.cleanups.jobs import ask_cleanup, find_cleanup, visible_cleanups
from archival.cleanups.purger import purger
from archival.cleanups.running import CLEAN_UP
from archival.cleanups.tasks import send_cleanup
from archival.dual_control.acts import Asker
from archival.holds import RETENTION
from archival.models import Cleanup, PendingAct
from logs.api.answers import json_response
from logs.api.views import LeanView
from logs.errors import InvalidQuery
from logs.search.pages import limit_of
from logs.search.parameters import check_parameters, flag_in

StateName = Literal["queued", "running", "done", "failed"]


class CleanupDryRun(msgspec.Struct):
    """What a clean-up would purge. Nothing was purged."""

    before: Annotated[datetime.datetime, Meta(description="Entries before this moment would go, and no other.")]
    would_purge: Annotated[int, Meta(description="Entries in the database that would go.")]
    held: Annotated[int, Meta(description="Entries that are asked for and that legal holds keep.")]
    locked: Annotated[int, Meta(description="Entries that are asked for and that are younger than a locked policy keeps them.")]
    counted: Annotated[Literal["database"], Meta(description="The archive is not counted. What is asked for goes there as well.")]
    confirmation: Annotated[str, Meta(description="Send it with `dry_run=false` and the same parameters.")]
    confirmation_expires_at: datetime.datetime


class CleanupOutput(msgspec.Struct, omit_defaults=True):
    """A clean-up."""

    id: str
    state: Annotated[StateName, Meta(description="`queued` and `running` go on by themselves.")]
    before: datetime.datetime
    asked_by: Annotated[str, Meta(description="user:<name>.")]
    created_at: datetime.datetime
    entries_expected: Annotated[int, Meta(description="What the dry run counted.")]
    entries_purged: int
    partitions_done: int
    partitions_total: Annotated[int, Meta(description="0 until it runs. The archive counts as one.")]
    query: Annotated[str | None, Meta(description="The filters, as a query string.")] = None
    policy: int | None = None
    finished_at: datetime.datetime | None = None
    error: Annotated[str | None, Meta(description="Why it failed, or what its last attempt failed of.")] = None


class CleanupPage(msgspec.Struct):
    """One page of clean-ups, newest first. `next` is the path of the page after it, or null."""

    results: list[CleanupOutput]
    next: str | None


class CleanupView(LeanView):
    rate_class = writing(EndpointClass.OTHER)
    permission_classes = [IsAdmin, MayManageRetention]
    deeds = {"DELETE": CLEAN_UP}

    @extend_schema(**documentation.clean_up_with(CleanupDryRun, CleanupOutput, PendingActOutput))
    def delete(self, request: Request) -> HttpResponse:
        query, principal, now = request._request.GET, principal_of(request), datetime.datetime.now(datetime.UTC)
        question = question_of(query, principal, now)
        # Without a word it is a dry run.
        if "dry_run" not in query or flag_in(query, "dry_run"):
            found = count(question, principal)
            note(request, dry_run=True, would_purge=found.entries)
            token = confirmation_of(question, query, principal, found.entries)
            return json_response(CleanupDryRun(question.before, found.entries, found.held, found.locked, "database", token, now + GOOD_FOR))
        question, entries = confirmed(_confirmation(query), query, principal)
        # Before anything is promised.
        purger()
        made = ask_cleanup(Asker.of(principal, request._request), principal, question, entries, now)
        if isinstance(made, PendingAct):
            return pending_answer(request, made)
        note(request, resource_id=f"cleanup-{made.pk}", phase="asked", before=question.before.isoformat(), expected=entries)
        transaction.on_commit(functools.partial(send_cleanup, made.pk), robust=True)
        return json_response(_output(made), status=202, headers={"Location": reverse("cleanup-job", args=[str(made.pk)])})


class CleanupsView(LeanView):
    rate_class = EndpointClass.OTHER
    permission_classes = [MayManageRetention]
    deeds = {"GET": Deed("READ", RETENTION)}

    @extend_schema(**documentation.list_cleanups_with(CleanupPage))
    def get(self, request: Request) -> HttpResponse:
        query = request._request.GET
        check_parameters(query, ["limit", "cursor"])
        limit, found = limit_of(query), visible_cleanups(principal_of(request))
        if (cursor := query.get("cursor")) is not None:
            found = found.filter(id__lt=_cursor(cursor))
        page = list(found[: limit + 1])
        note(request, results=min(len(page), limit))
        following = f"{request._request.path}?{urlencode({'limit': limit, 'cursor': page[limit - 1].pk})}" if len(page) > limit else None
        return json_response(CleanupPage([_output(cleanup) for cleanup in page[:limit]], following))


class CleanupJobView(LeanView):
    rate_class = EndpointClass.OTHER
    permission_classes = [MayManageRetention]
    deeds = {"GET": Deed("READ", RETENTION)}

    @extend_schema(**documentation.get_cleanup_with(CleanupOutput))
    def get(self, request: Request, id: str) -> HttpResponse:
        check_parameters(request._request.GET, [])
        cleanup = find_cleanup(principal_of(request), id)
        note(request, resource_id=f"cleanup-{cleanup.pk}")
        return json_response(_output(cleanup))


def _confirmation(query: QueryDict) -> str:
    token = query.get("confirmation")
    if token is None:
        raise InvalidQuery([Fault("confirmation", "missing_parameter", "Do the dry run first, and send its `confirmation`.")])
    return token


def _cursor(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise InvalidQuery([Fault("cursor", "bad_cursor", "The cursor is damaged. Take `next` of an answer as it is.")]) from None


def _output(cleanup: Cleanup) -> CleanupOutput:
    return CleanupOutput(
        id=str(cleanup.pk),
        state=msgspec.convert(str(cleanup.state), StateName),
        before=cleanup.before,
        asked_by=cleanup.asked_by,
        created_at=cleanup.created_at,
        entries_expected=cleanup.entries_expected,
        entries_purged=cleanup.entries_purged,
        partitions_done=cleanup.partitions_done,
        partitions_total=cleanup.partitions_total,
        query=cleanup.query or None,
        policy=cleanup.policy,
        finished_at=cleanup.finished_at,
        error=cleanup.error or None,
    )
