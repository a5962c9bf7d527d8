"""Subject reports over HTTP: everything that the log holds on one person, made by an export job."""

from __future__ import annotations

import datetime
import functools
from typing import Annotated, Any, Literal

import msgspec
from django.db import transaction
from django.http import HttpResponse
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request

from accounts.deeds import note
from accounts.models import EndpointClass
from accounts.permissions import MayReportOnSubjects, principal_of
from logs import tasks
from logs.api import subject_reports_documentation as documentation
from logs.api.answers import json_response
from logs.api.bodies import decoded
from logs.api.export import MAX_QUERY_LENGTH, filters_in_body
from logs.api.views import LeanView
from logs.export import ExportQuestion, jobs
from logs.export.asking import SUBJECT_REPORT
from logs.export.output import ExportJobOutput, output_of
from logs.export.running import REPORT
from logs.search.parameters import check_parameters
from logs.storage.reading import tenant_transaction
from logs.subjects import MAX_SUBJECT_LENGTH, name_in_log


class SubjectReportInput(msgspec.Struct, forbid_unknown_fields=True):
    """Whom a report is to be about."""

    subject: Annotated[
        str, Meta(min_length=1, max_length=MAX_SUBJECT_LENGTH, description="Their `user_id`; where the tenant names a `subject_key`, what stands under it.")
    ]
    query: Annotated[str, Meta(max_length=MAX_QUERY_LENGTH, description="Filters of search, as a query string, to narrow it down.")] = ""
    order: Annotated[Literal["desc", "asc"], Meta(description="`desc`: newest first.")] = "desc"


class SubjectReportsView(LeanView):
    rate_class = EndpointClass.EXPORT
    permission_classes = [MayReportOnSubjects]
    deeds = {"POST": REPORT}

    @extend_schema(**documentation.make_report_with(SubjectReportInput, ExportJobOutput))
    def post(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        given, principal = decoded(request, SubjectReportInput), principal_of(request)
        words, tree = filters_in_body(given.query, principal)
        job = jobs.create(ExportQuestion(principal, tree, words, SUBJECT_REPORT, order=given.order), subject=given.subject)
        with tenant_transaction(principal.tenant_id) as cursor:
            name = name_in_log(cursor, principal.tenant_id, given.subject)
        told: dict[str, Any] = {"subject": name} if name is not None else {}
        note(request, resource_id=job.id, phase="asked", format=SUBJECT_REPORT, asked=words, **told)
        transaction.on_commit(functools.partial(tasks.send_export, job.id))
        answer = output_of(job, principal, datetime.datetime.now(datetime.UTC))
        return json_response(answer, status=202, headers={"Location": reverse("export-job", args=[str(job.id)])})
