"""Entries on their way to the archive and back, while others search and export: each is seen, and once."""

from __future__ import annotations

import datetime
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.http import QueryDict

from accounts.deeds import Actor
from accounts.models import Tenant
from archival.restoring import NewRestore, ask_restore, carry_on
from logs.export import export_question_of, open_stream
from logs.search import find_page, question_of
from logs.storage.ids import floor_id
from tests.archiving import archive, archive_at
from tests.sequencing import sequence_all
from tests.storing import new_tenant, principal_in, store

START = datetime.datetime(2025, 9, 1, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
COUNT, STEPS = 120, 12
WORDS = "limit=1000&to=2025-12-31T00:00:00Z"


def by_search(tenant: Tenant) -> list[str]:
    return [entry.id for entry in find_page(question_of(QueryDict(WORDS), principal_in(tenant))).entries]


def by_export(tenant: Tenant) -> list[str]:
    stream = open_stream(export_question_of(QueryDict(f"format=ndjson&{WORDS}"), principal_in(tenant)))
    try:
        return [json.loads(line)["id"] for line in b"".join(stream).splitlines()]
    finally:
        stream.close()


@pytest.fixture
def tenant(tmp_path: Path) -> Iterator[Tenant]:
    tenant = new_tenant()
    store(tenant, [{"timestamp": (START + number * HOUR).isoformat()} for number in range(COUNT)])
    sequence_all()
    with archive_at(tmp_path / "archive"):
        yield tenant


@pytest.mark.parametrize("seen", [by_search, by_export])
def test_every_answer_has_every_entry_once(tenant: Tenant, seen: Callable[[Tenant], list[str]]) -> None:
    right = seen(tenant)
    assert len(right) == COUNT
    failures: list[BaseException] = []

    def move() -> None:
        try:
            for step in range(STEPS):
                low, high = (floor_id(START + bound * COUNT // STEPS * HOUR) for bound in (step, step + 1))
                archive(tenant, low=low, high=high, group_rows=4)
            wanted = NewRestore(START, START + COUNT * HOUR, 1, "to be looked at again")
            carry_on(ask_restore(Actor(tenant.id, "alice", "user:alice"), wanted, datetime.datetime.now(datetime.UTC)).pk)
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=move)
    thread.start()
    looked = 0
    while thread.is_alive():
        assert seen(tenant) == right
        looked += 1
    thread.join()
    assert failures == []
    assert looked > 3
    assert seen(tenant) == right
