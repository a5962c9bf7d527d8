"""What the application's role may do in the database itself, whatever our code asks of it."""

from __future__ import annotations

import uuid

import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections, transaction
from django.db.utils import ProgrammingError

from accounts.models import Tenant
from logs.models import Entry
from logs.storage.reading import tenant_transaction
from tests.storing import new_tenant, store


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    tenant = new_tenant()
    store(tenant, [{}, {}])
    return tenant


def partition() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM auditlog.logs_partitions LIMIT 1")
        return str(cursor.fetchone()[0])


def test_application_and_maintenance_are_two_roles() -> None:
    assert settings.DATABASES["default"]["USER"] != settings.DATABASES["maintenance"]["USER"]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM auditlog.logs_entry",
        "SELECT count(*) FROM auditlog.logs_entry",
        "COPY auditlog.logs_entry TO STDOUT",
        "UPDATE auditlog.logs_entry SET user_id = 'x'",
        "DELETE FROM auditlog.logs_entry",
        "TRUNCATE auditlog.logs_entry",
        "DROP TABLE auditlog.logs_entry",
        "ALTER TABLE auditlog.logs_entry DISABLE TRIGGER ALL",
        "CREATE INDEX ON auditlog.logs_entry (user_id)",
        "CREATE TABLE auditlog.mine (id int)",
        "SELECT * FROM auditlog.{partition}",
        "INSERT INTO auditlog.{partition} (id) SELECT id FROM auditlog.logs_entry_view",
        "UPDATE auditlog.{partition} SET user_id = 'x'",
        "DELETE FROM auditlog.{partition}",
        "ALTER TABLE auditlog.logs_entry DETACH PARTITION auditlog.{partition}",
        "DROP TABLE auditlog.{partition}",
        "UPDATE auditlog.logs_entry_view SET user_id = 'x'",
        "DELETE FROM auditlog.logs_entry_view",
        "INSERT INTO auditlog.logs_entry_view (id) SELECT id FROM auditlog.logs_entry_view",
        "CREATE OR REPLACE VIEW auditlog.logs_entry_view AS SELECT 1",
        "SELECT * FROM auditlog.logs_batch",
        "UPDATE auditlog.logs_batch SET first_position = 0",
        "DELETE FROM auditlog.logs_batch",
        "TRUNCATE auditlog.logs_batch",
        "SELECT setval('auditlog.logs_batch_id_seq', 1)",
        "SELECT * FROM auditlog.logs_data_key",
        "UPDATE auditlog.logs_data_key SET wrapped_key = NULL",
        "UPDATE auditlog.logs_data_key_view SET wrapped_key = NULL",
        "DELETE FROM auditlog.logs_data_key",
        "TRUNCATE auditlog.logs_data_key",
        "INSERT INTO auditlog.logs_data_key (tenant_id, erased_at) VALUES (gen_random_uuid(), now())",
        "CREATE OR REPLACE FUNCTION auditlog.erase_data_key(key_id bigint) RETURNS boolean LANGUAGE sql RETURN true",
        "SET ROLE auditlog_maintenance",
        "SET session_replication_role = replica",
    ],
)
def test_application_may_not(tenant: Tenant, statement: str) -> None:
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("SELECT count(*), sum(hashtext(e::text)) FROM auditlog.logs_entry e WHERE tenant_id = %s", [tenant.id])
        before = cursor.fetchone()
    with psycopg.connect(settings.DATABASE_URL) as database:
        database.execute("SELECT set_config('auditlog.tenant', %s, false)", [str(tenant.id)])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.execute(statement.replace("{partition}", partition()).encode())
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("SELECT count(*), sum(hashtext(e::text)) FROM auditlog.logs_entry e WHERE tenant_id = %s", [tenant.id])
        assert cursor.fetchone() == before


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM auditlog.logs_data_key",
        "UPDATE auditlog.logs_data_key SET wrapped_key = NULL",
        "DELETE FROM auditlog.logs_data_key",
        "TRUNCATE auditlog.logs_data_key",
        "UPDATE auditlog.logs_data_key_view SET master_key_id = 'x'",
        "DELETE FROM auditlog.logs_data_key_view",
        "INSERT INTO auditlog.logs_data_key (tenant_id, pseudonym, master_key_id, erased_at) VALUES (gen_random_uuid(), 'p', 'x', now())",
    ],
)
def test_application_adds_data_keys_and_changes_none(statement: str) -> None:
    tenant = new_tenant()
    store(tenant, [{"before": {"a": 1}}])
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("SELECT count(*), sum(hashtext(k::text)) FROM auditlog.logs_data_key AS k")
        before = cursor.fetchone()
    with psycopg.connect(settings.DATABASE_URL) as database:
        database.execute("SELECT set_config('auditlog.tenant', %s, false)", [str(tenant.id)])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.execute(statement.encode())
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("SELECT count(*), sum(hashtext(k::text)) FROM auditlog.logs_data_key AS k")
        assert cursor.fetchone() == before


def test_view_of_data_keys_shows_the_named_tenant_only(tenant: Tenant) -> None:
    mallory = new_tenant()
    store(mallory, [{"before": {"a": 1}}])
    with tenant_transaction(tenant.id) as database:
        database.execute("SELECT count(*) FROM auditlog.logs_data_key_view WHERE tenant_id <> %s", [tenant.id])
        assert database.fetchone() == (0,)
    with connection.cursor() as database:
        database.execute("SELECT count(*) FROM auditlog.logs_data_key_view")
        assert database.fetchone() == (0,)


def test_view_shows_the_named_tenant_only(tenant: Tenant) -> None:
    mallory = new_tenant()
    store(mallory, [{}])
    with tenant_transaction(tenant.id):
        assert {entry.tenant_id for entry in Entry.objects.all()} == {tenant.id}
        assert Entry.objects.count() == 2
        assert Entry.objects.filter(tenant_id=mallory.id).count() == 0
    with tenant_transaction(mallory.id):
        assert Entry.objects.count() == 1
    with tenant_transaction(uuid.uuid4()):
        assert Entry.objects.count() == 0


def test_view_shows_nothing_without_a_tenant(tenant: Tenant) -> None:
    assert Entry.objects.count() == 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('auditlog.tenant', '', true)")
        assert Entry.objects.count() == 0


def test_tenant_is_forgotten_with_the_transaction(tenant: Tenant) -> None:
    with tenant_transaction(tenant.id):
        assert Entry.objects.count() == 2
    assert Entry.objects.count() == 0
    with pytest.raises(ZeroDivisionError), tenant_transaction(tenant.id):
        raise ZeroDivisionError
    assert Entry.objects.count() == 0


def test_entries_can_not_be_written_by_the_orm(tenant: Tenant) -> None:
    with tenant_transaction(tenant.id):
        entry = Entry.objects.all()[0]
        with pytest.raises(TypeError):
            entry.save()
        with pytest.raises(TypeError):
            entry.delete()
    with pytest.raises(ProgrammingError), tenant_transaction(tenant.id):
        Entry.objects.all().delete()
    with tenant_transaction(tenant.id):
        assert Entry.objects.count() == 2
        assert str(Entry.objects.all()[0]) == "UPDATE invoice by alice"


def test_partitions_are_made_within_bounds_only() -> None:
    for moment in ("1969-12-31T00:00:00Z", "9000-01-01T00:00:00Z"):
        with pytest.raises(psycopg.errors.DatetimeFieldOverflow), psycopg.connect(settings.DATABASE_URL) as database:
            database.execute("SELECT auditlog.ensure_partition(%s, 90)", [moment])


def test_application_destroys_data_keys_of_the_tenant_that_it_names_and_of_no_other(tenant: Tenant) -> None:
    other = new_tenant()
    store(other, [{"after": {"a": 1}}])
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("SELECT id FROM auditlog.logs_data_key WHERE tenant_id = %s", [other.id])
        [(key_id,)] = cursor.fetchall()
    for named in (str(tenant.id), ""):
        with psycopg.connect(settings.DATABASE_URL) as database:
            database.execute("SELECT set_config('auditlog.tenant', %s, false)", [named])
            assert database.execute("SELECT auditlog.erase_data_key(%s)", [key_id]).fetchone() == (False,)
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("SELECT wrapped_key IS NOT NULL, erased_at FROM auditlog.logs_data_key WHERE id = %s", [key_id])
        assert cursor.fetchone() == (True, None)
    with psycopg.connect(settings.DATABASE_URL) as database:
        database.execute("SELECT set_config('auditlog.tenant', %s, false)", [str(other.id)])
        erased = [database.execute("SELECT auditlog.erase_data_key(%s)", [key_id]).fetchone() for _ in range(2)]
    assert erased == [(True,), (False,)]
