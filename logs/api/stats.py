"""Statistics and facets over HTTP."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from accounts.deeds import Deed, note
from accounts.models import EndpointClass
from accounts.permissions import MayRead, principal_of
from logs import stats
from logs.api import stats_documentation as documentation
from logs.api.views import LeanView


class _Total(msgspec.Struct):
    total: int


class _Counted(msgspec.Struct):
    """Of statistics, how many entries they are of: all that is read of an answer that may come from the cache."""

    totals: _Total


class _Faceted(msgspec.Struct):
    facets: dict[str, dict[str, Any]]


_decode_counted = msgspec.json.Decoder(_Counted).decode
_decode_facets = msgspec.json.Decoder(_Faceted).decode
# By principal, and of this moment.
_HEADERS = {"Cache-Control": "no-store"}


class StatsView(LeanView):
    rate_class = EndpointClass.SEARCH
    permission_classes = [MayRead]
    deeds = {"GET": Deed("STATS", "audit_log")}

    @extend_schema(**documentation.stats)
    def get(self, request: Request) -> HttpResponse:
        question = stats.stats_question_of(request._request.GET, principal_of(request), _now())
        body = stats.answer_stats(question)
        note(request, results=_decode_counted(body).totals.total)
        return _answer(body)


class FacetsView(LeanView):
    rate_class = EndpointClass.SEARCH
    permission_classes = [MayRead]
    deeds = {"GET": Deed("STATS", "audit_log")}

    @extend_schema(**documentation.facets)
    def get(self, request: Request) -> HttpResponse:
        question = stats.facets_question_of(request._request.GET, principal_of(request), _now())
        body = stats.answer_facets(question)
        note(request, results=sum(len(facet["values"]) for facet in _decode_facets(body).facets.values()))
        return _answer(body)


def _answer(body: bytes) -> HttpResponse:
    return HttpResponse(body, content_type="application/json", headers=_HEADERS | {"Content-Length": str(len(body))})


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
