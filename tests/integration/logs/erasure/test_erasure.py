"""Erasing a data subject: their encrypted fields become unreadable for everybody, the act is recorded, and every proof stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction

from accounts.models import Role, Tenant
from logs import catalogue, tasks
from logs.models import Erasure, ErasureState, LogSettings
from logs.verification.runs import findings_of, verify
from tests.api import LOGS, Api, assert_refused, service_of, stored_count
from tests.erasing import CLEAR, ERASED, ERASURES, REASON, acts, after_of, ask, erase, keys_alive, post
from tests.sequencing import publish_all, sequence_all
from tests.storing import new_tenant, new_token


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN))


@pytest.fixture(autouse=True)
def ledger(settings: Any, tmp_path: Path) -> Path:
    """A ledger of this test's own, and an empty storage of exports."""
    settings.AUDITLOG_ERASURES_URL = tmp_path.joinpath("erasures").as_uri()
    settings.AUDITLOG_EXPORT_URL = tmp_path.joinpath("exports").as_uri()
    return tmp_path / "erasures"


def test_erased_fields_read_as_erased_and_those_of_others_as_before(tenant: Tenant, admin: Api) -> None:
    carols, daves = post(admin, request_id="r-1"), post(admin, user_id="dave")
    assert after_of(admin, carols) == CLEAR
    done = erase(admin)
    assert (done["state"], done["keys_destroyed"], done["subject"], done["reason"]) == ("done", 1, "carol", REASON)
    assert after_of(admin, carols) == ERASED
    assert after_of(admin, daves) == CLEAR
    sequence_all()
    for path in (LOGS, f"{LOGS}?user_id=carol", "/api/v1/requests/r-1", f"{LOGS}?order=position&after=-1"):
        content = admin.get(path).content
        assert b'"erased":true' in content.replace(b" ", b"")
        assert content.count(b"planted-iban") == content.count(b'"dave"')
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("SELECT subject_digest, wrapped_key, wrapped_subject, erased_at IS NULL FROM auditlog.logs_data_key WHERE id = %s", [done["key_ids"][0]])
        assert cursor.fetchone() == (None, None, None, False)


def test_exports_show_what_is_erased_as_erased(tenant: Tenant, admin: Api) -> None:
    post(admin)
    erase(admin)
    for format in ("json", "ndjson", "csv", "parquet"):
        content = b"".join(admin.get(f"{LOGS}/export", format=format, user_id="carol"))
        assert b"planted-iban" not in content
        assert b"$encrypted" not in content
        if format != "parquet":
            assert b"erased" in content


def test_erasure_is_told_in_the_log_before_and_after(tenant: Tenant, admin: Api) -> None:
    post(admin)
    done = erase(admin)
    begun, ended = acts(admin)
    assert [act["metadata"]["phase"] for act in (begun, ended)] == ["begun", "done"]
    assert {act["resource_id"] for act in (begun, ended)} == set(done["pseudonyms"])
    assert {act["metadata"]["erasure"] for act in (begun, ended)} == {done["id"]}
    for act in (begun, ended):
        assert "carol" not in str(act)
        assert REASON not in str(act)


def test_log_verifies_after_an_erasure(tenant: Tenant, admin: Api) -> None:
    for _ in range(3):
        post(admin)
    sequence_all()
    erase(admin)
    post(admin)
    sequence_all()
    publish_all()
    run = verify(tenant, started_by="command")
    assert findings_of(run) == []
    # Four, and what the log tells of itself.
    assert run.verified_count > stored_count(tenant) == 4


def test_subject_erased_twice_is_told_so(tenant: Tenant, admin: Api) -> None:
    post(admin)
    first, second = erase(admin), erase(admin)
    assert (second["keys_destroyed"], second["repeats"]) == (0, first["id"])
    assert erase(admin, "nobody-ever")["keys_destroyed"] == 0
    assert "repeats" not in erase(admin, "nobody-at-all")


def test_new_entries_of_an_erased_subject_get_a_new_key(tenant: Tenant, admin: Api) -> None:
    old = post(admin)
    first = erase(admin)
    new = post(admin)
    assert (after_of(admin, old), after_of(admin, new)) == (ERASED, CLEAR)
    second = erase(admin)
    assert second["keys_destroyed"] == 1
    assert second["key_ids"] != first["key_ids"]
    assert after_of(admin, new) == ERASED


def test_ledger_names_the_key_and_nobody(tenant: Tenant, admin: Api, ledger: Path) -> None:
    post(admin)
    done = erase(admin)
    [line] = ledger.rglob("*.json")
    assert line.parent.name == str(tenant.id)
    content = line.read_text()
    assert f'"key_id":{done["key_ids"][0]}' in content
    assert "carol" not in content
    assert done["pseudonyms"][0] not in content


def test_erasure_without_confirmation_is_refused(tenant: Tenant, admin: Api) -> None:
    id = post(admin)
    for body, pointer in (
        ({"confirm": "karol"}, "/confirm"),
        ({"reason": "short"}, "/reason"),
        ({"reason": "x" * 2001}, "/reason"),
        ({"subject": ""}, "/subject"),
        ({"subject": 5}, "/subject"),
        ({"also": 1}, "/also"),
        ({"state": "done"}, "/state"),
    ):
        problem = assert_refused(ask(admin, **body), 422, "invalid", pointer=pointer)
        assert "planted" not in str(problem)
    assert after_of(admin, id) == CLEAR
    assert acts(admin) == []
    assert not Erasure.objects.filter(tenant=tenant).exists()


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.USER])
def test_others_than_admins_erase_nobody_and_the_attempt_is_recorded(tenant: Tenant, admin: Api, role: Role) -> None:
    id = post(admin)
    other = Api(new_token(tenant, role, "carol"))
    assert "carol" not in str(assert_refused(ask(other), 403, "not_allowed"))
    assert_refused(other.get(ERASURES), 403, "not_allowed")
    assert_refused(service_of(tenant).get(ERASURES), 403, "not_allowed")
    assert after_of(admin, id) == CLEAR
    refused = admin.get(LOGS, action="REFUSED", resource_type="audit_log_erasure").json()["results"]
    assert "ERASE" in [act["metadata"]["attempted"] for act in refused]


def test_mallory_erases_nobody_of_another_tenant(tenant: Tenant, admin: Api) -> None:
    id = post(admin)
    mallory = Api(new_token(new_tenant(), Role.ADMIN))
    theirs = erase(mallory)
    assert (theirs["keys_destroyed"], after_of(admin, id)) == (0, CLEAR)
    own = erase(admin)
    answer = mallory.get(f"{ERASURES}/{own['id']}")
    assert_refused(answer, 404, "not_found")
    assert own["pseudonyms"][0].encode() not in answer.content
    assert [found["id"] for found in mallory.get(ERASURES).json()["results"]] == [theirs["id"]]


def test_pseudonym_of_an_erased_subject_leads_to_nobody(tenant: Tenant, admin: Api) -> None:
    LogSettings.objects.update_or_create(pk=tenant.id, defaults={"pseudonymises_users": True})
    catalogue.forget()
    post(admin)
    done = erase(admin)
    assert "subject" not in done
    row = Erasure.objects.get(pk=done["id"])
    assert (row.subject, row.subject_digest, row.key_ids != []) == ("", None, True)
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("SELECT to_jsonb(k)::text FROM auditlog.logs_data_key k WHERE tenant_id = %s AND pseudonym = %s", [tenant.id, done["pseudonyms"][0]])
        assert "carol" not in cursor.fetchone()[0]
    assert "repeats" not in erase(admin)


def test_list_goes_page_by_page(tenant: Tenant, admin: Api) -> None:
    ids = [erase(admin, f"subject-{number}")["id"] for number in range(3)]
    page = admin.get(ERASURES, limit=2).json()
    assert [found["id"] for found in page["results"]] == ids[:0:-1]
    rest = admin.get(page["next"]).json()
    assert ([found["id"] for found in rest["results"]], rest["next"]) == (ids[:1], None)
    assert_refused(admin.get(ERASURES, cursor="x"), 422, "invalid_query", fault="bad_cursor")


def test_erasure_goes_on_when_the_storage_of_the_ledger_is_back(tenant: Tenant, admin: Api, ledger: Path, settings: Any, tmp_path: Path) -> None:
    id = post(admin)
    (tmp_path / "in-the-way").write_text("")
    before = settings.AUDITLOG_ERASURES_URL
    settings.AUDITLOG_ERASURES_URL = (tmp_path / "in-the-way" / "erasures").as_uri()
    answer = ask(admin)
    assert answer.status_code == 202, answer.content
    begun = answer.json()
    assert (begun["state"], begun["keys_destroyed"], keys_alive(tenant), after_of(admin, id)) == ("begun", 0, 1, CLEAR)
    # Asked again it is the same one.
    assert ask(admin).json()["id"] == begun["id"]
    tasks.tend_erasures()
    assert Erasure.objects.get(pk=begun["id"]).state == ErasureState.BEGUN
    settings.AUDITLOG_ERASURES_URL = before
    Erasure.objects.filter(pk=begun["id"]).update(updated_at="2026-01-01T00:00:00Z")
    tasks.tend_erasures()
    assert admin.get(f"{ERASURES}/{begun['id']}").json()["state"] == "done"
    assert (keys_alive(tenant), after_of(admin, id)) == (0, ERASED)
    assert [act["metadata"]["phase"] for act in acts(admin)] == ["begun", "done"]


def test_erasure_that_cannot_be_recorded_has_not_happened(tenant: Tenant, admin: Api, ledger: Path, settings: Any) -> None:
    id = post(admin)
    settings.AUDITLOG_COMMIT_TIMEOUT_SECONDS = 0.2
    with transaction.atomic("maintenance"), connections["maintenance"].cursor() as cursor:
        cursor.execute("LOCK TABLE auditlog.logs_batch IN EXCLUSIVE MODE")
        problem = assert_refused(ask(admin), 503, "not_recorded")
    assert "carol" not in str(problem)
    settings.AUDITLOG_COMMIT_TIMEOUT_SECONDS = 30
    assert not Erasure.objects.filter(tenant=tenant).exists()
    assert (keys_alive(tenant), list(ledger.rglob("*.json"))) == (1, [])
    assert after_of(admin, id) == CLEAR
