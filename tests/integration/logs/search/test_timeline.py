"""One request as a timeline: order, pages, summary, and who may see what of it."""

from __future__ import annotations

import datetime
import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from accounts.models import Role, Tenant
from logs.search import timeline
from tests.api import LOGS, Api, assert_refused
from tests.storing import new_key, new_tenant, new_token, store
from tests.web import Web, product_environment

REQUESTS = "/api/v1/requests/"
START = datetime.datetime.now(datetime.UTC).replace(hour=3, minute=0, second=0, microsecond=0) - datetime.timedelta(days=2)
# Over midnight, and with the user of every third entry another.
STEP = datetime.timedelta(hours=5, microseconds=250)


def moment(number: int) -> datetime.datetime:
    return START + number * STEP


def entry(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "timestamp": moment(number).isoformat(),
        "request_id": "r/1",
        "user_id": "bob" if number % 3 else "alice",
        "resource_id": f"i-{number // 2}",
        "severity": "ERROR" if number == 4 else "INFO",
        "outcome": "success",
        **fields,
    }


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture(scope="module")
def ids(tenant: Tenant) -> list[str]:
    """Seven entries of one request, posted out of order among others."""
    numbers = [3, 0, 6, 2, 5, 1, 4]
    found = dict(zip(numbers, store(tenant, [entry(number) for number in numbers]), strict=True))
    store(tenant, [entry(number, request_id="r/2") for number in range(3)] + [{}])
    return [found[number] for number in range(7)]


@pytest.fixture(scope="module")
def reader(tenant: Tenant) -> Api:
    return Api(new_key(tenant, "logs:read"))


def path_of(request_id: str) -> str:
    return REQUESTS + quote(request_id, safe="")


def test_entries_come_oldest_first_with_their_offsets(reader: Api, ids: list[str]) -> None:
    answer = reader.get(path_of("r/1")).json()
    assert [one["id"] for one in answer["results"]] == ids
    assert [one["offset_ms"] for one in answer["results"]] == [number * 18_000_000.25 for number in range(7)]
    assert (answer["request_id"], answer["has_more"], answer["next"]) == ("r/1", False, None)
    by_search = {one["id"]: one for one in reader.get(LOGS, request_id="r/1").json()["results"]}
    assert [{name: value for name, value in one.items() if name != "offset_ms"} for one in answer["results"]] == [by_search[id] for id in ids]


def test_summary_is_of_all_pages(reader: Api, ids: list[str]) -> None:
    whole = reader.get(path_of("r/1")).json()["summary"]
    assert (whole["entry_count"], whole["duration_ms"], whole["worst_severity"]) == (7, 6 * 18_000_000.25, "ERROR")
    assert (whole["users"], whole["actions"], whole["outcomes"]) == (["alice", "bob"], ["UPDATE"], {"success": 7})
    assert [(one["resource_id"], one["entry_count"]) for one in whole["resources"]] == [("i-0", 2), ("i-1", 2), ("i-2", 2), ("i-3", 1)]
    assert whole["is_whole"] is True
    first = reader.get(path_of("r/1"), limit=3)
    second = reader.get(first.json()["next"]).json()
    assert first.json()["summary"] == second["summary"] == whole
    assert first["Link"] == f'<{first.json()["next"]}>; rel="next"'


@pytest.mark.parametrize("limit", [1, 3, 6, 7])
def test_pages_are_the_timeline_in_pieces(reader: Api, ids: list[str], limit: int) -> None:
    found, path = [], path_of("r/1") + f"?limit={limit}"
    while path:
        page = reader.get(path).json()
        assert page["has_more"] == (page["next"] is not None)
        found += [(one["id"], one["offset_ms"]) for one in page["results"]]
        path = page["next"]
    assert found == [(id, number * 18_000_000.25) for number, id in enumerate(ids)]


def test_entry_that_comes_in_between_two_pages_does_not_disturb_them(tenant: Tenant, reader: Api) -> None:
    def late(number: int) -> dict[str, Any]:
        return entry(number, request_id="late")

    ids = store(tenant, [late(1), late(2), late(3)])
    page = reader.get(path_of("late"), limit=2).json()
    store(tenant, [late(0)])
    following = reader.get(page["next"]).json()
    assert [one["id"] for one in page["results"] + following["results"]] == ids
    assert following["summary"]["entry_count"] == 4


def test_range_bounds_entries_and_summary(reader: Api, ids: list[str]) -> None:
    answer = reader.get(path_of("r/1"), **{"from": moment(2).isoformat(), "to": moment(5).isoformat()}).json()
    assert [one["id"] for one in answer["results"]] == ids[2:5]
    assert (answer["summary"]["entry_count"], answer["results"][0]["offset_ms"]) == (3, 0.0)


def test_summary_of_a_large_request_is_bounded(reader: Api, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MAX_SUMMARISED", 4)
    summary = reader.get(path_of("r/1"), limit=2).json()["summary"]
    assert (summary["entry_count"], summary["is_whole"], summary["duration_ms"]) == (4, False, 6 * 18_000_000.25)
    assert [one["resource_id"] for one in summary["resources"]] == ["i-0", "i-1"]


def test_role_user_sees_their_own_entries_only_and_a_clock_of_their_own(tenant: Tenant, reader: Api, ids: list[str]) -> None:
    bob = Api(new_token(tenant, Role.USER, "bob"))
    answer = bob.get(path_of("r/1")).json()
    assert [one["id"] for one in answer["results"]] == [id for number, id in enumerate(ids) if number % 3]
    assert (answer["results"][0]["offset_ms"], answer["summary"]["users"], answer["summary"]["entry_count"]) == (0.0, ["bob"], 4)
    paged = bob.get(path_of("r/1"), limit=1).json()
    assert paged["summary"] == answer["summary"]
    assert_refused(Api(new_token(tenant, Role.USER, "carol")).get(path_of("r/1")), 404, "not_found")
    cursor = reader.get(path_of("r/1"), limit=1).json()["next"].partition("cursor=")[2]
    assert_refused(bob.get(path_of("r/1"), cursor=cursor), 422, "invalid_query", fault="cursor_of_other_query")


def test_another_tenant_has_its_own_request_of_that_id_or_none(tenant: Tenant, reader: Api, ids: list[str]) -> None:
    other = new_tenant()
    mallory = Api(new_key(other))
    refused = mallory.get(path_of("r/1"))
    assert_refused(refused, 404, "not_found")
    assert not any(id in refused.content.decode() for id in ids)
    own = store(other, [{"request_id": "r/1"}])
    answer = mallory.get(path_of("r/1")).json()
    assert ([one["id"] for one in answer["results"]], answer["summary"]["entry_count"]) == (own, 1)
    following = reader.get(path_of("r/1"), limit=1).json()["next"]
    assert_refused(mallory.get(following), 422, "invalid_query", fault="cursor_of_other_query")
    assert reader.get(path_of("r/1")).json()["summary"]["entry_count"] == 7


@pytest.mark.parametrize("request_id", ["unknown", "r", "r/1/", "R/1", "a" * 257, "a" * 5000, "\x00", "r/1\x00"])
def test_id_of_no_entry_is_not_found(reader: Api, ids: list[str], request_id: str) -> None:
    assert_refused(reader.get(path_of(request_id)), 404, "not_found")


@pytest.mark.parametrize(
    ("query", "pointer", "fault"),
    [
        ("user_id=alice", "user_id", "unknown_parameter"),
        ("limit=0", "limit", "bad_limit"),
        ("limit=1001", "limit", "bad_limit"),
        ("limit=1&limit=1", "limit", "repeated"),
        ("cursor=AAAA", "cursor", "bad_cursor"),
        ("cursor=", "cursor", "empty"),
        ("from=yesterday", "from", "bad_timestamp"),
    ],
)
def test_wrong_question_is_refused(reader: Api, ids: list[str], query: str, pointer: str, fault: str) -> None:
    assert_refused(reader.get(f"{path_of('r/1')}?{query}"), 422, "invalid_query", fault=fault, pointer=pointer)
    assert_refused(reader.get(f"{path_of(chr(0))}?{query}"), 422, "invalid_query", fault=fault, pointer=pointer)


def test_cursor_of_a_search_does_not_lead_into_a_timeline(reader: Api, ids: list[str]) -> None:
    cursor = reader.get(LOGS, request_id="r/1", limit=2).json()["next"].partition("cursor=")[2]
    assert_refused(reader.get(path_of("r/1"), cursor=cursor), 422, "invalid_query", fault="cursor_of_other_query")


# -- over the wire

STRANGE = [
    "a/b", "/a", "a/", "//", "a//b", "a/../b", ".../x", " ", "a b", " a ", "a+b", "a%2Fb", "%", "100%", "%00", "%zz", "a?b=c&d", "a#b", "a;b,c", "a:b@c",
    "ü-Ζωή-日本", "😀", "a\nb", "\r\n", "\t", "a\\b", "'\"<>`{}|^", "\u202eabc", "\ufeff", "a\u0300", "x" * 256, "é" * 256,
]  # fmt: skip


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    web = Web(product_environment()).start()
    yield web
    web.stop()


def test_any_id_is_found_over_http_by_the_link_that_it_gives(web: Web) -> None:
    """With a client that sends paths as they are: httpx and browsers would tidy some of them."""
    tenant = new_tenant()
    headers = {"Authorization": f"Bearer {new_key(tenant)}"}
    store(tenant, [{"request_id": id, "resource_id": str(number)} for id in STRANGE for number in range(2)])
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)

    def get(path: str) -> dict[str, Any]:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (path, body)
        found: dict[str, Any] = json.loads(body)
        return found

    for id in STRANGE:
        first = get(path_of(id) + "?limit=1")
        second = get(first["next"])
        assert first["request_id"] == second["request_id"] == id
        assert [one["request_id"] for one in first["results"] + second["results"]] == [id, id]
        assert (first["has_more"], second["has_more"], first["summary"]["entry_count"]) == (True, False, 2)
    for id in ("a/b", "a//b", "//"):
        # A proxy may have decoded the slashes.
        assert get(REQUESTS + id)["request_id"] == id
