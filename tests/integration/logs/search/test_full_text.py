"""Free words and the query language over HTTP: what is found, in which order, how it is marked, and what is refused."""

from __future__ import annotations

import datetime
import random
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from django.db import connections

from accounts.models import Role, Tenant
from logs.errors import TooExpensive
from logs.search import finding
from logs.search.finding import Search
from logs.search.output import COLUMNS
from logs.search.qualifiers import Reader
from logs.sequencer.flushing import FLUSH, Flusher
from logs.storage import connecting
from logs.storage.reading import tenant_transaction
from tests.api import LOGS, NOT_OWN, Api, PostedApi, assert_refused, service_of
from tests.storing import new_key, new_tenant, new_token, store
from tests.superuser import superuser

NOW = datetime.datetime.now(datetime.UTC)
ENTRIES: list[dict[str, Any]] = [
    {"user_id": "ben@example.com", "message": "Sign-in failed: wrong password."},
    {"user_id": "carol", "resource_id": "inv-2041", "metadata": {"service": "billing", "tags": ["a", "b"], "amount": 120.5}},
    {"user_id": "dave", "action": "DELETE", "severity": "ERROR", "before": {"status": "a"}, "after": {"status": "b"}},
    {"user_id": "erin", "message": "The password is not wrong", "metadata": {"path": "/billing/invoices", "is_locked": True, "note": "x \"y\" \\ z\nw"}},
    {"user_id": "frank", "resource_type": "report", "ip_address": "10.1.2.3", "outcome": "failure", "metadata": {"amount": 7}},
]  # fmt: skip


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    found = new_tenant()
    for number, entry in enumerate(ENTRIES):
        store(found, [entry | {"timestamp": (NOW - datetime.timedelta(days=len(ENTRIES) - number)).isoformat()}])
    return found


def users(tenant: Tenant, q: str, **more: Any) -> list[str]:
    answer = service_of(tenant).get(LOGS, q=q, **more)
    assert answer.status_code == 200, answer.content
    return [entry["user_id"] for entry in answer.json()["results"]]


FOUND = {
    "": ["frank", "erin", "dave", "carol", "ben@example.com"],
    "password": ["erin", "ben@example.com"],
    "PASSWORD": ["erin", "ben@example.com"],
    '"wrong password"': ["ben@example.com"],
    '"password wrong"': [],
    "pass*": ["erin", "ben@example.com"],
    "password -failed": ["erin"],
    "ben@example.com": ["ben@example.com"],
    "example": ["ben@example.com"],
    "sign-in": ["ben@example.com"],
    "inv-2041": ["carol"],
    "2041": ["carol"],
    "inv-20*": ["carol"],
    "inv-9*": [],
    "billing": ["erin", "carol"],
    "/billing/invoices": ["erin"],
    "amount": ["frank", "carol"],
    '"service billing"': [],
    "w": ["erin"],
    "report OR dave": ["frank", "dave"],
    "(report OR dave) severity:ERROR": ["dave"],
    "changed:status": ["dave"],
    "ip:10.0.0.0/8": ["frank"],
    "outcome:failure": ["frank"],
    "-outcome:failure -password": ["dave", "carol"],
    "metadata.service:billing": ["carol"],
    "metadata.tags:b": ["carol"],
    "metadata.amount:>100": ["carol"],
    "metadata.amount:7.0": ["frank"],
    "metadata.is_locked:true": ["erin"],
    "after:-3d": ["frank", "erin"],
    "before:-3d password": ["ben@example.com"],
    "user:(dave OR erin)": ["erin", "dave"],
    "user:b*": ["ben@example.com"],
    "source:key:*": ["frank", "erin", "dave", "carol", "ben@example.com"],
}


@pytest.mark.parametrize(("q", "expected"), FOUND.items(), ids=list(FOUND))
def test_found_newest_first(tenant: Tenant, q: str, expected: list[str]) -> None:
    if q:
        assert users(tenant, q) == expected
    else:
        assert_refused(service_of(tenant).get(LOGS, q=q), 422, "invalid_query", fault="empty", pointer="q")


def test_query_and_filters_all_have_to_hold(tenant: Tenant) -> None:
    assert users(tenant, "password", user_id="erin") == ["erin"]
    assert users(tenant, "password", severity="ERROR") == []


def test_other_tenants_words_are_not_found(tenant: Tenant) -> None:
    assert users(new_tenant(), "password") == []


def test_role_user_finds_its_own_entries_only(tenant: Tenant) -> None:
    api = PostedApi(new_token(tenant, Role.USER, "erin"), **{"X-Tenant": tenant.slug})
    for q in ("password", "dave OR password", "-nothing"):
        assert [entry["user_id"] for entry in api.get(LOGS, q=q).json()["results"]] == ["erin"]


def test_words_are_marked_where_they_stand(tenant: Tenant) -> None:
    answer = service_of(tenant).get(LOGS, q='"wrong pass"* OR billing OR -absent OR y', highlight="true")
    marked = {entry["user_id"]: entry["highlights"] for entry in answer.json()["results"]}
    assert marked["ben@example.com"] == {"message": [[16, 26]]}
    assert marked["carol"] == {"metadata/service": [[0, 7]]}
    assert marked["erin"] == {"metadata/path": [[1, 8]], "metadata/note": [[3, 4]]}
    assert marked["dave"] == {}
    assert "highlights" not in service_of(tenant).get(LOGS, q="password").json()["results"][0]
    assert_refused(service_of(tenant).get(LOGS, highlight="yes"), 422, "invalid_query", fault="bad_value", pointer="highlight")


def test_refusal_has_pointer_and_column(tenant: Tenant) -> None:
    problem = assert_refused(Api(new_key(tenant)).get(LOGS, q="password colour:red"), 422, "invalid_query", fault="unknown_qualifier", pointer="q")
    assert problem["errors"][0]["column"] == 10


def test_cursor_of_a_relative_time_is_good_for_the_next_page(tenant: Tenant) -> None:
    api = service_of(tenant)
    first = api.get(LOGS, q="after:-30d", limit=2).json()
    second = api.get(first["next"]).json()
    assert [entry["user_id"] for entry in first["results"] + second["results"]] == ["frank", "erin", "dave", "carol"]
    cursor = first["next"].rpartition("cursor=")[2]
    assert_refused(api.get(LOGS, q="after:-29d", cursor=cursor), 422, "invalid_query", fault="cursor_of_other_query", pointer="cursor")


@pytest.mark.parametrize("rest", ["", " and more" * 200], ids=["short", "long"])
def test_words_longer_than_a_lexeme_are_told_apart(rest: str) -> None:
    """PostgreSQL's lexemes end at 2,046 bytes; the words are compared to their ends."""
    tenant = new_tenant()
    store(tenant, [{"user_id": name, "message": "x" * length + rest} for name, length in (("short", 480), ("long", 600), ("longest", 2_100))])
    for name, length in (("short", 480), ("long", 600), ("longest", 2_100)):
        assert users(tenant, "x" * length) == [name]
    assert sorted(users(tenant, "x" * 480 + "*")) == ["long", "longest", "short"]
    assert users(tenant, "x" * 481 + "* -" + "x" * 2_100) == ["long"]


# -- windows: few entries at a time, so that there are many


def words_of(number: int) -> str:
    chances = random.Random(number)
    frequent = [f"w{power}" for power in range(1, 8) if chances.random() < 0.5**power]
    return " ".join(["common", *frequent])


@pytest.fixture(scope="module")
def many() -> tuple[Tenant, list[str]]:
    """600 entries over 40 days, most of them in bursts; with their ids, oldest first."""
    tenant = new_tenant()
    chances = random.Random(5)
    moments = sorted(NOW - datetime.timedelta(days=chances.choice([1, 1, 1, 20, 39]), seconds=chances.random() * 40_000) for _ in range(600))
    ids: list[str] = []
    for start in range(0, 600, 100):
        part = [{"timestamp": moment.isoformat(), "message": words_of(start + index)} for index, moment in enumerate(moments[start : start + 100])]
        ids += store(tenant, part)
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("ANALYZE auditlog.logs_entry")
    return tenant, ids


@pytest.mark.parametrize("probe", [3, 400])
@pytest.mark.parametrize("q", ["common", "w1", "w3", "w6", "absent", "w1 w2", "w5 OR w6", "-w1", "w2 -w3", '"common w1"', "com*"])
def test_pages_in_both_directions_are_those_of_a_list(many: tuple[Tenant, list[str]], monkeypatch: pytest.MonkeyPatch, probe: int, q: str) -> None:
    monkeypatch.setattr(finding, "PROBE_ENTRIES", probe)
    tenant, ids = many
    expected = [id for number, id in reversed(list(enumerate(ids))) if holds(q, words_of(number).split())]
    api = service_of(tenant)
    path: str | None = f"{LOGS}?{urlencode({'limit': 17, 'q': f'({q}) {NOT_OWN}'})}"
    pages: list[list[str]] = []
    back: str | None = None
    while path:
        page = api.get(path).json()
        pages.append([entry["id"] for entry in page["results"]])
        path, back = page["next"], page["previous"]
    assert [id for page in pages for id in page] == expected
    for expected_page in reversed(pages[:-1]):
        assert back is not None
        page = api.get(back).json()
        assert [entry["id"] for entry in page["results"]] == expected_page
        back = page["previous"]


def holds(q: str, words: Sequence[str]) -> bool:
    if q == "com*":
        return True
    if q.startswith('"'):
        return words[:2] == ["common", "w1"]
    if " OR " in q:
        return any(word in words for word in q.split(" OR "))
    return all((term[1:] not in words) if term.startswith("-") else term in words for term in q.split())


def test_a_question_that_takes_too_long_is_refused_with_advice(many: tuple[Tenant, list[str]], settings: Any) -> None:
    settings.AUDITLOG_SEARCH_TIMEOUT_SECONDS = 0.0
    # Of what is left out no index knows, and the first window is empty.
    problem = assert_refused(service_of(many[0]).get(LOGS, q="-common"), 422, "too_expensive")
    assert "Narrow the time" in problem["detail"]
    assert problem["searched_to"].endswith("Z")


def test_a_statement_that_is_cancelled_is_refused_with_advice(many: tuple[Tenant, list[str]], settings: Any) -> None:
    tenant = many[0]
    slow = [COLUMNS[0], psycopg.sql.SQL("pg_sleep(1)")]
    with pytest.raises(TooExpensive), tenant_transaction(tenant.id, 0.2) as cursor:
        Search(cursor, tenant.id, Reader(NOW).tree("common"), slow, NOW).rows(10)


# -- the pending list


def pending_pages() -> int:
    """Pages of the pending lists of all partitions, as the superuser sees them."""
    with superuser() as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pgstattuple")
        row = connection.execute(
            "SELECT sum((pgstatginindex(inhrelid)).pending_pages) FROM pg_inherits WHERE inhparent = 'auditlog.logs_entry_words'::regclass"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_the_sequencers_role_empties_the_pending_list() -> None:
    store(new_tenant(), [{"message": "pending"}])
    assert pending_pages() > 0
    with connecting.connect("sequencer") as connection:
        connection.execute(FLUSH)
    assert pending_pages() == 0


def test_the_flusher_does_so_when_it_is_woken() -> None:
    flusher = Flusher()
    flusher.start()
    try:
        store(new_tenant(), [{"message": "pending"}])
        flusher.wake()
        deadline = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=20)
        while pending_pages() and datetime.datetime.now(datetime.UTC) < deadline:
            pass
        assert pending_pages() == 0
    finally:
        flusher.stop()


def test_the_application_may_not_empty_it() -> None:
    with connecting.connect("default") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(FLUSH)
