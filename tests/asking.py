"""Statistics asked of their room itself: over the API each question would add an entry to what is counted."""

from __future__ import annotations

import datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from django.http import HttpResponse, QueryDict

from accounts.models import Tenant
from accounts.principals import Principal
from accounts.problems import Problem
from logs import stats
from tests.storing import principal_in


class DirectAnswer:
    """What the API would answer."""

    def __init__(self, response: HttpResponse) -> None:
        self.status_code = response.status_code
        self.content = response.content
        self._headers = response.headers

    def __getitem__(self, name: str) -> str:
        return self._headers[name]

    def json(self) -> Any:
        return msgspec.json.decode(self.content)


class Asking:
    """Asks as one principal, by the addresses of the API."""

    def __init__(self, principal: Principal) -> None:
        self._principal = principal

    def get(self, path: str, **query: Any) -> Any:
        address, _, words = path.partition("?")
        asked, now = QueryDict(words or urlencode(query, doseq=True)), datetime.datetime.now(datetime.UTC)
        try:
            if address.endswith("/stats"):
                body = stats.answer_stats(stats.stats_question_of(asked, self._principal, now))
            else:
                body = stats.answer_facets(stats.facets_question_of(asked, self._principal, now))
        except Problem as problem:
            return DirectAnswer(problem.response())
        return DirectAnswer(HttpResponse(body))


def asking_of(tenant: Tenant, *, own_user_id: str | None = None) -> Asking:
    """Asks with every right in the tenant; with `own_user_id` as role User does."""
    return Asking(principal_in(tenant, own_user_id=own_user_id))
