"""The writer's bounds: what it queues, what it refuses, what it forgets, and what it leaves on its connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from pytest_django import Settings

from accounts.models import Tenant
from logs.errors import CommitFailed, WriterOverloaded
from logs.ingest import Submission
from logs.ingest.plan import Status
from logs.ingest.writer import Writer
from logs.storage.connecting import connect
from logs.storage.reading import tenant_transaction
from tests.storing import WAIT_SECONDS, checked, new_tenant
from tests.web import wait_until


class SlowDatabase:
    """A database that takes no connection before `opens` is set, and is an ordinary one from then on."""

    def __init__(self) -> None:
        self.opens = threading.Event()
        self.connections: list[psycopg.Connection[Any]] = []

    def connect(self) -> psycopg.Connection[Any]:
        assert self.opens.wait(WAIT_SECONDS)
        self.connections.append(connect("default"))
        return self.connections[-1]


@pytest.fixture
def database() -> SlowDatabase:
    return SlowDatabase()


@pytest.fixture
def writer(database: SlowDatabase) -> Iterator[Writer]:
    writer = Writer(database.connect)
    yield writer
    database.opens.set()
    writer.close(WAIT_SECONDS)
    assert not writer.is_alive


def submission(tenant: Tenant, entries: int, note: str = "n") -> Submission:
    return Submission(checked(tenant, [{"metadata": {"number": number, "note": note}} for number in range(entries)]))


def busy(writer: Writer, tenant: Tenant) -> Submission:
    """A submission that the writer has begun, and waits for its database with: what comes now is queued."""
    first = submission(tenant, 1)
    writer.submit(first)
    wait_until(lambda: first.is_begun, "the writer takes the first submission")
    return first


def stored(tenant: Tenant) -> set[str]:
    with tenant_transaction(tenant.id) as cursor:
        cursor.execute("SELECT id::text FROM auditlog.logs_entry_view")
        return {id for (id,) in cursor.fetchall()}


def assert_all_stored(tenant: Tenant, *submissions: Submission) -> None:
    for one in submissions:
        assert one.wait(WAIT_SECONDS)
        assert one.error is None
        assert one.statuses == [Status.STORED] * len(one.entries)
    assert stored(tenant) == {entry.id for one in submissions for entry in one.entries}


def assert_overloaded(writer: Writer, one: Submission) -> None:
    with pytest.raises(WriterOverloaded) as refusal:
        writer.submit(one)
    assert (refusal.value.status, refusal.value.code) == (503, "overloaded")
    assert refusal.value.as_json()["outcome"] == "not_stored"
    assert int(refusal.value.headers["Retry-After"]) >= 1
    assert not one.done


def test_entries_over_the_bound_are_refused_and_those_below_it_are_stored(database: SlowDatabase, writer: Writer, settings: Settings) -> None:
    settings.AUDITLOG_WRITER_QUEUE_ENTRIES = 100
    tenant = new_tenant()
    first = busy(writer, tenant)
    queued = [submission(tenant, 40), submission(tenant, 60)]
    for one in queued:
        writer.submit(one)
    assert_overloaded(writer, submission(tenant, 1))
    database.opens.set()
    assert_all_stored(tenant, first, *queued)
    later = submission(tenant, 100)
    writer.submit(later)
    assert_all_stored(tenant, first, *queued, later)


def test_bytes_over_the_bound_are_refused(database: SlowDatabase, writer: Writer, settings: Settings) -> None:
    tenant = new_tenant()
    first, large = busy(writer, tenant), submission(tenant, 1, note="n" * 50_000)
    settings.AUDITLOG_WRITER_QUEUE_BYTES = large.size_bytes + 1000
    writer.submit(large)
    assert_overloaded(writer, submission(tenant, 1, note="n" * 2000))
    database.opens.set()
    assert_all_stored(tenant, first, large)


def test_a_cancelled_submission_is_never_stored(database: SlowDatabase, writer: Writer) -> None:
    tenant = new_tenant()
    first = busy(writer, tenant)
    cancelled, kept = submission(tenant, 3), submission(tenant, 2)
    writer.submit(cancelled)
    writer.submit(kept)
    assert writer.cancel(cancelled).as_json()["outcome"] == "not_stored"
    # The writer has the first in its hands, and nobody can say what will become of it.
    assert writer.cancel(first).as_json()["outcome"] == "unknown"
    database.opens.set()
    assert_all_stored(tenant, first, kept)


def test_a_writer_goes_on_after_everything_in_its_queue_was_cancelled(database: SlowDatabase, writer: Writer) -> None:
    tenant = new_tenant()
    first = busy(writer, tenant)
    for _ in range(3):
        cancelled = submission(tenant, 1)
        writer.submit(cancelled)
        writer.cancel(cancelled)
    database.opens.set()
    assert_all_stored(tenant, first)
    later = submission(tenant, 1)
    writer.submit(later)
    assert_all_stored(tenant, first, later)


def test_what_is_queued_is_answered_when_there_is_no_database(settings: Settings) -> None:
    begins = threading.Event()

    def refuse() -> psycopg.Connection[Any]:
        assert begins.wait(WAIT_SECONDS)
        raise psycopg.OperationalError("nobody listens")

    writer = Writer(refuse)
    tenant = new_tenant()
    first, second = busy(writer, tenant), submission(tenant, 2)
    writer.submit(second)
    begins.set()
    for one in (first, second):
        assert one.wait(WAIT_SECONDS)
        assert one.error is not None
        assert one.error.as_json()["outcome"] == "not_stored"
    assert not writer.is_alive
    with pytest.raises(CommitFailed):
        writer.submit(submission(tenant, 1))
    assert stored(tenant) == set()
    writer.close(WAIT_SECONDS)


def test_no_prepared_statement_outlives_its_transaction(database: SlowDatabase, writer: Writer) -> None:
    """PgBouncer's transaction mode gives each transaction another connection of the server's."""
    database.opens.set()
    tenant = new_tenant()
    for number in range(12):
        entries: list[dict[str, Any]] = [{"timestamp": "2026-01-01T00:00:00Z", "idempotency_key": f"key {number // 2}"}, {"metadata": {"number": number}}]
        one = Submission(checked(tenant, entries))
        writer.submit(one)
        assert one.wait(WAIT_SECONDS)
        assert one.error is None
    [used] = database.connections
    assert used.execute("SELECT name FROM pg_prepared_statements").fetchall() == []
    assert used.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
