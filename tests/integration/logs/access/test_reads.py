"""Every look at the log is an entry in it: exactly one, with what was asked and how much was given, before the answer goes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import call_command

from accounts.models import Role, Tenant
from tests.api import LOGS, Api
from tests.recorded import assert_not_recorded, nothing_can_be_written, own_entries, the_one
from tests.sequencing import sequence_all
from tests.storing import new_key, new_tenant, new_token, store


@dataclass
class Log:
    """Three sequenced entries of a request, and two kinds of callers."""

    tenant: Tenant
    ids: list[str]
    auditor: Api
    admin: Api


@pytest.fixture
def log() -> Log:
    tenant = new_tenant()
    ids = store(tenant, [{"request_id": "r1", "message": f"secret {number}"} for number in range(3)])
    sequence_all()
    return Log(tenant, ids, Api(new_token(tenant, Role.AUDITOR, "erin")), Api(new_token(tenant, Role.ADMIN, "adam")))


# Path, query string, action, resource type, results.
READS: dict[str, tuple[str, str, str, str, int | None]] = {
    "search": ("logs", "user_id=alice&limit=2", "SEARCH", "audit_log", 2),
    "words": ("logs", "q=secret", "SEARCH", "audit_log", 3),
    "positions": ("logs", "order=position&after=0", "SEARCH", "audit_log", 2),
    "entry": ("logs/{id}", "", "READ", "audit_log", 1),
    "statistics": ("logs/stats", "top=3", "STATS", "audit_log", 3),
    "facets": ("logs/facets", "fields=action", "STATS", "audit_log", 1),
    "timeline": ("requests/r1", "", "SEARCH", "audit_log", 3),
    "proof": ("logs/{id}/proof", "", "VERIFY", "audit_log_verification", 1),
    "checkpoint": ("integrity/checkpoint", "", "VERIFY", "audit_log_verification", None),
    "checkpoints": ("integrity/checkpoints", "limit=5", "VERIFY", "audit_log_verification", 1),
    "tile": ("integrity/tile/0/000.p/3", "", "VERIFY", "audit_log_verification", None),
    "bundle": ("integrity/tile/entries/000.p/3", "", "VERIFY", "audit_log_verification", None),
    "consistency": ("integrity/consistency", "from=1&to=3", "VERIFY", "audit_log_verification", None),
    "keys": ("integrity/key", "", "VERIFY", "audit_log_verification", None),
    "saved searches": ("saved-searches", "", "READ", "audit_log_saved_search", 0),
    "actions": ("actions", "", "READ", "audit_log_action", 0),
    "settings": ("log-settings", "", "READ", "audit_log_settings", None),
    "exports": ("exports", "", "READ", "audit_log_export", 0),
}


@pytest.mark.parametrize("kind", READS)
def test_read_leaves_one_entry_with_what_was_asked_and_given(log: Log, kind: str) -> None:
    path, query, action, resource_type, results = READS[kind]
    address = "/api/v1/" + path.format(id=log.ids[0])
    answer = log.auditor.send("GET", f"{address}?{query}", b"", X_Request_Id="req-1", User_Agent="curl/8")
    assert answer.status_code == 200, answer.content
    entry = the_one(log.tenant)
    metadata = entry.pop("metadata")
    took_ms = metadata.pop("took_ms")
    assert 0 < took_ms < 60_000
    assert metadata.pop("results", None) == results
    told = {"method": "GET", "path": address, "status": 200, "principal": metadata["principal"]} | ({"query": query} if query else {})
    assert metadata == told
    assert metadata["principal"].startswith("user:u")
    expected = {
        "user_id": "erin", "action": action, "resource_type": resource_type, "severity": "INFO", "outcome": "success", "source": "auditlog",
        "request_id": "req-1", "ip_address": "127.0.0.1", "user_agent": "curl/8",
    }  # fmt: skip
    assert {name: entry[name] for name in expected} == expected
    assert entry.get("resource_id") == (log.ids[0] if "{id}" in path else None)


def test_head_is_a_look_too(log: Log) -> None:
    assert log.auditor.send("HEAD", f"{LOGS}/{log.ids[0]}", b"").status_code == 200
    assert the_one(log.tenant)["metadata"]["method"] == "HEAD"


def test_every_page_is_a_look(log: Log) -> None:
    first = log.auditor.get(LOGS, limit=2, user_id="alice").json()
    log.auditor.get(first["next"])
    assert [entry["metadata"]["results"] for entry in own_entries(log.tenant)] == [2, 1]


def test_key_acts_by_its_own_name(log: Log) -> None:
    key = new_key(log.tenant, "logs:read")
    Api(key).get(LOGS)
    assert the_one(log.tenant)["user_id"] == f"key:{key.split('_')[1]}"


def test_role_user_finds_the_entries_about_their_own_looks(log: Log) -> None:
    user = Api(new_token(log.tenant, Role.USER, "carol"))
    user.get(LOGS)
    log.auditor.get(LOGS)
    assert [entry["user_id"] for entry in user.get(LOGS).json()["results"]] == ["carol"]


def test_saved_search_that_is_run_is_a_search_with_its_question(log: Log) -> None:
    made = log.auditor.post("/api/v1/saved-searches", {"name": "mine", "query": {"user_id": ["alice"]}}).json()
    log.auditor.get(f"/api/v1/saved-searches/{made['id']}/entries")
    created, run = own_entries(log.tenant)
    assert (created["action"], created["resource_type"], created["resource_id"]) == ("CREATE", "audit_log_saved_search", str(made["id"]))
    assert (run["action"], run["metadata"]["results"], run["metadata"]["saved_search"]) == ("SEARCH", 3, made["id"])
    assert run["metadata"]["asked"] == {"user_id": ["alice"]}


def test_question_that_is_wrong_and_a_look_at_the_documentation_leave_nothing(log: Log) -> None:
    assert log.auditor.get(LOGS, limit=0).status_code == 422
    assert log.auditor.send("OPTIONS", LOGS, b"").status_code == 200
    assert log.auditor.send("PUT", LOGS, {}).status_code == 405
    assert log.auditor.get("/api/v1/schema").status_code == 200
    assert own_entries(log.tenant) == []


def test_posting_is_its_own_record(log: Log) -> None:
    assert log.admin.post(LOGS, {"user_id": "adam", "action": "VIEW", "resource_type": "page"}).status_code == 201
    assert own_entries(log.tenant) == []


def test_nobody_posts_in_the_name_of_the_log(log: Log) -> None:
    body = {"user_id": "erin", "action": "SEARCH", "resource_type": "audit_log", "source": "auditlog"}
    assert log.admin.post(LOGS, body).status_code == 422
    assert log.admin.post(LOGS, {name: body[name] for name in body if name != "source"}).status_code == 201
    assert own_entries(log.tenant) == []


@pytest.mark.parametrize("kind", READS)
def test_read_that_can_not_be_recorded_gives_nothing(log: Log, kind: str) -> None:
    path, query, *_ = READS[kind]
    with nothing_can_be_written():
        answer = log.auditor.send("GET", f"/api/v1/{path.format(id=log.ids[0])}?{query}", b"")
    assert_not_recorded(answer)
    assert b"secret" not in answer.content
    assert log.ids[0].encode() not in answer.content
    assert own_entries(log.tenant) == []


def test_enforced_catalogue_does_not_keep_the_log_from_recording(log: Log) -> None:
    assert log.admin.send("PATCH", "/api/v1/log-settings", {"catalogue_mode": "enforce"}).status_code == 200
    assert log.auditor.get(LOGS).status_code == 200
    assert [entry["action"] for entry in own_entries(log.tenant)] == ["UPDATE", "SEARCH"]


@pytest.mark.parametrize("text", ["\x00", "\ud800", "x" * 9000, "\U0001f600" * 3000, "\r\n\x1b[31m"])
def test_strange_and_long_questions_are_recorded_as_far_as_there_is_room(log: Log, text: str) -> None:
    query = "user_id=" + quote(text, errors="surrogatepass")
    answer = log.auditor.send("GET", f"{LOGS}?{query}", b"", User_Agent="a" * 5000)
    assert answer.status_code in (200, 422)
    for entry in own_entries(log.tenant):
        assert entry["metadata"]["query"].startswith("user_id=")
        assert len(entry["metadata"]["query"].encode()) <= 4096
        assert len(entry["user_agent"]) == 2048


def test_log_with_entries_about_itself_verifies(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        log.auditor.get(LOGS)
        log.auditor.get(f"{LOGS}/{log.ids[1]}")
    sequence_all()
    call_command("verify_log", "--tenant", log.tenant.slug)
    assert "9 entries verified" in capsys.readouterr().out
    sequence_all()
    begun, ended = own_entries(log.tenant, action="VERIFY")
    assert (begun["user_id"], begun["metadata"]["phase"], ended["metadata"]["phase"]) == ("operator", "begun", "ended")
    assert (ended["metadata"]["verified"], ended["metadata"]["findings"], ended["outcome"]) == (9, 0, "success")


def test_entry_says_which_query_parameters_were_no_credentials(log: Log) -> None:
    answer: Any = log.auditor.get("/api/v1/exports/019a2b3c-4d5e-7000-8000-00000000002a/file", expires="1", signature="abcdef")
    assert answer.status_code == 403
    # Nobody knows whose log a wrong link concerns.
    assert own_entries(log.tenant) == []


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


@pytest.mark.parametrize("secret", [JWT, "4111 1111 1111 1111", "password=hunter2hunter2"])
def test_secret_in_a_question_is_masked_in_the_entry(log: Log, secret: str) -> None:
    assert log.auditor.get(LOGS, q=f'"{secret}"').status_code == 200
    entry = the_one(log.tenant)
    assert any(pointer.startswith("/metadata/query") for pointer in entry["masked"])
    for part in (secret, quote(secret), secret.replace(" ", "+"), "hunter2"):
        assert part not in str(entry)
