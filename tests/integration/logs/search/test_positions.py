"""Reading in the order of positions: nothing skipped, nothing twice, whatever comes in meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Role, Tenant
from logs.search import positions
from tests.api import LOGS, PostedApi, assert_refused, service_of
from tests.sequencing import sequence_all
from tests.storing import new_tenant, new_token, store


def poll(api: PostedApi, path: str) -> dict[str, Any]:
    answer = api.get(path)
    assert answer.status_code == 200, answer.content
    page: dict[str, Any] = answer.json()
    assert answer["Link"] == f'<{page["next"]}>; rel="next"'
    return page


def follow(api: PostedApi, path: str) -> tuple[list[dict[str, Any]], str]:
    """Every entry from `path` on, and where to go on later."""
    entries: list[dict[str, Any]] = []
    while True:
        page = poll(api, path)
        entries += page["results"]
        path = page["next"]
        if not page["has_more"]:
            return entries, path


@pytest.fixture(scope="module")
def tenant(django_db_setup: None) -> Tenant:
    tenant = new_tenant()
    for size in (1, 40, 3, 200, 1):
        store(tenant, [{"user_id": ("alice", "bob", "carol")[number % 3], "metadata": {"n": number}} for number in range(size)])
    # Older by its own time than all of them, and later in the log.
    store(tenant, [{"user_id": "dave", "timestamp": "2024-01-01T00:00:00Z"}])
    sequence_all()
    return tenant


@pytest.mark.parametrize("limit", [1, 7, 100, 1000])
def test_every_entry_comes_once_in_order(tenant: Tenant, limit: int) -> None:
    entries, _ = follow(service_of(tenant), f"{LOGS}?order=position&limit={limit}")
    assert [found["integrity"]["position"] for found in entries] == list(range(246))
    assert entries[-1]["user_id"] == "dave"


@pytest.mark.parametrize("limit", [1, 30])
def test_filters_leave_out_and_keep_the_order(tenant: Tenant, limit: int) -> None:
    entries, _ = follow(service_of(tenant), f"{LOGS}?order=position&limit={limit}&user_id=bob")
    everything, _ = follow(service_of(tenant), f"{LOGS}?order=position&limit=1000")
    assert [found["id"] for found in entries] == [found["id"] for found in everything if found["user_id"] == "bob"]


def test_role_user_sees_own_entries(tenant: Tenant) -> None:
    entries, _ = follow(PostedApi(new_token(tenant, Role.USER, "carol")), f"{LOGS}?order=position")
    assert {found["user_id"] for found in entries} == {"carol"}


def test_page_ends_where_its_scan_does(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "MAX_SCANNED", 10)
    page = poll(service_of(tenant), f"{LOGS}?order=position&user_id=dave")
    assert (page["results"], page["after"], page["has_more"]) == ([], 9, True)
    entries, _ = follow(service_of(tenant), page["next"])
    assert len(entries) == 1


def test_poller_gets_what_comes_later() -> None:
    tenant = new_tenant()
    api = service_of(tenant)
    entries, path = follow(api, f"{LOGS}?order=position")
    assert entries == []
    seen: list[int] = []
    for size in (1, 5, 2):
        store(tenant, [{}] * size)
        assert follow(api, path)[0] == []
        sequence_all()
        entries, path = follow(api, path)
        seen += [found["integrity"]["position"] for found in entries]
        assert follow(api, path)[0] == []
    # In between are the entries about the poller's own questions.
    assert len(seen) == 8
    assert seen == sorted(set(seen))


@pytest.mark.parametrize(
    ("query", "fault", "pointer"),
    [
        ("after=100000", "unknown_position", "after"),
        ("after=-2", "bad_position", "after"),
        ("after=x", "bad_position", "after"),
        ("after=", "empty", "after"),
        ("cursor=abc", "unknown_parameter", "cursor"),
        ("limit=0", "bad_limit", "limit"),
    ],
)
def test_wrong_question_is_refused(tenant: Tenant, query: str, fault: str, pointer: str) -> None:
    answer = service_of(tenant).get(f"{LOGS}?order=position&{query}")
    assert_refused(answer, 422, "invalid_query", fault=fault, pointer=pointer)


@pytest.mark.parametrize(("query", "fault", "pointer"), [("order=size", "unknown_value", "order"), ("after=1", "unknown_parameter", "after")])
def test_wrong_order_is_refused(tenant: Tenant, query: str, fault: str, pointer: str) -> None:
    assert_refused(service_of(tenant).get(f"{LOGS}?{query}"), 422, "invalid_query", fault=fault, pointer=pointer)
