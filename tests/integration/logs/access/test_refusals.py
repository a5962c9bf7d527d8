"""Refused attempts are entries, wherever it is known whose they are; and there are never so many that they fill the log."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.utils import timezone

from accounts.api_keys import create_api_key, revoke_api_key
from accounts.models import ApiKey, Role, Tenant, User
from accounts.principals import cache
from tests.api import BULK, LOGS, Api, assert_refused, entry
from tests.recorded import nothing_can_be_written, own_entries, the_one
from tests.storing import new_key, new_tenant, new_token, store


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


def assert_refusal(found: dict[str, Any], user_id: str, status: int, code: str, attempted: str | None) -> None:
    assert (found["action"], found["user_id"], found["severity"], found["outcome"]) == ("REFUSED", user_id, "WARNING", "failure")
    assert (found["metadata"]["status"], found["metadata"]["code"], found["metadata"].get("attempted")) == (status, code, attempted)
    assert "results" not in found["metadata"]


def test_forbidden_attempt_is_an_entry(tenant: Tenant) -> None:
    auditor = Api(new_token(tenant, Role.AUDITOR, "erin"))
    assert_refused(auditor.post("/api/v1/api-keys", {"name": "x", "scopes": ["logs:read"]}), 403, "not_allowed")
    found = the_one(tenant)
    assert_refusal(found, "erin", 403, "not_allowed", "CREATE")
    assert found["resource_type"] == "audit_log_key"
    assert not ApiKey.objects.filter(tenant=tenant).exists()


def test_entry_of_another_tenant_asked_for_is_told_in_the_asker_s_own_log(tenant: Tenant) -> None:
    [foreign] = store(tenant, [{"message": "secret"}])
    mallorys = new_tenant()
    mallory = Api(new_token(mallorys, Role.ADMIN, "mallory"))
    answer = mallory.get(f"{LOGS}/{foreign}")
    assert_refused(answer, 404, "not_found")
    assert b"secret" not in answer.content
    assert_refusal(the_one(mallorys), "mallory", 404, "not_found", "READ")
    assert the_one(mallorys)["metadata"]["path"] == f"{LOGS}/{foreign}"
    assert own_entries(tenant) == []


def test_another_s_tenant_named_is_told_in_the_caller_s_own(tenant: Tenant) -> None:
    mallorys = new_tenant()
    assert_refused(Api(new_token(mallorys, Role.ADMIN, "mallory"), **{"X-Tenant": tenant.slug}).get(LOGS), 404, "not_found")
    assert_refused(Api(new_key(mallorys), **{"X-Tenant": tenant.slug}).get(LOGS), 403, "not_allowed")
    assert [found["metadata"]["status"] for found in own_entries(mallorys)] == [404, 403]
    assert own_entries(tenant) == []


def test_unknown_address_of_the_api_is_an_entry(tenant: Tenant) -> None:
    assert_refused(Api(new_key(tenant)).get("/api/v1/secrets"), 404, "not_found")
    assert Api(None).get("/api/v1/secrets").status_code == 404
    assert Api(new_key(tenant)).get("/elsewhere").status_code == 404
    found = the_one(tenant)
    assert (found["metadata"]["path"], found["resource_type"]) == ("/api/v1/secrets", "audit_log")


@pytest.mark.parametrize("path", [LOGS, "/api/v1/secrets"])
def test_revoked_key_is_known_and_its_use_an_entry(tenant: Tenant, path: str) -> None:
    row, key = create_api_key(tenant, "x", ["logs:read"])
    revoke_api_key(row)
    assert Api(key).get(path).status_code in (401, 404)
    assert_refusal(the_one(tenant), f"key:{row.prefix}", the_one(tenant)["metadata"]["status"], "revoked_api_key", "SEARCH" if path == LOGS else None)


def test_expired_key_and_person_who_was_shut_out_are_known(tenant: Tenant) -> None:
    _, key = create_api_key(tenant, "x", ["logs:read"], expires_at=timezone.now() - datetime.timedelta(seconds=1))
    assert_refused(Api(key).get(LOGS), 401, "expired_api_key")
    token = new_token(tenant, Role.AUDITOR, "erin")
    User.objects.filter(memberships__tenant=tenant).update(is_active=False)
    assert_refused(Api(token).get(LOGS), 401, "invalid_token")
    assert [found["metadata"]["code"] for found in own_entries(tenant)] == ["expired_api_key", "invalid_token"]
    assert own_entries(tenant)[1]["user_id"] == "erin"


def test_guess_at_a_key_is_nobody_s(tenant: Tenant) -> None:
    key = new_key(tenant)
    assert_refused(Api(key[:-4] + "AAAA").get(LOGS), 401, "unknown_api_key")
    assert_refused(Api(None).get(LOGS), 401, "not_authenticated")
    assert_refused(Api("x.y.z").get(LOGS), 401, "invalid_token")
    assert own_entries(tenant) == []


def test_refused_post_is_an_entry(tenant: Tenant) -> None:
    assert_refused(Api(new_key(tenant, "logs:read")).post(BULK, [entry()]), 403, "not_allowed")
    alice = Api(new_token(tenant, Role.USER, "alice"))
    assert_refused(alice.post(LOGS, entry(user_id="bob")), 403, "not_allowed")
    assert [found["metadata"]["attempted"] for found in own_entries(tenant)] == ["CREATE", "CREATE"]


def test_refusals_are_bounded_and_those_left_out_are_counted(tenant: Tenant, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.AUDITLOG_REFUSALS_PER_MINUTE = 3
    now = [1000.0]
    monkeypatch.setattr("accounts.refusals.bound._clock", lambda: now[0])
    row, key = create_api_key(tenant, "x", ["logs:read"])
    revoke_api_key(row)
    cache.clear()
    for _ in range(10):
        assert_refused(Api(key).get(LOGS), 401, "revoked_api_key")
    assert [found["metadata"].get("suppressed") for found in own_entries(tenant)] == [None, None, None]
    now[0] += 61
    for _ in range(2):
        assert_refused(Api(key).get(LOGS), 401, "revoked_api_key")
    assert [found["metadata"].get("suppressed") for found in own_entries(tenant)] == [None, None, None, 7, None]


def test_refusals_from_many_addresses_are_bounded_together(tenant: Tenant, settings: Any) -> None:
    settings.AUDITLOG_REFUSALS_PER_MINUTE = 2
    row, key = create_api_key(tenant, "x", ["logs:read"])
    revoke_api_key(row)
    for number in range(30):
        api = Api(key)
        api._client.defaults["REMOTE_ADDR"] = f"2001:db8::{number:x}"
        assert api.get(LOGS).status_code == 401
    assert len(own_entries(tenant)) == 10


def test_what_one_may_do_is_recorded_however_much_was_refused(tenant: Tenant, settings: Any) -> None:
    settings.AUDITLOG_REFUSALS_PER_MINUTE = 1
    auditor = Api(new_token(tenant, Role.AUDITOR))
    for _ in range(5):
        assert auditor.get("/api/v1/api-keys").status_code == 403
    for _ in range(5):
        assert auditor.get(LOGS).status_code == 200
    assert [found["action"] for found in own_entries(tenant)] == ["REFUSED", *["SEARCH"] * 5]


def test_refusal_stands_though_it_can_not_be_recorded(tenant: Tenant) -> None:
    with nothing_can_be_written():
        assert_refused(Api(new_key(tenant, "logs:write")).get(LOGS), 403, "not_allowed")
    assert own_entries(tenant) == []
