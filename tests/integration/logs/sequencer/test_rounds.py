"""Rounds of the sequencer on a real database: what stops one tenant stops no other, and what is signed is what is there."""

from __future__ import annotations

import datetime
from typing import Any

import psycopg
import pytest
from django.db import connections

from accounts.models import Tenant
from auditlog_verify.notes import open_checkpoint
from logs.integrity.anchor import Anchor
from logs.sequencer.rounds import Rounds
from logs.storage import connecting
from tests.api import service_of
from tests.sequencing import head_of, new_rounds, now, publish_all, sequence_all, trusted_keys
from tests.storing import new_tenant, store
from tests.superuser import superuser


def sql(statement: str, *parameters: Any) -> list[Any]:
    with connections["maintenance"].cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def reason_of(tenant: Tenant) -> str | None:
    rows = sql("SELECT reason FROM auditlog.logs_stopped WHERE tenant_id = %s", tenant.id)
    return rows[0][0] if rows else None


def test_poisoned_batch_stops_its_tenant_alone_and_is_gone_on_with_when_mended() -> None:
    # A round takes the oldest batches, so many and no more: those that other tests left would come first.
    sequence_all()
    sick, well = new_tenant(), new_tenant()
    store(sick, [{}])
    store(well, [{}] * 3)
    [(kinds,)] = sql("SELECT kinds FROM auditlog.logs_batch WHERE tenant_id = %s", sick.id)
    with superuser() as connection:
        connection.execute("UPDATE auditlog.logs_batch SET kinds = 'poison' WHERE tenant_id = %s", [sick.id])
    rounds = new_rounds()
    grown = rounds.sequence()
    assert well.id in grown
    assert sick.id not in grown
    assert "DecodeError" in (reason_of(sick) or "")
    # Set aside: it is not even looked at for a while.
    assert rounds.sequence() == {}
    with superuser() as connection:
        connection.execute("UPDATE auditlog.logs_batch SET kinds = %s WHERE tenant_id = %s", [kinds, sick.id])
    sequence_all()
    assert head_of(sick).tree_size == 1
    assert reason_of(sick) is None


def test_rollups_count_what_was_sequenced() -> None:
    tenant = new_tenant()
    store(tenant, [{"timestamp": "2026-03-01T10:15:00Z", "action": "LOGIN"}] * 3 + [{"timestamp": "2026-03-01T11:00:00Z", "action": "LOGIN"}])
    assert sql("SELECT * FROM auditlog.logs_rollup WHERE tenant_id = %s", tenant.id) == []
    sequence_all()
    store(tenant, [{"timestamp": "2026-03-01T10:59:59Z", "action": "LOGIN"}])
    sequence_all()
    rows = sql("SELECT begins_at, entry_count FROM auditlog.logs_rollup WHERE tenant_id = %s AND level = 0 ORDER BY begins_at", tenant.id)
    hour = datetime.datetime(2026, 3, 1, 10, tzinfo=datetime.UTC)
    assert rows == [(hour, 4), (hour + datetime.timedelta(hours=1), 1)]


def test_checkpoints_are_kept_by_the_clock() -> None:
    tenant = new_tenant()
    start = now()
    for seconds in (0, 10, 70, 75):
        store(tenant, [{}])
        moment = start + datetime.timedelta(seconds=seconds)
        sequence_all(lambda moment=moment: moment)  # type: ignore[misc]
    kept = "SELECT tree_size FROM auditlog.logs_checkpoint WHERE tenant_id = %s ORDER BY id"
    assert sql(kept, tenant.id) == [(1,), (3,)]
    # The last one is kept when its time has come, though nothing new comes in; an hour later the silent log is signed anew.
    new_rounds(lambda: start + datetime.timedelta(seconds=140)).tend()
    assert sql(kept, tenant.id) == [(1,), (3,), (4,)]
    later = start + datetime.timedelta(hours=2)
    new_rounds(lambda: later).tend()
    assert sql(kept, tenant.id) == [(1,), (3,), (4,), (4,)]
    signed = open_checkpoint(head_of(tenant).checkpoint, trusted_keys(tenant)).signed
    assert {one.time_seconds for one in signed if one.time_seconds} == {int(later.timestamp())}
    publish_all()
    assert len(list(Anchor().all(head_of(tenant).origin))) == 4


def test_copies_that_cannot_be_read_stop_a_log_that_is_not_known_yet() -> None:
    tenant = new_tenant()
    store(tenant, [{}])

    def away() -> Anchor:
        raise OSError("the storage is away")

    with connecting.connect("sequencer") as connection:
        assert Rounds(connection, [], away, clock=now).sequence() == {}
    assert "can't be read" in (reason_of(tenant) or "")
    sequence_all()
    assert head_of(tenant).tree_size == 1


def test_tile_that_is_not_as_it_was_left_stops_the_log() -> None:
    tenant = new_tenant()
    store(tenant, [{}] * 300)
    sequence_all()
    with superuser() as connection:
        connection.execute("DELETE FROM auditlog.logs_tile WHERE tenant_id = %s", [tenant.id])
    store(tenant, [{}] * 300)
    assert tenant.id not in new_rounds().sequence()
    assert "has not the 1 hashes" in (reason_of(tenant) or "")


def test_round_on_a_lost_connection_raises_and_changes_nothing() -> None:
    tenant = new_tenant()
    store(tenant, [{}])
    with connecting.connect("sequencer") as connection:
        rounds = new_rounds()
        rounds._connection = connection
        (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (0,)
        with superuser() as root:
            root.execute("SELECT pg_terminate_backend(%s)", [pid])
        with pytest.raises(psycopg.OperationalError):
            rounds.sequence()
    assert reason_of(tenant) is None
    sequence_all()


def test_transaction_that_commits_late_is_skipped_by_nobody() -> None:
    tenant = new_tenant()
    store(tenant, [{}])
    with superuser() as connection, connection.transaction():
        # A batch whose id and time are older than everybody's, and whose commit is yet to come.
        copied = connection.execute(
            """INSERT INTO auditlog.logs_batch SELECT (jsonb_populate_record(b, '{"id": -1, "committed_at": "2020-01-01T00:00:00Z"}')).*
               FROM auditlog.logs_batch AS b WHERE tenant_id = %s""",
            [tenant.id],
        )
        assert copied.rowcount == 1
        sequence_all()
        store(tenant, [{}] * 2)
        sequence_all()
        assert head_of(tenant).tree_size == 3
    sequence_all()
    assert head_of(tenant).tree_size == 4
    assert sql("SELECT first_position FROM auditlog.logs_batch WHERE tenant_id = %s AND id = -1", tenant.id) == [(3,)]


# -- what each role of the database may do


@pytest.mark.parametrize("table", ["head", "tile", "checkpoint", "stopped", "rollup", "rollup_total", "rollup_user", "rollup_seen", "compaction"])
def test_application_can_neither_read_nor_write_the_tables_of_the_log(table: str) -> None:
    for statement in (f"SELECT * FROM auditlog.logs_{table}", f"DELETE FROM auditlog.logs_{table}", f"UPDATE auditlog.logs_{table} SET tenant_id = tenant_id"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connecting.connect("default") as connection:
            connection.execute(statement.encode())


@pytest.mark.parametrize("column", ["records", "tenant_id", "entry_count", "committed_at"])
def test_sequencer_cannot_change_what_was_committed(column: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), connecting.connect("sequencer") as connection:
        connection.execute(f"UPDATE auditlog.logs_batch SET {column} = {column}".encode())


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM auditlog.logs_entry",
        "DELETE FROM auditlog.logs_batch",
        "DELETE FROM auditlog.logs_checkpoint",
        "UPDATE auditlog.logs_checkpoint SET checkpoint = ''",
    ],
)
def test_sequencer_can_neither_read_entries_nor_remove_anything(statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), connecting.connect("sequencer") as connection:
        connection.execute(statement.encode())


def test_tenant_sees_nothing_of_anothers_log() -> None:
    mine, other = new_tenant(), new_tenant()
    store(other, [{}] * 300)
    sequence_all()
    api = service_of(mine)
    for path in ("integrity/checkpoint", "integrity/tile/0/000.p/1", "integrity/tile/1/000.p/1", "integrity/tile/entries/000.p/1", "integrity/checkpoints/300"):
        assert api.get(f"/api/v1/{path}").status_code == 404
    assert api.get("/api/v1/integrity/checkpoints").json()["results"] == []
