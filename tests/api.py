"""The API as a caller sees it, without a network: requests go through the whole of Django."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
from django.db import connections
from django.test import Client

from accounts.models import Tenant
from logs.storage.kinds import OWN_SOURCE
from tests.storing import ENTRY, new_key

if TYPE_CHECKING:
    # The stubs' name for a response with `json()` on it.
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

LOGS = "/api/v1/logs"
BULK = "/api/v1/logs/bulk"
# What takes the filters of search.
QUESTIONS = (LOGS, f"{LOGS}/export")
NOT_OWN = f"-source:{OWN_SOURCE}"


class Api:
    """Calls as one principal; `credential` None is nobody."""

    def __init__(self, credential: str | None, **headers: str) -> None:
        self._headers = headers | ({"Authorization": f"Bearer {credential}"} if credential else {})
        self._client = Client(raise_request_exception=False)

    def get(self, path: str, **query: Any) -> Answer:
        return self._client.get(path, query, headers=self._headers)

    def send(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", **headers: str) -> Answer:
        """`body`: bytes as they are, anything else as JSON. Header names are written with underscores."""
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return self._client.generic(
            method, path, data, content_type=content_type, headers=self._headers | {name.replace("_", "-"): value for name, value in headers.items()}
        )

    def post(self, path: str, body: Any = None, *, content_type: str = "application/json", **headers: str) -> Answer:
        return self.send("POST", path, body, content_type=content_type, **headers)


class PostedApi(Api):
    """The same, and asks for what was posted: without the entries that the log makes of its own use, these questions among them."""

    def get(self, path: str, **query: Any) -> Answer:
        address, _, words = path.partition("?")
        # What leads on from an answer holds the question already.
        if address in QUESTIONS and not words:
            query["q"] = f"({query['q']}) {NOT_OWN}" if query.get("q") else query.get("q", NOT_OWN)
        elif address in QUESTIONS and "q=" not in words:
            path = f"{path}&{urlencode({'q': NOT_OWN})}"
        return super().get(path, **query)


def service_of(tenant: Tenant) -> PostedApi:
    """A service of the tenant, with a key that may write and read, that asks for what was posted."""
    return PostedApi(new_key(tenant))


def entry(**fields: Any) -> dict[str, Any]:
    return {**ENTRY, **fields}


def stored_count(tenant: Tenant) -> int:
    """Entries of the tenant in the table itself, without those that the log makes of its own use."""
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM auditlog.logs_entry WHERE tenant_id = %s AND source <> %s", [tenant.id, OWN_SOURCE])
        return int(cursor.fetchone()[0])


def assert_refused(answer: Answer, status: int, code: str, *, fault: str | None = None, pointer: str | None = None) -> Mapping[str, Any]:
    """The answer is this problem document, and names this fault. Answers the document."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = json.loads(answer.content)
    assert (problem["code"], problem["status"], problem["type"]) == (code, status, f"urn:auditlog:problem:{code}")
    if fault is not None:
        assert fault in [found["code"] for found in problem["errors"]]
    if pointer is not None:
        assert pointer in [found["pointer"] for found in problem["errors"]]
    return problem
