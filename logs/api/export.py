"""Exports over HTTP: sent at once."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from django.db import close_old_connections
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from accounts.permissions import MayRead, principal_of
from accounts.principals import Principal
from logs.api import export_documentation as documentation
from logs.api.views import LeanView
from logs.evidence import evidence_question_of, write_evidence
from logs.export import FORMATS, ExportQuestion, export_question_of, open_stream
from logs.export.asking import EVIDENCE, FORMAT_NAMES, one_of
from logs.export.compression import CONTENT_TYPES, SUFFIXES, coding_for


class ExportView(LeanView):
    permission_classes = [MayRead]

    @extend_schema(**documentation.export)
    def get(self, request: Request) -> HttpResponseBase:
        query, principal = request._request.GET, principal_of(request)
        if one_of("format", query.get("format"), (*FORMAT_NAMES, EVIDENCE)) == EVIDENCE:
            lines = write_evidence(evidence_question_of(query, principal))
            return _attachment(_giving_back(lines), "application/x-ndjson", f"evidence-{_stamp(principal)}.ndjson")
        question = export_question_of(query, principal)
        coding = _coding(request._request, question)
        stream = open_stream(question, coding=coding)
        response = _attachment(stream, content_type_of(question), file_name(question))
        response.headers["Auditlog-Tree-Size"] = str(stream.tree_size)
        response.headers["Vary"] = "Accept-Encoding"
        if coding != "none":
            response.headers["Content-Encoding"] = coding
        return response


def content_type_of(question: ExportQuestion) -> str:
    """The type of the file, as it is after any Content-Encoding is undone."""
    return CONTENT_TYPES.get(question.compression) or FORMATS[question.format].content_type


def file_name(question: ExportQuestion) -> str:
    return f"entries-{_stamp(question.principal)}.{question.format}{SUFFIXES[question.compression]}"


def _stamp(principal: Principal) -> str:
    return f"{principal.tenant_slug}-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}"


def _coding(request: HttpRequest, question: ExportQuestion) -> str:
    """How to pack the answer on its way. What is packed already is left as it is."""
    if question.compression != "none" or question.format == "parquet":
        return "none"
    return coding_for(request.headers.get("Accept-Encoding", ""))


def _attachment(pieces: Iterator[bytes], content_type: str, name: str) -> StreamingHttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(pieces, content_type=content_type, headers=headers)


def _giving_back(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The lines, each by whatever thread sends it: none of them keeps the database connection that it took for that."""
    for line in lines:
        close_old_connections()
        yield line
