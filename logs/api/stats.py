"""Statistics and facets over HTTP."""

from __future__ import annotations

import datetime

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from accounts.models import EndpointClass
from accounts.permissions import MayRead, principal_of
from logs import stats
from logs.api import stats_documentation as documentation
from logs.api.views import LeanView

# By principal, and of this moment.
_HEADERS = {"Cache-Control": "no-store"}


class StatsView(LeanView):
    rate_class = EndpointClass.SEARCH
    permission_classes = [MayRead]

    @extend_schema(**documentation.stats)
    def get(self, request: Request) -> HttpResponse:
        question = stats.stats_question_of(request._request.GET, principal_of(request), _now())
        return _answer(stats.answer_stats(question))


class FacetsView(LeanView):
    rate_class = EndpointClass.SEARCH
    permission_classes = [MayRead]

    @extend_schema(**documentation.facets)
    def get(self, request: Request) -> HttpResponse:
        question = stats.facets_question_of(request._request.GET, principal_of(request), _now())
        return _answer(stats.answer_facets(question))


def _answer(body: bytes) -> HttpResponse:
    return HttpResponse(body, content_type="application/json", headers=_HEADERS | {"Content-Length": str(len(body))})


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
