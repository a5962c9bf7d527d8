"""Posting many entries."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import zstandard

from accounts.models import Role, Tenant
from tests.api import BULK, Api, assert_refused, entry, service_of, stored_count
from tests.storing import new_tenant, new_token

TIME = "2026-01-31T12:00:00Z"
NDJSON = "application/x-ndjson"


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def service(tenant: Tenant) -> Api:
    return service_of(tenant)


def lines(entries: list[dict[str, Any]]) -> bytes:
    return b"\n".join(map(msgspec.json.encode, entries)) + b"\n"


def keyed(key: str, **fields: Any) -> dict[str, Any]:
    return entry(idempotency_key=key, timestamp=TIME, **fields)


@pytest.mark.parametrize(("encoding", "pack"), [("identity", bytes), ("gzip", gzip.compress), ("zstd", zstandard.compress)])
@pytest.mark.parametrize("kind", ["application/json", NDJSON])
def test_every_entry_is_stored_in_its_order(service: Api, kind: str, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    entries = [entry(resource_id=f"r{number}", timestamp=f"2026-01-31T12:00:{number:02}Z") for number in range(60)]
    body = msgspec.json.encode(entries) if kind == "application/json" else lines(entries)
    answer = service.post(BULK, pack(body), content_type=kind, Content_Encoding=encoding)
    assert answer.status_code == 201
    receipt = answer.json()
    assert (receipt["stored"], receipt["replayed"]) == (60, 0)
    assert [one["index"] for one in receipt["successful"]] == list(range(60))
    found = service.get("/api/v1/logs", limit=100).json()["results"]
    assert [one["id"] for one in reversed(found)] == [one["id"] for one in receipt["successful"]]
    assert [one["resource_id"] for one in reversed(found)] == [one["resource_id"] for one in entries]


def test_one_bad_entry_of_a_thousand_stores_nothing(tenant: Tenant, service: Api) -> None:
    entries: list[Any] = [entry() for _ in range(1000)]
    entries[777] = entry(ip_address="nowhere")
    assert_refused(service.post(BULK, entries), 422, "invalid_entry", fault="bad_ip_address", pointer="/777/ip_address")
    assert stored_count(tenant) == 0


def test_every_fault_is_named_up_to_a_hundred(tenant: Tenant, service: Api) -> None:
    problem = assert_refused(service.post(BULK, [{"user_id": "a"}] * 500), 422, "invalid_entry", fault="missing_field", pointer="/99/action")
    assert len(problem["errors"]) == 100


def test_partial_stores_what_is_right_and_reports_the_rest(tenant: Tenant, service: Api) -> None:
    entries: list[Any] = [entry() for _ in range(1000)]
    entries[1] = {"user_id": "a"}
    entries[500] = 7
    entries[999] = entry(timestamp="yesterday")
    answer = service.post(BULK + "?partial=true", entries)
    assert answer.status_code == 207
    receipt = answer.json()
    assert [(one["index"], one["code"], one["pointer"]) for one in receipt["failed"]] == [
        (1, "missing_field", "/1/action"),
        (500, "wrong_type", "/500"),
        (999, "bad_timestamp", "/999/timestamp"),
    ]
    assert [one["index"] for one in receipt["successful"]] == [index for index in range(1000) if index not in (1, 500, 999)]
    assert receipt["stored"] == stored_count(tenant) == 997


def test_partial_of_nothing_right_stores_nothing(tenant: Tenant, service: Api) -> None:
    answer = service.post(BULK + "?partial=true", [{}, {}])
    assert answer.status_code == 207
    assert answer.json()["successful"] == []
    assert stored_count(tenant) == 0


def test_bad_line_of_ndjson_fails_alone_in_partial(tenant: Tenant, service: Api) -> None:
    body = lines([entry()]) + b"{not json\n" + lines([entry()])
    answer = service.post(BULK + "?partial=true", body, content_type=NDJSON)
    assert [(one["index"], one["code"]) for one in answer.json()["failed"]] == [(1, "not_json")]
    assert stored_count(tenant) == 2
    assert_refused(service.post(BULK, body, content_type=NDJSON), 400, "not_json", fault="not_json", pointer="/1")
    assert stored_count(tenant) == 2


def test_two_entries_of_one_body_may_not_have_one_key(tenant: Tenant, service: Api) -> None:
    entries = [keyed("a"), keyed("b"), keyed("a", message="other")]
    assert_refused(service.post(BULK, entries), 422, "invalid_entry", fault="duplicate_key", pointer="/2/idempotency_key")
    assert stored_count(tenant) == 0
    receipt = service.post(BULK + "?partial=true", entries).json()
    assert [one["code"] for one in receipt["failed"]] == ["duplicate_key"]
    assert stored_count(tenant) == 2


def test_bulk_sent_again_is_a_replay(tenant: Tenant, service: Api) -> None:
    entries = [keyed(f"k{number}") for number in range(100)]
    first, again = service.post(BULK, entries), service.post(BULK, entries)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again["Idempotency-Replayed"] == "true"
    assert (again.json()["stored"], again.json()["replayed"]) == (0, 100)
    assert [one["id"] for one in first.json()["successful"]] == [one["id"] for one in again.json()["successful"]]
    mixed = service.post(BULK, [*entries, keyed("new"), entry()])
    assert (mixed.status_code, mixed.json()["stored"], mixed.json()["replayed"]) == (201, 2, 100)
    assert stored_count(tenant) == 102


def test_conflict_refuses_everything_or_in_partial_itself(tenant: Tenant, service: Api) -> None:
    service.post(BULK, [keyed("a")])
    entries = [entry(), keyed("a", message="other"), keyed("b")]
    assert_refused(service.post(BULK, entries), 422, "idempotency_conflict", fault="idempotency_conflict", pointer="/1/idempotency_key")
    assert stored_count(tenant) == 1
    receipt = service.post(BULK + "?partial=true", entries).json()
    assert [one["code"] for one in receipt["failed"]] == ["idempotency_conflict"]
    assert stored_count(tenant) == 3


@pytest.mark.parametrize(
    ("body", "code", "status", "fault"),
    [
        (b"[]", "invalid_entry", 422, "no_entries"),
        (b"{}", "invalid_entry", 422, "wrong_type"),
        (b"[", "not_json", 400, "not_json"),
        (b"[" + b"{}," * 10_000 + b"{}]", "invalid_entry", 422, "too_many_entries"),
    ],
)
def test_body_that_is_no_bulk_is_refused(tenant: Tenant, service: Api, body: bytes, code: str, status: int, fault: str) -> None:
    assert_refused(service.post(BULK, body), status, code, fault=fault, pointer="")
    assert stored_count(tenant) == 0


def test_body_over_the_limit_is_refused(tenant: Tenant, service: Api) -> None:
    huge = b"[" + msgspec.json.encode(entry(message="x" * 30_000)) * 700 + b"]"
    assert_refused(service.post(BULK, huge), 413, "body_too_large")
    assert_refused(service.post(BULK, gzip.compress(bytes(100 * 2**20)), Content_Encoding="gzip"), 413, "body_too_large")
    assert stored_count(tenant) == 0


def test_ten_thousand_entries_are_taken(tenant: Tenant, service: Api) -> None:
    assert service.post(BULK, [entry()] * 10_000).json()["stored"] == 10_000
    assert stored_count(tenant) == 10_000


def test_header_key_means_nothing_in_bulk(tenant: Tenant, service: Api) -> None:
    assert_refused(service.post(BULK, [entry()], Idempotency_Key="k"), 400, "bad_request")
    assert stored_count(tenant) == 0


def test_user_posts_about_themselves_only(tenant: Tenant) -> None:
    alice = Api(new_token(tenant, Role.USER, "alice"))
    assert_refused(alice.post(BULK, [entry(user_id="alice"), entry(user_id="bob")]), 403, "not_allowed", fault="not_allowed", pointer="/1/user_id")
    assert stored_count(tenant) == 0


def test_batch_row_counts_and_hashes_its_entries(tenant: Tenant, service: Api) -> None:
    from django.db import connections

    service.post(BULK, [entry(), keyed("k"), entry()])
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("SELECT id, entry_count, octet_length(records), first_position FROM auditlog.logs_batch WHERE tenant_id = %s", [tenant.id])
        ((batch_id, count, size, position),) = cursor.fetchall()
        cursor.execute("SELECT batch_index FROM auditlog.logs_entry WHERE tenant_id = %s AND batch_id = %s ORDER BY 1", [tenant.id, batch_id])
        places = [row[0] for row in cursor.fetchall()]
    assert (count, size, position, places) == (3, 96, None, [0, 1, 2])
