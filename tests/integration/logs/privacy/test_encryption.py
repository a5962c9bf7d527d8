"""Encrypted fields on their way in: whose key, what is stored, what is refused."""

from __future__ import annotations

import base64
import hmac
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_redis import get_redis_connection

from accounts.models import Role, Tenant, User
from auditlog_project.embedded import EmbeddedServers
from logs import catalogue
from logs.models import LogSettings
from logs.privacy.encryption.subject_keys import _load, digest_secret, forget, subject_digest
from logs.verification.runs import findings_of, verify
from tests.api import BULK, LOGS, Api, assert_refused, entry, service_of, stored_count
from tests.encrypting import AFTER, BEFORE, DIAGNOSIS, encrypting_tenant, key_count, key_id_of, posted, reader_of, settle, stored
from tests.sequencing import sequence_all
from tests.storing import new_token, store
from tests.superuser import superuser

SETTINGS = "/api/v1/log-settings"


@pytest.fixture
def tenant() -> Tenant:
    return encrypting_tenant()


@pytest.fixture
def service(tenant: Tenant) -> Api:
    return service_of(tenant)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"before": {"$encrypted": "v1.1.x"}}, "/before/$encrypted"),
        ({"after": {"a": [{"$encrypted": 1}]}}, "/after/a/0/$encrypted"),
        ({"metadata": {"diagnosis": {"$encrypted": "x"}}}, "/metadata/diagnosis/$encrypted"),
        ({"message": f"[encrypted:v1.1.{'A' * 40}]"}, "/message"),
        ({"user_agent": f"[encrypted:v1.1.{'A' * 40}]"}, "/user_agent"),
    ],
)
def test_what_looks_like_ciphertext_is_refused(tenant: Tenant, service: Api, fields: dict[str, Any], pointer: str) -> None:
    answer = service.post(LOGS, entry(**fields))
    assert_refused(answer, 422, "invalid_entry", fault="reserved_key", pointer=pointer)
    assert_refused(service.post(BULK, [entry(), entry(**fields)]), 422, "invalid_entry", fault="reserved_key", pointer=f"/1{pointer}")
    assert stored_count(tenant) == 0
    assert service.post(LOGS, entry(message="[encrypted:no] $encrypted", metadata={"a": "$encrypted"})).status_code == 201


def test_retry_with_a_key_is_a_replay_and_other_content_a_conflict(tenant: Tenant, service: Api) -> None:
    keyed = entry(idempotency_key="k-1", timestamp="2026-11-01T12:00:00Z", before=BEFORE, after=AFTER, metadata={"diagnosis": DIAGNOSIS})
    first = service.post(LOGS, keyed)
    forget()
    again = service.post(LOGS, keyed)
    assert (first.status_code, again.status_code) == (201, 200), again.content
    assert again.json()["id"] == first.json()["id"]
    assert_refused(service.post(LOGS, keyed | {"before": {"other": 1}}), 422, "idempotency_conflict")
    assert stored_count(tenant) == 1


def test_all_subjects_of_a_request_take_one_look_up(tenant: Tenant, service: Api) -> None:
    entries = [entry(user_id=f"user-{number}", before={"n": number}) for number in range(2_000)]
    with CaptureQueriesContext(connection) as first:
        assert service.post(BULK, entries).status_code == 201
    assert sum("logs_data_key" in query["sql"] for query in first) == 3
    forget()
    with CaptureQueriesContext(connection) as second:
        assert service.post(BULK, entries).status_code == 201
    assert sum("logs_data_key" in query["sql"] for query in second) == 1
    assert key_count(tenant) == 2_000


def test_key_that_was_erased_is_not_written_with_for_long(tenant: Tenant, service: Api, settings: Any) -> None:
    settings.AUDITLOG_CREDENTIAL_CACHE_SECONDS = 0.2
    first = key_id_of(posted(service))
    assert key_id_of(posted(service)) == first
    with superuser() as database:
        erased = "wrapped_key = NULL, wrapped_subject = NULL, subject_digest = NULL, erased_at = now()"
        database.execute(f"UPDATE auditlog.logs_data_key SET {erased} WHERE id = %s", [first])
    time.sleep(0.3)
    id = posted(service)
    assert key_id_of(id) != first
    assert service.get(f"{LOGS}/{id}").json()["before"] == BEFORE


def test_entries_without_encrypted_fields_make_no_key(tenant: Tenant, service: Api) -> None:
    service.post(LOGS, entry(metadata={"channel": "web"}))
    service.post(BULK, [entry(before=None), entry(after=None)])
    assert_refused(service.post(BULK, [entry(user_id="x" * 300, before={})]), 422, "invalid_entry")
    assert key_count(tenant) == 0


def test_subject_is_whom_the_metadata_name_where_the_tenant_says_so(tenant: Tenant, service: Api) -> None:
    settle(tenant, subject_key="customer")
    one = posted(service, metadata={"customer": "carol"})
    other = posted(service, metadata={"customer": "dave"})
    again = posted(service, metadata={"customer": "carol"})
    nobody = str(service.post(LOGS, entry(before=BEFORE)).json()["id"])
    keys = {id: key_id_of(id) for id in (one, other, again, nobody)}
    assert keys[one] == keys[again]
    assert len(set(keys.values())) == 3
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("SELECT subject_digest FROM auditlog.logs_data_key WHERE id = %s", [keys[one]])
        assert bytes(cursor.fetchone()[0]) == subject_digest(bytes(LogSettings.objects.get(pk=tenant.pk).id_secret), "carol")


def test_tenant_that_encrypts_nothing_stores_as_sent(tenant: Tenant, service: Api) -> None:
    settle(tenant, encrypted_fields=[], encrypted_metadata_keys=[])
    id = posted(service)
    assert stored(id, "before") == BEFORE
    assert reader_of(tenant).get(f"{LOGS}/{id}").json()["before"] == BEFORE
    assert key_count(tenant) == 0


def test_post_without_the_master_key_of_its_subject_is_not_stored(tenant: Tenant, service: Api, settings: Any) -> None:
    posted(service)
    forget()
    settings.AUDITLOG_MASTER_KEY = base64.b64encode(bytes(32)).decode()
    answer = service.post(LOGS, entry(before=BEFORE))
    assert_refused(answer, 503, "unavailable")
    assert b"planted" not in answer.content
    assert stored_count(tenant) == 1
    assert service.post(LOGS, entry(message="this needs no key")).status_code == 201


def test_key_made_in_a_transaction_that_is_rolled_back_stays(tenant: Tenant) -> None:
    with transaction.atomic():
        (id,) = store(tenant, [{"before": {"kept": 1}}])
        transaction.set_rollback(True)
    forget()
    assert service_of(tenant).get(f"{LOGS}/{id}").json()["before"] == {"kept": 1}


def test_processes_that_make_a_key_at_once_end_with_one(tenant: Tenant) -> None:
    secret = digest_secret(bytes(LogSettings.objects.get(pk=tenant.pk).id_secret))
    subjects = [f"user-{number}" for number in range(50)]

    def make(number: int) -> dict[str, int]:
        try:
            # Past the cache, as another process would.
            found = _load(tenant.id, {hmac.digest(secret, subject.encode(), "sha256"): subject for subject in subjects})
            return {subject: key.id for subject, key in found.items()}
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(make, range(8)))
    assert all(found == ids[0] for found in ids)
    assert key_count(tenant) == 50


def test_log_verifies_with_ciphertext_in_it(tenant: Tenant, service: Api) -> None:
    posted(service)
    sequence_all()
    run = verify(tenant, started_by="command")
    assert findings_of(run) == []
    assert run.verified_count == 1


def test_neither_database_files_nor_redis_hold_clear_text(tenant: Tenant, service: Api) -> None:
    secret, control = "planted-7d1f0e55aa", "seen-7d1f0e55aa"
    service.post(LOGS, entry(user_id=control, before={"s": secret}, after={"s": secret}, metadata={"diagnosis": secret}))
    service.post(BULK, [entry(user_id=control, before={"s": secret, "n": number}, after={"s": secret}) for number in range(50)])
    assert secret in service.get(LOGS).content.decode()
    state = Path(os.environ["AUDITLOG_STATE_DIR"])
    with superuser() as database:
        database.execute("CHECKPOINT")
    folder = EmbeddedServers(state).folders.data
    held = {word: subprocess.run(["/usr/bin/env", "grep", "-rlaF", word, str(folder)], capture_output=True, check=False).stdout for word in (secret, control)}
    assert held[control]
    assert held[secret] == b""
    redis = get_redis_connection("default")
    assert not any(secret.encode() in redis.dump(key) for key in redis.scan_iter(count=1000) if redis.dump(key))


def test_settings_are_checked_and_count_for_entries_to_come(tenant: Tenant, service: Api) -> None:
    admin = Api(new_token(tenant, Role.ADMIN))
    old = posted(service)
    answer = admin.send("PATCH", SETTINGS, {"encrypted_fields": ["after"], "encrypted_metadata_keys": ["channel", "channel"], "subject_key": "customer"})
    assert answer.status_code == 200, answer.content
    assert answer.json() == {
        "catalogue_mode": "off",
        "encrypted_fields": ["after"], "encrypted_metadata_keys": ["channel"], "subject_key": "customer", "pseudonymises_users": False,
    }  # fmt: skip
    catalogue.forget()
    new = posted(service)
    assert "$encrypted" in stored(old, "before")
    assert stored(new, "before") == BEFORE
    assert "$encrypted" in stored(new, "metadata")["channel"]
    wrong_ones: list[dict[str, Any]] = [
        {"encrypted_fields": ["message"]}, {"encrypted_metadata_keys": [""]}, {"encrypted_metadata_keys": [5]}, {"subject_key": "x" * 129},
        {"encrypted_fields": ["before", "after", "before"]}, {"encrypted_metadata_keys": [f"k{number}" for number in range(101)]}, {"subject_key": None},
    ]  # fmt: skip
    for wrong in wrong_ones:
        assert_refused(admin.send("PATCH", SETTINGS, wrong), 422, "invalid")
    assert admin.get(SETTINGS).json()["subject_key"] == "customer"
    assert_refused(Api(new_token(tenant, Role.AUDITOR)).send("PATCH", SETTINGS, {"encrypted_fields": []}), 403, "not_allowed")


def test_admin_page_changes_what_is_encrypted(tenant: Tenant) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser(f"root-{tenant.slug}", password=None))
    page = f"/admin/logs/logsettings/{tenant.pk}/change/"
    assert b"encrypted_metadata_keys" in client.get(page).content
    form = {"catalogue_mode": "off", "encrypted_fields": ["after"], "encrypted_metadata_keys": "diagnosis,iban", "subject_key": "customer"}
    assert client.post(page, form).status_code == 302
    row = LogSettings.objects.get(pk=tenant.pk)
    assert (row.encrypted_fields, row.encrypted_metadata_keys, row.subject_key) == (["after"], ["diagnosis", "iban"], "customer")
    assert client.post(page, form | {"encrypted_fields": ["message"]}).status_code == 200
    row.refresh_from_db()
    assert row.encrypted_fields == ["after"]
