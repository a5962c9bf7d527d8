"""The entries that a log makes of its own use, and a log that can't make any."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from django.conf import settings
from django.http import QueryDict
from psycopg import sql

from accounts.models import Tenant
from logs.search import find_page, question_of
from logs.storage.kinds import OWN_SOURCE
from tests.api import assert_refused
from tests.storing import principal_in
from tests.superuser import superuser


def own_entries(tenant: Tenant, **asked: str) -> list[dict[str, Any]]:
    """The log's entries about its own use, oldest first; read without leaving another."""
    query = QueryDict(mutable=True)
    query.update({"q": f"source:{OWN_SOURCE}", "limit": "1000", **asked})
    page = find_page(question_of(query, principal_in(tenant)))
    return [msgspec.json.decode(msgspec.json.encode(entry)) for entry in reversed(page.entries)]


def the_one(tenant: Tenant, **asked: str) -> dict[str, Any]:
    """The one entry that there is."""
    found = own_entries(tenant, **asked)
    assert len(found) == 1, found
    return found[0]


@contextmanager
def nothing_can_be_written() -> Iterator[None]:
    """The application may not insert entries meanwhile."""
    role = sql.Identifier(settings.DATABASES["default"]["USER"])
    with superuser() as connection:
        connection.execute(sql.SQL("REVOKE INSERT ON auditlog.logs_entry FROM {}").format(role))
        try:
            yield
        finally:
            connection.execute(sql.SQL("GRANT INSERT ON auditlog.logs_entry TO {}").format(role))


def assert_not_recorded(answer: Any) -> None:
    """The answer is that nothing was done, with the time after which to try again, and nothing else."""
    problem = assert_refused(answer, 503, "not_recorded")
    assert set(problem) == {"type", "title", "status", "code", "detail"}
    assert answer["Retry-After"] == "2"
    assert not {"ETag", "Link", "Location", "Content-Disposition"} & set(answer.headers)
