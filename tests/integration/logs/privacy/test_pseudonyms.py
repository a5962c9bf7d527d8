"""Tenants whose log holds pseudonyms: who finds whom, and who learns who that is."""

from __future__ import annotations

import json
import re

import pytest

from accounts.models import Role, Tenant
from logs.search.pseudonyms import rewritten
from logs.search.tree import All, AnyOf, Not, TextIs
from tests.api import LOGS, NOT_OWN, Api, PostedApi, entry, service_of
from tests.encrypting import encrypting_tenant, reader_of, settle
from tests.exporting import EXPORT, body_of, lines_of, searched
from tests.storing import new_token
from tests.superuser import superuser


@pytest.fixture
def tenant() -> Tenant:
    tenant = encrypting_tenant()
    settle(tenant, pseudonymises_users=True)
    return tenant


@pytest.fixture
def service(tenant: Tenant) -> Api:
    return service_of(tenant)


def post(service: Api, *user_ids: str) -> list[str]:
    return [str(service.post(LOGS, entry(user_id=user_id)).json()["id"]) for user_id in user_ids]


def ids(api: Api, **question: str) -> set[str]:
    answer = api.get(LOGS, **question)
    assert answer.status_code == 200, answer.content
    return {found["id"] for found in answer.json()["results"]}


def test_user_is_a_pseudonym_to_everybody_and_named_to_who_may_decrypt(tenant: Tenant, service: Api) -> None:
    alice, again, bob = post(service, "alice", "alice", "bob")
    found = {one["id"]: one for one in service.get(LOGS).json()["results"]}
    assert found[alice]["user_id"] == found[again]["user_id"] != found[bob]["user_id"]
    assert re.fullmatch("p_[0-9a-f]{32}", found[alice]["user_id"])
    assert [found[id]["subject"] for id in (alice, again, bob)] == ["alice", "alice", "bob"]
    content = reader_of(tenant).get(LOGS).content
    assert b"alice" not in content
    assert b"subject" not in content
    assert found[alice]["user_id"].encode() in content


def test_true_id_finds_entries_for_who_may_decrypt_alone(tenant: Tenant, service: Api) -> None:
    alice, bob = post(service, "alice", "bob")
    for question in ({"user_id": "alice"}, {"q": "user:alice"}, {"q": "-user:bob"}, {"q": "(user:alice OR user:carol)"}):
        assert ids(service, **question) == {alice}, question
    hidden = reader_of(tenant)
    assert ids(hidden, user_id="alice") == ids(hidden, q="user:alice") == set()
    assert ids(hidden, q=f"-user:bob {NOT_OWN}") == {alice, bob}
    pseudonym = service.get(f"{LOGS}/{alice}").json()["user_id"]
    assert ids(hidden, user_id=pseudonym) == ids(service, user_id=pseudonym) == {alice}


def test_role_user_sees_own_entries_from_before_and_after_the_switch(tenant: Tenant, service: Api) -> None:
    settle(tenant, pseudonymises_users=False)
    (before,) = post(service, "alice")
    settle(tenant, pseudonymises_users=True)
    after, bob = post(service, "alice", "bob")
    alice = PostedApi(new_token(tenant, Role.USER, "alice"))
    assert ids(alice) == {before, after}
    assert alice.get(f"{LOGS}/{after}").status_code == 200
    assert alice.get(f"{LOGS}/{bob}").status_code == 404
    assert ids(service, user_id="alice") == {before, after}
    assert {one["id"] for one in lines_of(body_of(alice.get(EXPORT, format="ndjson")))} == {before, after}


def test_statistics_count_users_by_pseudonym(tenant: Tenant, service: Api) -> None:
    post(service, "alice", "alice", "bob")
    assert service.get("/api/v1/logs/stats", user_id="alice").json()["totals"]["total"] == 2
    assert reader_of(tenant).get("/api/v1/logs/stats", user_id="alice").json()["totals"]["total"] == 0
    assert b"alice" not in service.get("/api/v1/logs/facets", fields="user_id").content


def test_exported_lines_name_users_as_search_does(tenant: Tenant, service: Api) -> None:
    post(service, "alice", "bob")
    for api in (service, reader_of(tenant)):
        assert lines_of(body_of(api.get(EXPORT, format="ndjson", q=NOT_OWN))) == searched(api, q=NOT_OWN)
        assert ("alice" in body_of(api.get(EXPORT, format="ndjson")).decode()) == (api is service)
    for format in ("csv", "parquet"):
        assert b"alice" not in body_of(service.get(EXPORT, format=format))


def test_erased_user_is_nobody_any_more(tenant: Tenant, service: Api) -> None:
    (id,) = post(service, "alice")
    with superuser() as database:
        database.execute(
            "UPDATE auditlog.logs_data_key SET wrapped_key = NULL, wrapped_subject = NULL, subject_digest = NULL, erased_at = now() WHERE tenant_id = %s",
            [tenant.id],
        )
    found = service.get(f"{LOGS}/{id}").json()
    assert "subject" not in found
    assert "alice" not in json.dumps(found)
    assert ids(service, user_id="alice") == set()


def test_pseudonyms_stand_beside_ids_wherever_a_user_is_asked_for() -> None:
    alice, other = TextIs("user_id", ("alice", "bob")), TextIs("action", ("alice",))
    both = TextIs("user_id", ("alice", "bob", "p_1"))
    assert rewritten(All((alice, Not(AnyOf((alice, other))))), {"alice": "p_1"}) == All((both, Not(AnyOf((both, other)))))
