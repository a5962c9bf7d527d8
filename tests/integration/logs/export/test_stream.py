"""An export goes at the pace of its client, from one moment's log, and gives back what it took."""

from __future__ import annotations

import datetime
import gzip
import http.client
import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil
import psycopg
import pytest
from django.db import connections, transaction
from django.http import QueryDict
from psycopg import sql

from accounts.models import Tenant
from logs.export import export_question_of, open_stream, snapshot
from logs.export.snapshot import Snapshot
from logs.export.stream import ExportCut, ExportStream, stream_count
from logs.search.sql import Condition
from tests.api import assert_refused, service_of
from tests.exporting import EXPORT, body_of, lines_of
from tests.storing import new_key, new_tenant, principal_in, store
from tests.superuser import superuser
from tests.web import Web, product_environment, wait_until

ENTRIES = 12_000
STALL_SECONDS = 3
MIB = 2**20
WHOLE_BYTES = 40 * MIB


@pytest.fixture(scope="module")
def tenant(django_db_setup: None) -> Tenant:
    """A tenant whose export is much larger than what sockets hold."""
    tenant = new_tenant()
    for _ in range(ENTRIES // 2000):
        store(tenant, [{"metadata": {"noise": secrets.token_hex(1800)}} for _ in range(2000)])
    return tenant


@pytest.fixture(scope="module")
def web(django_db_setup: None) -> Iterator[Web]:
    web = Web(product_environment(AUDITLOG_EXPORT_STALL_SECONDS=str(STALL_SECONDS)))
    try:
        yield web.start()
    finally:
        web.stop()


@pytest.fixture(scope="module")
def key(tenant: Tenant) -> str:
    return new_key(tenant)


def sessions() -> list[tuple[Any, ...]]:
    """What exports of this database's are doing: state, and when it last changed."""
    question = (
        "SELECT pid, state_change FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND pid IN (SELECT pid FROM pg_locks WHERE relation = 'auditlog.logs_entry_view'::regclass)"
    )
    with superuser() as connection:
        return connection.execute(question).fetchall()


def begin(web: Web, key: str, query: str = "format=ndjson") -> socket.socket:
    """A connection that has asked for an export and read its beginning."""
    connection = socket.socket()
    # Before it is connected, or it may grow all the same.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    connection.connect(("127.0.0.1", web.port))
    connection.sendall(f"GET {EXPORT}?{query} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
    assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    return connection


def memory_bytes(web: Web) -> int:
    assert web._process is not None
    process = psutil.Process(web._process.pid)
    return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])


def question(tenant: Tenant, words: str = "format=ndjson") -> ExportStream:
    return open_stream(export_question_of(QueryDict(words), principal_in(tenant)))


def test_whole_export_arrives_in_bounded_memory(web: Web, key: str) -> None:
    before = memory_bytes(web)
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
    connection.request("GET", f"{EXPORT}?format=ndjson&manifest=true", headers={"Authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    received, lines, most, tail = 0, 0, 0, b""
    while chunk := answer.read(MIB):
        received, lines, tail = received + len(chunk), lines + chunk.count(b"\n"), (tail + chunk)[-2000:]
        most = max(most, memory_bytes(web))
    manifest = json.loads(tail.splitlines()[-1])["manifest"]
    assert (lines, manifest["entries"]) == (ENTRIES + 1, ENTRIES)
    assert received > WHOLE_BYTES
    assert most - before < 64 * MIB


def test_client_that_stops_reading_stops_the_server_and_is_cut_off(web: Web, key: str) -> None:
    before = memory_bytes(web)
    with begin(web, key) as connection:
        wait_until(lambda: bool(sessions()), "the export has a session")
        time.sleep(1)
        [(pid, changed)] = sessions()
        time.sleep(1)
        # Not read any further: the session has done nothing since.
        assert sessions() == [(pid, changed)]
        assert memory_bytes(web) - before < 64 * MIB
        wait_until(lambda: not sessions(), "the server ends the export", STALL_SECONDS * 5)
        rest = b""
        while chunk := connection.recv(MIB):
            rest += chunk
    # What was cut off does not look like an end.
    assert len(rest) < WHOLE_BYTES // 2
    assert not rest.endswith(b"0\r\n\r\n")


def test_client_that_goes_away_ends_the_export(web: Web, key: str) -> None:
    for query in ("format=ndjson", "format=csv&compression=gzip"):
        with begin(web, key, query):
            wait_until(lambda: bool(sessions()), "the export has a session")
        wait_until(lambda: not sessions(), "the session is closed", 5)


def test_head_answers_without_a_body_and_keeps_nothing(web: Web, key: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
    connection.request("HEAD", f"{EXPORT}?format=json", headers={"Authorization": f"Bearer {key}", "Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Content-Encoding"], answer.read()) == (200, "gzip", b"")
    wait_until(lambda: not sessions(), "the session is closed", 5)


def test_coding_on_the_way_is_undone_by_the_client(web: Web, key: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
    connection.request("GET", f"{EXPORT}?format=ndjson&limit=50", headers={"Authorization": f"Bearer {key}", "Accept-Encoding": "gzip"})
    assert len(lines_of(gzip.decompress(connection.getresponse().read()))) == 50


def test_entries_that_come_meanwhile_are_not_in_it() -> None:
    tenant = new_tenant()
    first = store(tenant, [{}] * 50)
    stream = question(tenant, "format=ndjson&order=asc")
    store(tenant, [{}] * 50)
    content = b"".join(stream)
    stream.close()
    assert sorted(entry["id"] for entry in lines_of(content)) == sorted(first)


def test_more_exports_than_the_process_carries_on_are_refused(settings: Any) -> None:
    settings.AUDITLOG_EXPORT_STREAMS = 1
    tenant = new_tenant()
    store(tenant, [{}])
    stream = question(tenant)
    assert stream_count() == 1
    refused = service_of(tenant).get(EXPORT, format="ndjson")
    assert_refused(refused, 503, "exports_busy")
    assert int(refused["Retry-After"]) > 0
    stream.close()
    stream.close()
    assert stream_count() == 0
    assert len(lines_of(body_of(service_of(tenant).get(EXPORT, format="ndjson")))) == 1
    assert stream_count() == 0


def test_refused_question_holds_nothing(settings: Any) -> None:
    tenant = new_tenant()
    settings.AUDITLOG_DATABASE_TIMEOUT_SECONDS = 0.5
    with transaction.atomic("maintenance"), connections["maintenance"].cursor() as cursor:
        # Nothing can be read: what a question that finds nothing for too long looks like.
        cursor.execute("LOCK TABLE auditlog.logs_entry IN ACCESS EXCLUSIVE MODE")
        assert_refused(service_of(tenant).get(EXPORT, format="csv"), 422, "invalid_query", fault="too_slow_to_stream")
    assert stream_count() == 0


def test_database_that_is_away_is_told(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = new_tenant()
    monkeypatch.setitem(connections["default"].settings_dict, "PORT", "1")
    api = service_of(new_tenant())
    answer = api.get(EXPORT, format="ndjson")
    assert_refused(answer, 503, "unavailable")
    assert stream_count() == 0
    monkeypatch.undo()
    assert body_of(service_of(tenant).get(EXPORT, format="ndjson")) == b""


def test_export_that_takes_too_long_is_cut(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "PAGE_ROWS", 10)
    settings.AUDITLOG_EXPORT_STREAM_SECONDS = 0.2
    tenant = new_tenant()
    store(tenant, [{}] * 100)
    stream = question(tenant)
    next(stream)
    time.sleep(0.3)
    with pytest.raises(ExportCut, match=r"longer than 0\.2 s"):
        b"".join(stream)
    stream.close()
    with pytest.raises(ExportCut, match="closed"):
        next(stream)


def test_session_that_postgresql_ended_cuts_the_export(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """The server's own limit on idleness, for when ours is gone."""
    monkeypatch.setattr(snapshot, "PAGE_ROWS", 10)
    settings.AUDITLOG_EXPORT_STALL_SECONDS = 0.1
    tenant = new_tenant()
    store(tenant, [{}] * 100)
    stream = question(tenant)
    time.sleep(1)
    with pytest.raises(ExportCut, match="the database ended the export"):
        b"".join(stream)
    stream.close()


def test_closing_ends_a_read_that_is_under_way() -> None:
    found = Snapshot(new_tenant().id, statement_seconds=60, idle_seconds=60)
    failed: list[BaseException] = []

    def read() -> None:
        try:
            list(found.pages(Condition(sql.SQL("SELECT pg_sleep(50)::text")), lambda row: 1))
        except psycopg.Error as error:
            failed.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.5)
    begun = datetime.datetime.now(datetime.UTC)
    found.stop()
    thread.join(30)
    found.close()
    assert isinstance(failed[0], psycopg.errors.QueryCanceled)
    assert datetime.datetime.now(datetime.UTC) - begun < datetime.timedelta(seconds=10)


@pytest.mark.parametrize("row_bytes", [100, 100_000, 3_000_000])
def test_pages_are_bounded_in_bytes_and_rows(row_bytes: int) -> None:
    """Of rows that grow from small to large, as no average could foresee."""
    found = Snapshot(new_tenant().id, statement_seconds=60, idle_seconds=60)
    statement = sql.SQL("SELECT repeat('x', CASE WHEN n < 2500 THEN 10 ELSE {} END) FROM generate_series(1, 2700) AS n").format(sql.Literal(row_bytes))
    rows = most_rows = most_bytes = 0
    for page in found.pages(Condition(statement), lambda row: len(row[0])):
        rows, most_rows, most_bytes = rows + len(page), max(most_rows, len(page)), max(most_bytes, sum(len(row[0]) for row in page))
    found.close()
    assert rows == 2700
    assert most_rows <= snapshot.PAGE_ROWS
    assert most_bytes <= snapshot.PAGE_BYTES + row_bytes
