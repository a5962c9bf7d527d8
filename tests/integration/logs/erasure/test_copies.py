"""Copies of what was erased: files of exports, backups of the database, the memory of processes and of Redis."""

from __future__ import annotations

import io
import uuid
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings as product
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import Role, Tenant
from logs.erasure.reapplying import alive
from logs.export import jobs, running
from logs.models import ExportJob, ExportState
from tests.api import LOGS, Api
from tests.erasing import CLEAR, ERASED, after_of, erase, keys_alive, post
from tests.exporting import EXPORTS
from tests.sequencing import publish_all, sequence_all
from tests.storing import new_tenant, new_token
from tests.superuser import superuser


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN))


@pytest.fixture(autouse=True)
def storage(settings: Any, tmp_path: Path) -> Path:
    """A ledger and a storage of exports of this test's own."""
    settings.AUDITLOG_ERASURES_URL = tmp_path.joinpath("erasures").as_uri()
    settings.AUDITLOG_EXPORT_URL = tmp_path.joinpath("exports").as_uri()
    ExportJob.objects.all().delete()
    return tmp_path / "exports"


def export(api: Api, **body: Any) -> str:
    """The id of an export job that is done."""
    id = str(api.post(EXPORTS, {"format": "ndjson"} | body).json()["id"])
    running.run(uuid.UUID(id))
    assert api.get(f"{EXPORTS}/{id}").json()["state"] == "done"
    return id


def bytes_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_files_that_may_hold_the_subject_are_removed_and_others_stay(tenant: Tenant, admin: Api, storage: Path) -> None:
    post(admin)
    post(admin, user_id="dave", after={"iban": "planted-of-dave"})
    all_of_them, carols, daves = export(admin), export(admin, query="q=user:carol"), export(admin, query="user_id=dave")
    link = admin.get(f"{EXPORTS}/{carols}").json()["file"]["url"]
    assert CLEAR["iban"].encode() in bytes_in(storage)
    done = erase(admin)
    assert set(done["exports_removed"]) == {all_of_them, carols}
    assert CLEAR["iban"].encode() not in bytes_in(storage)
    assert b"planted-of-dave" in bytes_in(storage)
    for id in (all_of_them, carols):
        job = admin.get(f"{EXPORTS}/{id}").json()
        assert (job["state"], job["error"]["code"], "file" in job) == ("expired", "erased", False)
    assert admin.get(f"{EXPORTS}/{daves}").json()["state"] == "done"
    assert Api(None).get(link).status_code == 404
    # What is asked for again holds them as they are now.
    again = export(admin)
    assert CLEAR["iban"].encode() not in bytes_in(storage / str(tenant.id) / again)


def test_job_that_runs_while_its_subject_is_erased_begins_anew(admin: Api, storage: Path) -> None:
    post(admin)
    id = uuid.UUID(admin.post(EXPORTS, {"format": "ndjson"}).json()["id"])
    job = jobs.take(id)
    assert job is not None
    assert erase(admin)["exports_removed"] == [str(id)]
    assert not jobs.end(job, ExportState.DONE)
    ExportJob.objects.filter(pk=id).update(heartbeat_at=None)
    running.run(id)
    assert admin.get(f"{EXPORTS}/{id}").json()["state"] == "done"
    assert CLEAR["iban"].encode() not in bytes_in(storage)


class Backup:
    """The table of data keys of one tenant as a backup of the database has it."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        with superuser() as database:
            columns = "id, tenant_id, subject_digest, pseudonym, wrapped_key, wrapped_subject, master_key_id, created_at, erased_at"
            self._columns = columns
            self._rows = database.execute(f"SELECT {columns} FROM auditlog.logs_data_key WHERE tenant_id = %s".encode(), [tenant.id]).fetchall()

    def restore(self) -> None:
        with superuser() as database:
            database.execute("DELETE FROM auditlog.logs_data_key WHERE tenant_id = %s", [self._tenant.id])
            for row in self._rows:
                marks = ", ".join(["%s"] * len(row))
                database.execute(f"INSERT INTO auditlog.logs_data_key ({self._columns}) OVERRIDING SYSTEM VALUE VALUES ({marks})".encode(), row)


def command(name: str, tenant: Tenant) -> str:
    output = io.StringIO()
    call_command(name, tenant=tenant.slug, stdout=output, stderr=output)
    return output.getvalue()


def test_restored_backup_is_erased_again(tenant: Tenant, admin: Api) -> None:
    carols, daves = post(admin), post(admin, user_id="dave")
    sequence_all()
    backup = Backup(tenant)
    erase(admin)
    assert "warning" not in command("verify_log", tenant)
    backup.restore()
    assert after_of(admin, carols) == CLEAR, "the negative control: a backup does bring the key back"
    assert len(alive(tenant.id)) == 1
    assert "1 erased data keys are alive" in command("verify_log", tenant)
    assert "1 erased keys in the ledger, 1 of them were alive" in command("reapply_erasures", tenant)
    assert (after_of(admin, carols), after_of(admin, daves)) == (ERASED, CLEAR)
    assert "1 erased keys in the ledger, 0 of them were alive" in command("reapply_erasures", tenant)
    sequence_all()
    publish_all()
    assert "warning" not in command("verify_log", tenant)


def test_key_that_got_an_erased_ones_number_after_a_restore_lives(tenant: Tenant, admin: Api) -> None:
    """A restored sequence gives numbers again that were used after the backup."""
    post(admin)
    done = erase(admin)
    dave = post(admin, user_id="dave")
    with superuser() as database:
        database.execute("DELETE FROM auditlog.logs_data_key WHERE id = %s", [done["key_ids"][0]])
    # Dave's key, made anew under the number of carol's.
    with superuser() as database:
        database.execute("DELETE FROM auditlog.logs_data_key WHERE tenant_id = %s", [tenant.id])
        database.execute(
            "INSERT INTO auditlog.logs_data_key (id, tenant_id, subject_digest, pseudonym, wrapped_key, master_key_id) OVERRIDING SYSTEM VALUE "
            "VALUES (%s, %s, sha256('dave'), 'p_other', 'wrapped', 'm')",
            [done["key_ids"][0], tenant.id],
        )
    assert "1 erased keys in the ledger, 0 of them were alive" in command("reapply_erasures", tenant)
    assert keys_alive(tenant) == 1
    assert dave


def test_key_that_was_destroyed_past_the_ledger_is_told(tenant: Tenant, admin: Api) -> None:
    id = post(admin)
    sequence_all()
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('auditlog.tenant', %s, false)", [str(tenant.id)])
        cursor.execute("SELECT auditlog.erase_data_key(id) FROM auditlog.logs_data_key_view")
        cursor.execute("SELECT set_config('auditlog.tenant', '', false)")
    assert after_of(admin, id) == ERASED
    assert "1 data keys were destroyed that the ledger of erasures does not name" in command("verify_log", tenant)


def test_damaged_ledger_is_told_and_destroys_nothing(tenant: Tenant, admin: Api, tmp_path: Path) -> None:
    post(admin)
    folder = tmp_path / "erasures" / str(tenant.id)
    folder.mkdir(parents=True)
    (folder / "00000000000000000001-0.json").write_text("{")
    with pytest.raises(CommandError, match="no line of the ledger"):
        command("reapply_erasures", tenant)
    assert keys_alive(tenant) == 1


def test_no_clear_text_is_left_in_redis_or_in_the_tables(tenant: Tenant, admin: Api) -> None:
    post(admin, metadata={"channel": "web"})
    admin.get(LOGS)
    admin.get(f"{LOGS}/stats")
    erase(admin)
    client = redis.Redis.from_url(product.REDIS_URL)
    held = [client.get(key) if client.type(key) == b"string" else client.dump(key) for key in client.scan_iter("*")]
    assert not any(CLEAR["iban"].encode() in (value or b"") for value in held)
    with superuser() as database:
        row = database.execute("SELECT string_agg(e::text, '') FROM auditlog.logs_entry e WHERE tenant_id = %s", [tenant.id]).fetchone()
    assert row is not None
    assert CLEAR["iban"] not in row[0]
