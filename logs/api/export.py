"""Exports over HTTP: sent at once, or made by jobs."""

from __future__ import annotations

import datetime
import functools
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import msgspec
from django.db import close_old_connections, transaction
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.http import content_disposition_header
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from accounts import standing
from accounts.deeds import Actor, Deed, act_for, note
from accounts.fields import TruthField
from accounts.models import EndpointClass
from accounts.permissions import MayExport, principal_of
from accounts.principals import Principal
from accounts.problems import Fault, Invalid, NotFound, escape_pointer
from logs import tasks
from logs.api import export_documentation as documentation
from logs.api.answers import json_response
from logs.api.export_records import RecordedPieces
from logs.api.views import LeanView
from logs.errors import InvalidQuery
from logs.evidence import CountedLines, evidence_question_of, write_evidence
from logs.export import FORMATS, ExportQuestion, export_question_of, files, jobs, open_stream
from logs.export.asking import COMPRESSIONS, EVIDENCE, FORMAT_NAMES, ORDERS, SUBJECT_REPORT, asked_again, compression_of, one_of
from logs.export.compression import CONTENT_TYPES, SUFFIXES, coding_for
from logs.export.manifest import Manifest
from logs.export.output import ExportJobOutput, output_of
from logs.export.ranges import range_in
from logs.export.running import EXPORT, file_name
from logs.export.subject_report import CONTENT_TYPE as REPORT_TYPE
from logs.models import ExportJob
from logs.search.pages import limit_of
from logs.search.parameters import MAX_NUMBER, check_parameters
from logs.search.tree import All

MAX_QUERY_LENGTH = 64 * 1024
LINK = "export-link"


class ExportView(LeanView):
    rate_class = EndpointClass.EXPORT
    permission_classes = [MayExport]
    deeds = {"GET": EXPORT}

    @extend_schema(**documentation.export)
    def get(self, request: Request) -> HttpResponseBase:
        query, principal = request._request.GET, principal_of(request)
        if one_of("format", query.get("format"), (*FORMAT_NAMES, EVIDENCE)) == EVIDENCE:
            evidence = evidence_question_of(query, principal)
            lines = CountedLines(write_evidence(evidence, lambda: standing.may_go_on(principal)))
            note(request, phase="begun", format=EVIDENCE)
            sent = RecordedPieces(request._request, principal, EVIDENCE, _giving_back(lines), lambda: lines.entries)
            return _attachment(sent, "application/x-ndjson", f"evidence-{_stamp(principal)}.ndjson")
        question = export_question_of(query, principal)
        coding = _coding(request._request, question)
        stream = open_stream(question, coding=coding)
        note(request, phase="begun", format=question.format, tree_size=stream.tree_size)
        pieces = RecordedPieces(request._request, principal, question.format, stream, lambda: stream.entries)
        name = f"entries-{_stamp(principal)}.{question.format}{SUFFIXES[question.compression]}"
        response = _attachment(pieces, _content_type(question.format, question.compression), name)
        response.headers["Auditlog-Tree-Size"] = str(stream.tree_size)
        response.headers["Vary"] = "Accept-Encoding"
        if coding != "none":
            response.headers["Content-Encoding"] = coding
        return response


class ExportRequestSerializer(serializers.Serializer[Any]):
    """What a job is asked to export."""

    # Not as an attribute: `format` and its like are names of the Serializer's own.
    def get_fields(self) -> dict[str, Any]:
        return {
            "format": serializers.ChoiceField(choices=FORMAT_NAMES),
            "compression": serializers.ChoiceField(choices=COMPRESSIONS, default="none"),
            "order": serializers.ChoiceField(choices=ORDERS, default="desc"),
            "limit": serializers.IntegerField(min_value=1, max_value=MAX_NUMBER, allow_null=True, default=None, help_text="At most so many entries."),
            "pseudonymise": TruthField(default=False, help_text="Leave out, or replace, what says who the entries are about."),
            "query": serializers.CharField(
                allow_blank=True, default="", trim_whitespace=False, max_length=MAX_QUERY_LENGTH, help_text="The filters of search, as a query string."
            ),
        }

    def validate(self, attrs: Any) -> Any:
        unknown = sorted(set(self.initial_data) - set(self.fields))
        if unknown:
            raise Invalid([Fault(f"/{escape_pointer(name)}", "unknown_field", f"There is no field {name!r}.") for name in unknown])
        return attrs


class ExportPage(msgspec.Struct):
    """One page of export jobs, newest first. `next` is the path of the page after it, or null."""

    results: list[ExportJobOutput]
    next: str | None


class ExportsView(LeanView):
    rate_class = EndpointClass.EXPORT
    permission_classes = [MayExport]
    deeds = {"GET": Deed("READ", EXPORT.resource_type), "POST": EXPORT}

    @extend_schema(**documentation.list_exports_with(ExportPage))
    def get(self, request: Request) -> HttpResponse:
        query, principal = request._request.GET, principal_of(request)
        check_parameters(query, ["limit", "cursor"])
        limit = limit_of(query)
        found = jobs.visible_jobs(principal).select_related("tenant")
        if (cursor := query.get("cursor")) is not None:
            found = found.filter(id__lt=_cursor(cursor))
        page = list(found[: limit + 1])
        note(request, results=min(len(page), limit))
        now = datetime.datetime.now(datetime.UTC)
        following = f"{request._request.path}?{urlencode({'limit': limit, 'cursor': page[limit - 1].id})}" if len(page) > limit else None
        return json_response(ExportPage([output_of(job, principal, now) for job in page[:limit]], following))

    @extend_schema(**documentation.create_export_with(ExportRequestSerializer))
    def post(self, request: Request) -> HttpResponse:
        check_parameters(request._request.GET, [])
        if not isinstance(request.data, dict):
            raise Invalid([Fault("", "wrong_type", "The body has to be a JSON object.")])
        serializer = ExportRequestSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        principal = principal_of(request)
        job = jobs.create(_job_question(serializer.validated_data, principal))
        note(request, resource_id=job.id, phase="asked", **{name: serializer.validated_data[name] for name in ("format", "limit")}, asked=job.query)
        transaction.on_commit(functools.partial(tasks.send_export, job.id))
        output = output_of(job, principal, datetime.datetime.now(datetime.UTC))
        return json_response(output, status=202, headers={"Location": reverse("export-job", args=[str(job.id)])})


class ExportJobView(LeanView):
    rate_class = EndpointClass.EXPORT
    permission_classes = [MayExport]
    deeds = {"GET": Deed("READ", EXPORT.resource_type), "DELETE": Deed("DELETE", EXPORT.resource_type)}

    @extend_schema(**documentation.get_export)
    def get(self, request: Request, id: str) -> HttpResponse:
        check_parameters(request._request.GET, [])
        return json_response(output_of(_job(request, id), principal_of(request), datetime.datetime.now(datetime.UTC)))

    @extend_schema(**documentation.delete_export)
    def delete(self, request: Request, id: str) -> HttpResponse:
        check_parameters(request._request.GET, [])
        job = _job(request, id)
        jobs.remove(job)
        transaction.on_commit(functools.partial(files.clean_up, job))
        return HttpResponse(status=204)


class ExportFileView(LeanView):
    """The file of a job, for whoever has the link. The link is the credential: no other is looked at."""

    rate_class = EndpointClass.EXPORT
    permission_classes = [AllowAny]
    deeds = {"GET": EXPORT}
    _authenticators = ()

    @extend_schema(**documentation.get_export_file)
    def get(self, request: Request, id: str) -> HttpResponseBase:
        query = request._request.GET
        check_parameters(query, ["expires", "signature"])
        now = datetime.datetime.now(datetime.UTC)
        job = files.job_of_link(id, query.get("expires", ""), query.get("signature", ""), now.timestamp())
        # Whoever has the link. Nobody knows more of them.
        act_for(request, Actor(job.tenant_id, LINK, LINK))
        manifest = msgspec.convert(job.manifest, Manifest)
        size, etag = manifest.bytes or 0, f'"{manifest.sha256}"'
        headers = request._request.headers
        # A range of another file than the one that the client has a part of would be worse than the whole.
        is_same = headers.get("If-Range", etag) == etag
        asked = range_in(headers.get("Range"), size) if is_same else None
        start, stop = asked or (0, size)
        note(request, resource_id=job.id, phase="fetched", asked_by=job.asked_by, results=job.entries_written, bytes=stop - start)
        content_type = _content_type(job.format, job.compression)
        response = _attachment(files.pieces_of(job, start, stop), content_type, file_name(job, job.tenant.slug))
        for name, value in (("ETag", etag), ("Accept-Ranges", "bytes"), ("Content-Length", str(stop - start))):
            response.headers[name] = value
        if asked:
            response.status_code = 206
            response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        return response


def _content_type(format: str, compression: str) -> str:
    """The type of a file, as it is after any Content-Encoding is undone."""
    if format == SUBJECT_REPORT:
        return REPORT_TYPE
    return CONTENT_TYPES.get(compression) or FORMATS[format].content_type


def _stamp(principal: Principal) -> str:
    return f"{principal.tenant_slug}-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}"


def _coding(request: HttpRequest, question: ExportQuestion) -> str:
    """How to pack the answer on its way. What is packed already is left as it is."""
    if question.compression != "none" or question.format == "parquet":
        return "none"
    return coding_for(request.headers.get("Accept-Encoding", ""))


def _attachment(pieces: Iterator[bytes], content_type: str, name: str) -> StreamingHttpResponse:
    headers = {"Content-Disposition": content_disposition_header(True, name) or "attachment", "Cache-Control": "no-store"}
    return StreamingHttpResponse(pieces, content_type=content_type, headers=headers)


def _giving_back(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The lines, each by whatever thread sends it: none of them keeps the database connection that it took for that."""
    for line in lines:
        close_old_connections()
        yield line


def _job(request: Request, id: str) -> ExportJob:
    try:
        job = jobs.visible_jobs(principal_of(request)).select_related("tenant").filter(pk=uuid.UUID(id)).first()
    except ValueError:
        job = None
    note(request, resource_id=id)
    if job is None:
        raise NotFound(f"There is no export job {id}, or none that you may see.")
    return job


def _job_question(asked: dict[str, Any], principal: Principal) -> ExportQuestion:
    """The question in a job's body. Raises Invalid; what is wrong with the filters is told at `/query`."""
    try:
        compression = compression_of(asked["compression"], asked["format"])
    except InvalidQuery as problem:
        raise Invalid([replace(fault, pointer="/compression") for fault in problem.faults]) from problem
    words, tree = filters_in_body(asked["query"], principal)
    return ExportQuestion(principal, tree, words, asked["format"], compression, asked["order"], asked["limit"], is_pseudonymised=asked["pseudonymise"])


def filters_in_body(text: str, principal: Principal) -> tuple[str, All]:
    """Filters in a body's `query`: as they are kept, and their tree. Raises InvalidQuery; what is wrong is told at `/query`."""
    words = QueryDict(text).urlencode()
    try:
        return words, asked_again(words, principal)
    except InvalidQuery as problem:
        raise InvalidQuery([replace(fault, pointer="/query", detail=f"{fault.pointer}: {fault.detail}") for fault in problem.faults]) from problem


def _cursor(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise InvalidQuery([Fault("cursor", "bad_cursor", "The cursor is damaged. Take `next` of an answer as it is.")]) from None
