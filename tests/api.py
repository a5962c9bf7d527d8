"""The API as a caller sees it, without a network: requests go through the whole of Django."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from django.db import connections
from django.test import Client

from accounts.models import Tenant
from tests.storing import ENTRY, new_key

if TYPE_CHECKING:
    # The stubs' name for a response with `json()` on it.
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

LOGS = "/api/v1/logs"
BULK = "/api/v1/logs/bulk"


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


def service_of(tenant: Tenant) -> Api:
    """A service of the tenant, with a key that may write and read."""
    return Api(new_key(tenant))


def entry(**fields: Any) -> dict[str, Any]:
    return {**ENTRY, **fields}


def stored_count(tenant: Tenant) -> int:
    """Entries of the tenant in the table itself."""
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM auditlog.logs_entry WHERE tenant_id = %s", [tenant.id])
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
