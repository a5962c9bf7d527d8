"""Posting one entry."""

from __future__ import annotations

import datetime
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from pytest_django import Settings

from accounts.api_keys import create_api_key, revoke_api_key
from accounts.models import Role, Tenant
from accounts.principals import cache
from tests.api import LOGS, Api, assert_refused, entry, service_of, stored_count
from tests.storing import new_key, new_tenant, new_token

TIME = "2026-01-31T12:00:00Z"


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def service(tenant: Tenant) -> Api:
    return service_of(tenant)


def test_stored_entry_is_at_its_location(service: Api) -> None:
    posted = entry(resource_id="i-1", before={"a": 1}, after={"a": 2}, metadata={"n": 1.50}, ip_address="10.0.0.1", timestamp=TIME, outcome="success")
    answer = service.post(LOGS, posted)
    assert answer.status_code == 201
    receipt = answer.json()
    assert answer["Location"] == f"{LOGS}/{receipt['id']}"
    assert receipt["status"] == "stored"
    found = service.get(answer["Location"]).json()
    assert found | {"timestamp": TIME} == {**found, **posted}
    assert found["changed_fields"] == ["a"]
    assert found["severity"] == "INFO"
    assert found["source"].startswith("key:")


def test_answers_with_data_are_not_to_be_kept(service: Api) -> None:
    answer = service.get(service.post(LOGS, entry())["Location"])
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code", "fault", "pointer"),
    [
        (b"{", "application/json", 400, "not_json", "not_json", ""),
        (b'{"user_id":"\xff"}', "application/json", 400, "not_json", "not_utf8", ""),
        (b"{}", "text/plain", 415, "unsupported_media_type", None, None),
        (b"{}", "application/x-ndjson", 415, "unsupported_media_type", None, None),
        (b"{}", "application/json", 422, "invalid_entry", "missing_field", "/user_id"),
        (b"x" * (256 * 1024 + 1), "application/json", 413, "entry_too_large", "entry_too_large", ""),
    ],
)
def test_bad_body_is_refused(
    tenant: Tenant, service: Api, body: bytes, content_type: str, status: int, code: str, fault: str | None, pointer: str | None
) -> None:
    assert_refused(service.post(LOGS, body, content_type=content_type), status, code, fault=fault, pointer=pointer)
    assert stored_count(tenant) == 0


def test_unknown_parameter_is_refused(tenant: Tenant, service: Api) -> None:
    assert_refused(service.post(LOGS + "?dry_run=true", entry()), 422, "invalid_query", fault="unknown_parameter", pointer="dry_run")
    assert_refused(service.post(LOGS + "?imported=1", entry()), 422, "invalid_query", fault="bad_value", pointer="imported")
    assert stored_count(tenant) == 0


def test_imported_entry_says_so(service: Api) -> None:
    location = service.post(LOGS + "?imported=true", entry())["Location"]
    assert service.get(location).json()["is_imported"] is True


@pytest.mark.parametrize("header", ['"k-1"', "k-1"])
def test_header_serves_as_the_key(service: Api, header: str) -> None:
    first = service.post(LOGS, entry(timestamp=TIME), Idempotency_Key=header)
    again = service.post(LOGS, entry(timestamp=TIME, idempotency_key="k-1"))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first
    assert first.json()["id"] == again.json()["id"]
    assert again.json()["status"] == "replayed"


def test_retry_with_other_content_is_refused(tenant: Tenant, service: Api) -> None:
    service.post(LOGS, entry(timestamp=TIME, metadata={"a": 1}), Idempotency_Key="k")
    problem = assert_refused(
        service.post(LOGS, entry(timestamp=TIME, metadata={"a": 2}), Idempotency_Key="k"),
        422,
        "idempotency_conflict",
        fault="idempotency_conflict",
        pointer="/idempotency_key",
    )
    assert "1" not in json.dumps(problem["errors"])
    assert stored_count(tenant) == 1


def test_retry_in_another_spelling_is_a_replay(tenant: Tenant, service: Api) -> None:
    service.post(
        LOGS, b'{"user_id":"alice","action":"VIEW","resource_type":"r","timestamp":"2026-01-31T12:00:00Z","metadata":{"a":1.0,"b":[1e2]}}', Idempotency_Key="k"
    )
    again = b'{"metadata":{"b":[100],"a":1},"timestamp":"2026-01-31T13:00:00.000+01:00","user_id":"al\\u0069ce","action":"VIEW","resource_type":"r"}'
    assert service.post(LOGS, again, Idempotency_Key="k").status_code == 200
    assert stored_count(tenant) == 1


def test_key_of_another_tenant_is_another_key(service: Api) -> None:
    mallory = service_of(new_tenant())
    assert service.post(LOGS, entry(timestamp=TIME), Idempotency_Key="k").status_code == 201
    assert mallory.post(LOGS, entry(timestamp=TIME), Idempotency_Key="k").status_code == 201


def test_fifty_at_once_are_one_entry(tenant: Tenant) -> None:
    key = new_key(tenant)

    def post(number: int) -> tuple[int, str]:
        answer = Api(key).post(LOGS, entry(timestamp=TIME), Idempotency_Key="k")
        connections.close_all()
        return answer.status_code, answer.json()["id"]

    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(post, range(50)))
    assert sorted(status for status, _ in answers) == [200] * 49 + [201]
    assert len({id for _, id in answers}) == 1
    assert stored_count(tenant) == 1


def test_refused_entry_does_not_use_up_its_key(service: Api) -> None:
    assert service.post(LOGS, entry(timestamp=TIME, colour="red"), Idempotency_Key="k").status_code == 422
    assert service.post(LOGS, entry(timestamp=TIME), Idempotency_Key="k").status_code == 201


def test_key_without_timestamp_is_refused(tenant: Tenant, service: Api) -> None:
    assert_refused(service.post(LOGS, entry(), Idempotency_Key="k"), 422, "invalid_entry", fault="key_needs_timestamp", pointer="/timestamp")
    assert stored_count(tenant) == 0


@pytest.mark.parametrize("header", ['""', "", "é", "a" * 256])
def test_header_that_is_no_key_is_refused(tenant: Tenant, service: Api, header: str) -> None:
    assert_refused(service.post(LOGS, entry(timestamp=TIME), Idempotency_Key=header), 400, "bad_request", fault="bad_idempotency_key")
    assert stored_count(tenant) == 0


@pytest.mark.parametrize(
    ("credential", "code"),
    [
        (None, "not_authenticated"),
        ("nonsense", "invalid_token"),
        ("alk_abcdefghijkl_" + "a" * 43, "unknown_api_key"),
        ("alk_short", "unknown_api_key"),
    ],
)
def test_stranger_is_asked_who_they_are(credential: str | None, code: str) -> None:
    answer = Api(credential).post(LOGS, entry())
    assert_refused(answer, 401, code)
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_expired_key_is_refused(tenant: Tenant) -> None:
    now = datetime.datetime.now(datetime.UTC)
    _, key = create_api_key(tenant, "old", ["logs:write"], expires_at=now - datetime.timedelta(seconds=1))
    assert_refused(Api(key).post(LOGS, entry()), 401, "expired_api_key")
    assert stored_count(tenant) == 0


def test_revoked_key_is_refused_once_the_cache_is_out(tenant: Tenant, settings: Settings) -> None:
    settings.AUDITLOG_CREDENTIAL_CACHE_SECONDS = 0.001
    row, key = create_api_key(tenant, "gone", ["logs:write"])
    assert Api(key).post(LOGS, entry()).status_code == 201
    revoke_api_key(row)
    cache.clear()
    assert_refused(Api(key).post(LOGS, entry()), 401, "revoked_api_key")
    assert stored_count(tenant) == 1


def test_key_of_an_inactive_tenant_is_refused(tenant: Tenant) -> None:
    key = new_key(tenant)
    Tenant.objects.filter(pk=tenant.pk).update(is_active=False)
    assert_refused(Api(key).post(LOGS, entry()), 401, "inactive_tenant")


def test_key_without_the_scope_is_refused(tenant: Tenant) -> None:
    assert_refused(Api(new_key(tenant, "logs:read")).post(LOGS, entry()), 403, "not_allowed")
    assert_refused(Api(new_key(tenant, "logs:write")).get(LOGS), 403, "not_allowed")
    assert stored_count(tenant) == 0


def test_auditor_may_not_post(tenant: Tenant) -> None:
    assert_refused(Api(new_token(tenant, Role.AUDITOR)).post(LOGS, entry()), 403, "not_allowed")
    assert stored_count(tenant) == 0


def test_user_posts_about_themselves_only(tenant: Tenant) -> None:
    alice = Api(new_token(tenant, Role.USER, "alice"))
    assert alice.post(LOGS, entry(user_id="alice")).status_code == 201
    assert_refused(alice.post(LOGS, entry(user_id="bob")), 403, "not_allowed", fault="not_allowed", pointer="/user_id")
    assert stored_count(tenant) == 1


def test_foreign_tenant_is_not_confirmed(tenant: Tenant) -> None:
    foreign = new_tenant()
    adam = new_token(tenant, Role.ADMIN)
    answers: list[Any] = [Api(adam, **{"X-Tenant": slug}).post(LOGS, entry()) for slug in (foreign.slug, "there-is-none")]
    for answer in answers:
        assert_refused(answer, 404, "not_found")
    assert_refused(Api(new_key(tenant), **{"X-Tenant": foreign.slug}).post(LOGS, entry()), 403, "not_allowed")
    assert stored_count(foreign) == stored_count(tenant) == 0
