"""Saved searches: kept by persons, shared in the tenant, run with the rights of whoever runs them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from redis.exceptions import ConnectionError as RedisAway

from accounts.models import Role, Tenant, User
from logs.models import SavedSearch
from logs.saved_searches import changing, forget
from tests.api import LOGS, Api, assert_refused
from tests.storing import new_key, new_tenant, new_token, store

SAVED = "/api/v1/saved-searches"
QUERY = {"action": ["UPDATE"], "user_id": ["alice", "bob"]}


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def alice(tenant: Tenant) -> Api:
    """An Auditor."""
    return Api(new_token(tenant, Role.AUDITOR))


@pytest.fixture
def bob(tenant: Tenant) -> Api:
    """Another Auditor."""
    return Api(new_token(tenant, Role.AUDITOR))


@pytest.fixture
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN))


@pytest.fixture
def key(tenant: Tenant) -> Api:
    return Api(new_key(tenant, "logs:read"))


def save(api: Api, name: str = "mine", **fields: Any) -> str:
    """Save a search. Answers its address."""
    answer = api.post(SAVED, {"name": name, "query": QUERY, **fields})
    assert answer.status_code == 201, answer.content
    return answer["Location"]


def names(api: Api) -> list[str]:
    return [one["name"] for one in api.get(SAVED).json()["results"]]


def test_saved_search_is_read_back(alice: Api) -> None:
    answer = alice.post(SAVED, {"name": "Zoë's", "description": "d", "query": QUERY, "is_shared": True})
    found = alice.get(answer["Location"])
    assert found.json() == answer.json()
    assert found["ETag"] == answer["ETag"]
    expected = {"name": "Zoë's", "description": "d", "query": QUERY, "is_shared": True, "is_own": True, "may_change": True}
    assert {name: found.json()[name] for name in expected} == expected
    assert found.json()["search"] == "/api/v1/logs?action=UPDATE&user_id=alice&user_id=bob"


def test_unshared_is_its_owner_s_alone(alice: Api, bob: Api, admin: Api, key: Api) -> None:
    path = save(alice)
    for other in (bob, admin, key):
        assert names(other) == []
        for answer in (other.get(path), other.get(path + "/entries"), other.send("PATCH", path, {"is_shared": True}), other.send("DELETE", path)):
            assert_refused(answer, 404, "not_found")
    assert names(alice) == ["mine"]
    assert alice.get(path).json()["is_shared"] is False


def test_shared_is_seen_by_all_who_may_read_and_changed_by_owner_and_admins(tenant: Tenant, alice: Api, bob: Api, admin: Api, key: Api) -> None:
    path = save(alice, is_shared=True)
    user = Api(new_token(tenant, Role.USER, "carol"))
    for other in (bob, key, user):
        found = other.get(path).json()
        assert (found["is_own"], found["may_change"]) == (False, False)
        assert names(other) == ["mine"]
        assert_refused(other.send("PATCH", path, {"name": "theirs"}), 403, "not_allowed")
        assert_refused(other.send("DELETE", path), 403, "not_allowed")
    assert admin.get(path).json()["may_change"] is True
    assert admin.send("PATCH", path, {"name": "renamed"}).json()["is_own"] is False
    assert names(alice) == names(bob) == ["renamed"]
    assert alice.send("PATCH", path, {"is_shared": False}).status_code == 200
    assert (names(alice), names(bob), names(admin)) == (["renamed"], [], [])


def test_running_shows_what_the_runner_may_see(tenant: Tenant, alice: Api, key: Api) -> None:
    ids = store(tenant, [{"user_id": "alice"}, {"user_id": "bob"}, {"user_id": "carol"}])
    path = save(alice, is_shared=True) + "/entries"

    def seen(api: Api) -> set[str]:
        return {one["id"] for one in api.get(path).json()["results"]}

    assert seen(alice) == seen(key) == set(ids[:2])
    assert seen(Api(new_token(tenant, Role.USER, "bob"))) == {ids[1]}
    assert seen(Api(new_token(tenant, Role.USER, "carol"))) == set()


def test_what_a_user_shares_shows_an_auditor_everything_that_it_asks(tenant: Tenant, alice: Api) -> None:
    ids = store(tenant, [{"user_id": "alice"}, {"user_id": "bob"}])
    path = save(Api(new_token(tenant, Role.USER, "bob")), is_shared=True)
    assert {one["id"] for one in alice.get(path + "/entries").json()["results"]} == set(ids)


def test_a_run_comes_in_pages_that_are_search_s(tenant: Tenant, alice: Api) -> None:
    store(tenant, [{}] * 5)
    path: str | None = save(alice) + "/entries?limit=2"
    found = []
    while path:
        answer = alice.get(path)
        page = answer.json()
        found += [one["id"] for one in page["results"]]
        path = page["next"]
        assert path is None or f'<{path}>; rel="next"' in answer["Link"]
    assert found == [one["id"] for one in alice.get(LOGS, **QUERY).json()["results"]]
    assert len(found) == 5


def test_cursor_does_not_outlive_the_question(tenant: Tenant, alice: Api) -> None:
    store(tenant, [{}] * 3)
    path = save(alice)
    following = alice.get(path + "/entries", limit=1).json()["next"]
    alice.send("PATCH", path, {"query": {"user_id": ["alice"]}})
    assert_refused(alice.get(following), 422, "invalid_query", fault="cursor_of_other_query")


def test_run_takes_no_filters(alice: Api) -> None:
    path = save(alice) + "/entries"
    assert_refused(alice.get(path, user_id="carol"), 422, "invalid_query", fault="unknown_parameter", pointer="user_id")
    assert_refused(alice.get(path, limit=0), 422, "invalid_query", fault="bad_limit")


def test_another_tenant_has_none_of_it(tenant: Tenant, alice: Api) -> None:
    path = save(alice, "shared", is_shared=True)
    store(tenant, [{}])
    mallory = Api(new_token(new_tenant(), Role.ADMIN))
    assert mallory.get(SAVED).json() == {"results": [], "next": None}
    for answer in (mallory.get(path), mallory.get(path + "/entries"), mallory.send("PATCH", path, {"name": "x"}), mallory.send("DELETE", path)):
        assert_refused(answer, 404, "not_found")
        assert b"shared" not in answer.content
    assert names(alice) == ["shared"]
    # Their own of the same question runs over their own entries.
    assert mallory.get(save(mallory) + "/entries").json()["results"] == []


def test_api_keys_save_none(tenant: Tenant, key: Api) -> None:
    problem = assert_refused(key.post(SAVED, {"name": "x", "query": {}}), 403, "not_allowed")
    assert "API key" in problem["detail"]
    assert not SavedSearch.objects.filter(tenant=tenant).exists()


WRONG: list[tuple[Any, str, str]] = [
    ({"query": {}}, "/name", "missing_field"),
    ({"name": "x"}, "/query", "missing_field"),
    ({"name": "", "query": {}}, "/name", "too_short"),
    ({"name": "  ", "query": {}}, "/name", "empty"),
    ({"name": "x" * 201, "query": {}}, "/name", "too_long"),
    ({"name": 7, "query": {}}, "/name", "wrong_type"),
    ({"name": "x", "description": "x" * 2001, "query": {}}, "/description", "too_long"),
    ({"name": "x", "query": []}, "/query", "wrong_type"),
    ({"name": "x", "query": {"user_id": "alice"}}, "/query/...", "wrong_type"),
    ({"name": "x", "query": {"user_id": []}}, "/query/...", "too_short"),
    ({"name": "x", "query": {"user_id": [""]}}, "/query/.../0", "too_short"),
    ({"name": "x", "query": {"user_id": ["a"] * 101}}, "/query/...", "too_long"),
    ({"name": "x", "query": {"usr/id": ["alice"]}}, "/query/usr~1id", "unknown_parameter"),
    ({"name": "x", "query": {"limit": ["5"]}}, "/query/limit", "unknown_parameter"),
    ({"name": "x", "query": {"cursor": ["AAAA"]}}, "/query/cursor", "unknown_parameter"),
    ({"name": "x", "query": {"severity": ["GRAVE"]}}, "/query/severity", "unknown_value"),
    ({"name": "x", "query": {"from": ["2026-01-01T00:00:00Z"] * 2}}, "/query/from", "repeated"),
    ({"name": "x", "query": {"user_id": ["a" * 500 + str(number) for number in range(20)]}}, "/query", "query_too_large"),
    ({"name": "x", "query": {}, "is_shared": "yes"}, "/is_shared", "wrong_type"),
    ({"name": "x", "query": {}, "owner": "bob"}, "/owner", "unknown_field"),
    ([], "", "wrong_type"),
]


@pytest.mark.parametrize(("body", "pointer", "fault"), WRONG, ids=[f"{pointer}-{fault}" for _, pointer, fault in WRONG])
def test_what_search_would_refuse_is_not_saved(alice: Api, body: Any, pointer: str, fault: str) -> None:
    assert_refused(alice.post(SAVED, body), 422, "invalid", fault=fault, pointer=pointer)
    assert names(alice) == []
    if isinstance(body, dict) and fault != "missing_field":
        path = save(alice)
        assert_refused(alice.send("PATCH", path, body), 422, "invalid", fault=fault, pointer=pointer)
        assert names(alice) == ["mine"]


@pytest.mark.parametrize("body", [b" ", b"{", b'{"name": "\\u0000", "query": {}}', b'{"name": "\\ud800", "query": {}}', b"\xff"])
def test_what_is_no_json_is_refused(alice: Api, body: bytes) -> None:
    assert_refused(alice.post(SAVED, body), 400, "bad_request")
    assert names(alice) == []


def test_name_is_unique_for_its_owner(alice: Api, bob: Api) -> None:
    save(alice, "one")
    path = save(alice, "two")
    save(bob, "one")
    assert_refused(alice.post(SAVED, {"name": "one", "query": {}}), 422, "invalid", fault="exists", pointer="/name")
    assert_refused(alice.send("PATCH", path, {"name": "one"}), 422, "invalid", fault="exists", pointer="/name")
    assert names(alice) == ["two", "one"]


def test_one_has_no_more_than_the_limit_even_at_once(alice: Api, bob: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changing, "MAX_PER_OWNER", 3)

    def save_number(number: int) -> int:
        status = alice.post(SAVED, {"name": str(number), "query": {}}).status_code
        connection.close()
        return status

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(save_number, range(8)))
    assert sorted(statuses) == [201] * 3 + [422] * 5
    assert_refused(alice.post(SAVED, {"name": "more", "query": {}}), 422, "invalid", fault="too_many_saved_searches")
    assert len(names(alice)) == 3
    save(bob)


def test_change_of_what_has_changed_is_refused(alice: Api) -> None:
    path = save(alice)
    first = alice.get(path)["ETag"]
    changed = alice.send("PATCH", path, {"description": "new"}, If_Match=first)
    assert changed.json()["description"] == "new"
    for etag in (first, '"nonsense"', "nonsense", "", f"W/{changed['ETag']}"):
        refused = alice.send("PATCH", path, {"description": "newer"}, If_Match=etag)
        assert_refused(refused, 412, "changed_meanwhile")
        assert refused["ETag"] == changed["ETag"]
        assert_refused(alice.send("DELETE", path, If_Match=etag), 412, "changed_meanwhile")
    assert alice.get(path).json()["description"] == "new"
    assert alice.send("PATCH", path, {"description": "newer"}, If_Match=f'"other", {changed["ETag"]}').status_code == 200
    assert alice.send("PATCH", path, {}, If_Match="*").status_code == 200
    assert alice.send("DELETE", path, If_Match=alice.get(path)["ETag"]).status_code == 204
    assert_refused(alice.get(path), 404, "not_found")


def test_of_two_changes_at_once_one_is_refused(alice: Api) -> None:
    path = save(alice)
    etag = alice.get(path)["ETag"]

    def change(number: int) -> int:
        status = alice.send("PATCH", path, {"description": str(number)}, If_Match=etag).status_code
        connection.close()
        return status

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(change, range(4))) == [200, 412, 412, 412]
    assert alice.get(path)["ETag"] != etag


def test_change_of_nothing_is_no_change(alice: Api) -> None:
    path = save(alice)
    before = alice.get(path)
    after = alice.send("PATCH", path, {})
    assert (after.json(), after["ETag"]) == (before.json(), before["ETag"])


def test_list_comes_in_pages(alice: Api) -> None:
    for number in range(5):
        save(alice, str(number))
    path, found = f"{SAVED}?limit=2", []
    while path:
        page = alice.get(path).json()
        found += [one["name"] for one in page["results"]]
        path = page["next"]
    assert found == ["4", "3", "2", "1", "0"]
    assert_refused(alice.get(SAVED, before="x"), 422, "invalid_query", pointer="before")


@pytest.mark.parametrize("id", ["0", "9" * 18, "9" * 60])
def test_id_of_none_is_not_found(alice: Api, id: str) -> None:
    for answer in (
        alice.get(f"{SAVED}/{id}"),
        alice.get(f"{SAVED}/{id}/entries"),
        alice.send("PATCH", f"{SAVED}/{id}", {}),
        alice.send("DELETE", f"{SAVED}/{id}"),
    ):
        assert_refused(answer, 404, "not_found")


def test_saved_question_that_search_takes_no_longer_is_refused_when_run(tenant: Tenant, alice: Api) -> None:
    path = save(alice)
    SavedSearch.objects.filter(tenant=tenant).update(query={"gone": ["x"]})
    forget(tenant.id)
    assert_refused(alice.get(path + "/entries"), 422, "invalid_query", fault="unknown_parameter", pointer="gone")


# -- the cache


def queries_of(api: Api, path: str) -> list[str]:
    """Statements about saved searches that a GET sends."""
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert api.get(path).status_code == 200
    return [query["sql"] for query in captured if "logs_savedsearch" in query["sql"]]


def test_what_was_read_once_is_not_looked_up_again_until_it_changes(alice: Api, bob: Api) -> None:
    path = save(alice, is_shared=True)
    for read in (path, SAVED):
        assert len(queries_of(alice, read)) == 1
        assert queries_of(alice, read) == []
    assert queries_of(bob, path) == []
    alice.send("PATCH", path, {"name": "new"})
    assert bob.get(path).json()["name"] == "new"
    assert names(alice) == names(bob) == ["new"]
    alice.send("DELETE", path)
    assert names(alice) == names(bob) == []
    assert_refused(bob.get(path), 404, "not_found")


def test_refused_change_leaves_the_cache_alone(alice: Api) -> None:
    path = save(alice)
    alice.get(path)
    assert_refused(alice.send("PATCH", path, {"name": "x"}, If_Match='"0"'), 412, "changed_meanwhile")
    assert queries_of(alice, path) == []


def test_without_redis_it_is_looked_up(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(alice)

    def away(*_: Any, **__: Any) -> Any:
        raise RedisAway

    for name in ("get", "set", "add", "get_or_set"):
        monkeypatch.setattr(cache, name, away)
    assert alice.send("PATCH", path, {"name": "new"}).status_code == 200
    assert names(alice) == ["new"]
    assert alice.get(path).json()["name"] == "new"


# -- the admin


def test_change_in_the_admin_is_seen_at_once(client: Any, alice: Api, bob: Api) -> None:
    path = save(alice, is_shared=True)
    etag = bob.get(path)["ETag"]
    client.force_login(User.objects.create_superuser(f"root-{path[-8:]}".replace("/", "-"), password="irrelevant"))
    page = f"/admin/logs/savedsearch/{path.rpartition('/')[2]}"
    assert client.get("/admin/logs/savedsearch/").status_code == client.get(page + "/change/").status_code == 200
    assert client.post(page + "/change/", {"description": "by the admin", "is_shared": "on"}).status_code == 302
    found = bob.get(path)
    assert (found.json()["description"], found.json()["query"], found["ETag"] != etag) == ("by the admin", QUERY, True)
    assert client.post(page + "/delete/", {"post": "yes"}).status_code == 302
    assert_refused(bob.get(path), 404, "not_found")
