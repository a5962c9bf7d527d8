"""A database restored from an old backup: nothing is signed on top of it until somebody says that it is meant."""

from __future__ import annotations

import datetime
import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from auditlog_verify.bundle import check_bundle
from logs.integrity.keys import next_origin, origins_of
from logs.verification import Finding
from logs.verification.runs import findings_of, verify
from tests.api import service_of
from tests.sequencing import head_of, new_rounds, publish_all, sequence_all, trusted_keys
from tests.storing import new_tenant, store
from tests.superuser import superuser

TABLES = ("entry", "batch", "head", "tile", "checkpoint", "rollup")


class Database:
    """One tenant's log, with a backup of it that can be put back."""

    def __init__(self) -> None:
        self.tenant = new_tenant()
        self._now = datetime.datetime.now(datetime.UTC)
        store(self.tenant, [{}] * 300)
        self.sequence()
        self.backup: dict[str, list[Any]] = {}

    def sequence(self) -> None:
        """Sequence, keep the checkpoint and copy it."""
        self._now += datetime.timedelta(minutes=5)
        sequence_all(lambda: self._now)
        publish_all()

    def back_up(self) -> None:
        with superuser() as connection:
            for table in TABLES:
                connection.execute(f"DROP TABLE IF EXISTS backup_{table}".encode())
                connection.execute(f"CREATE TABLE backup_{table} AS SELECT * FROM auditlog.logs_{table} WHERE tenant_id = %s".encode(), [self.tenant.id])

    def restore(self) -> None:
        with superuser() as connection:
            for table in TABLES:
                connection.execute(f"DELETE FROM auditlog.logs_{table} WHERE tenant_id = %s".encode(), [self.tenant.id])
                overriding = "OVERRIDING SYSTEM VALUE" if table == "checkpoint" else ""
                connection.execute(f"INSERT INTO auditlog.logs_{table} {overriding} SELECT * FROM backup_{table}".encode())

    def findings(self) -> list[Finding]:
        return findings_of(verify(self.tenant, started_by="command"))


@pytest.fixture
def old_backup(django_db_setup: None) -> Database:
    """A log of 300 entries, restored to 300 after it had 305."""
    database = Database()
    database.back_up()
    store(database.tenant, [{}] * 5)
    database.sequence()
    database.restore()
    return database


def test_nothing_is_signed_on_top_of_an_old_backup(old_backup: Database) -> None:
    before = head_of(old_backup.tenant)
    store(old_backup.tenant, [{}])
    assert new_rounds().sequence() == {}
    assert head_of(old_backup.tenant) == before
    assert old_backup.findings()
    with superuser() as connection:
        row = connection.execute("SELECT reason FROM auditlog.logs_stopped WHERE tenant_id = %s", [old_backup.tenant.id]).fetchone()
    assert row is not None
    assert "this database has 300 entries of the log, and 305 were signed" in row[0]


def test_accepted_restore_goes_on_under_a_new_name(old_backup: Database, capsys: pytest.CaptureFixture[str]) -> None:
    tenant = old_backup.tenant
    old_name = head_of(tenant).origin
    call_command("accept_restore", tenant.slug, "--reason", "the disk of db-1 broke")
    assert "up to 305" in capsys.readouterr().out
    store(tenant, [{}] * 10)
    old_backup.sequence()
    head = head_of(tenant)
    assert (head.origin, head.tree_size) == (f"{old_name}.2", 311)
    assert old_backup.findings() == []
    entry = service_of(tenant).get("/api/v1/logs", action="LOG.RESTORE_ACCEPTED").json()["results"][0]
    assert (entry["message"], entry["metadata"]["old_tree_size"], entry["severity"]) == ("the disk of db-1 broke", 305, "CRITICAL")
    bundle = b"".join(service_of(tenant).get("/api/v1/logs/export", format="evidence"))
    assert check_bundle(io.BytesIO(bundle), trusted_keys(tenant)).is_valid


def test_tampering_after_an_accepted_restore_is_found(old_backup: Database) -> None:
    call_command("accept_restore", old_backup.tenant.slug, "--reason", "x")
    old_backup.sequence()
    with superuser() as connection:
        connection.execute("UPDATE auditlog.logs_batch SET records = overlay(records PLACING sha256('x') FROM 1) WHERE tenant_id = %s", [old_backup.tenant.id])
    assert old_backup.findings()


def test_second_restore_of_the_same_backup_gets_another_name(old_backup: Database) -> None:
    name = head_of(old_backup.tenant).origin
    call_command("accept_restore", old_backup.tenant.slug, "--reason", "x")
    old_backup.sequence()
    old_backup.restore()
    call_command("accept_restore", old_backup.tenant.slug, "--reason", "again")
    old_backup.sequence()
    assert head_of(old_backup.tenant).origin == f"{name}.3"
    assert old_backup.findings() == []


def test_log_that_is_not_old_is_left_alone() -> None:
    database = Database()
    with pytest.raises(CommandError, match="nothing to accept"):
        call_command("accept_restore", database.tenant.slug, "--reason", "x")


def test_forged_log_is_not_accepted(old_backup: Database) -> None:
    with superuser() as connection:
        connection.execute("UPDATE auditlog.logs_head SET checkpoint = replace(checkpoint, '300', '301') WHERE tenant_id = %s", [old_backup.tenant.id])
    with pytest.raises(CommandError, match="more is wrong"):
        call_command("accept_restore", old_backup.tenant.slug, "--reason", "x")


@pytest.mark.parametrize(("tenant", "reason", "told"), [("there-is-none", "x", "no tenant"), (None, " ", "reason is empty")])
def test_what_cannot_be_done_is_refused(tenant: str | None, reason: str, told: str) -> None:
    with pytest.raises(CommandError, match=told):
        call_command("accept_restore", tenant or new_tenant().slug, "--reason", reason)


@pytest.mark.parametrize(
    ("origin", "names"),
    [("a.b/t", ["a.b/t"]), ("a.b/t.3", ["a.b/t", "a.b/t.2", "a.b/t.3"]), ("127.0.0.1/t", ["127.0.0.1/t"])],
)
def test_names_that_a_log_has_had(origin: str, names: list[str]) -> None:
    assert origins_of(origin) == names
    assert origins_of(next_origin(origin)) == [*names, next_origin(origin)]
