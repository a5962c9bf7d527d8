"""Viewer tokens: short-lived, for reading what both their query and their minter's own rights leave."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, Membership, Role, Tenant, User, ViewerToken
from accounts.tasks import remove_old_viewer_tokens
from tests.access import forget_principals, granted_key, new_grant, row_of, viewer, viewer_token
from tests.api import LOGS, Api, assert_refused, stored_count
from tests.exporting import EXPORT, EXPORTS, body_of, lines_of
from tests.storing import new_key, new_tenant, new_token, store

TOKENS = "/api/v1/viewer-tokens"
ACME = "metadata.customer:acme"


@pytest.fixture
def tenant() -> Tenant:
    tenant = new_tenant()
    store(tenant, [{"user_id": user, "metadata": {"customer": customer}} for user in ("alice", "bob") for customer in ("acme", "other")])
    return tenant


@pytest.fixture
def service(tenant: Tenant) -> str:
    return new_key(tenant, "viewers:mint", "logs:read")


def seen(api: Api) -> list[tuple[str, str]]:
    answer = api.get(LOGS)
    assert answer.status_code == 200, answer.content
    return sorted((entry["user_id"], entry["metadata"]["customer"]) for entry in answer.json()["results"] if "customer" in entry.get("metadata", {}))


def row_of_token(token: str) -> ViewerToken:
    return ViewerToken.objects.get(prefix=token.removeprefix("alv_")[:12])


def test_service_mints_a_token_that_shows_one_customer(tenant: Tenant, service: str) -> None:
    made = Api(service).post(TOKENS, {"query": ACME, "label": "acme's page"})
    assert made.status_code == 201, made.content
    token = made.json()["token"]
    assert seen(Api(token)) == [("alice", "acme"), ("bob", "acme")]
    row = row_of_token(token)
    assert token[17:].encode() not in bytes(row.digest)
    assert datetime.timedelta(minutes=14) < row.expires_at - timezone.now() <= datetime.timedelta(minutes=15)
    listed = Api(service).get(TOKENS)
    assert token[17:] not in listed.content.decode()
    [shown] = listed.json()["results"]
    assert (shown["label"], shown["query"], shown["minted_by"]) == ("acme's page", ACME, f"key:{row_of(service).prefix}")
    assert Api(None, **{"X-API-Key": token}).get(LOGS).status_code == 200
    assert_refused(Api(token, **{"X-Tenant": new_tenant().slug}).get(LOGS), 403, "not_allowed")


def test_counts_and_other_ways_show_no_more(tenant: Tenant, service: str) -> None:
    api = viewer(tenant, ACME, minter=service)
    assert api.get(f"{LOGS}/stats").json()["totals"]["total"] == 2
    assert api.get(LOGS, q="metadata.customer:other").json()["results"] == []
    assert api.get(LOGS, q="-metadata.customer:acme OR user:alice").json()["results"][0]["metadata"] == {"customer": "acme"}
    assert b"other" not in api.get(f"{LOGS}/facets").content


def test_viewer_may_nothing_but_read(tenant: Tenant, service: str) -> None:
    api = viewer(tenant, ACME, minter=service)
    before = stored_count(tenant)
    for method, path, body in (
        ("POST", LOGS, {"user_id": "x", "action": "A", "resource_type": "y"}),
        ("POST", TOKENS, {"query": "user:bob"}),
        ("GET", TOKENS, None),
        ("GET", EXPORT + "?format=ndjson", None),
        ("POST", EXPORTS, {"format": "ndjson"}),
        ("GET", "/api/v1/saved-searches", None),
        ("GET", "/api/v1/actions", None),
        ("GET", "/api/v1/api-keys", None),
        ("GET", "/api/v1/members", None),
        ("GET", "/api/v1/grants", None),
    ):
        answer = api.get(path) if method == "GET" else api.send(method, path, body)
        assert_refused(answer, 403, "not_allowed")
    assert_refused(api.get("/api/v1/auth/me"), 401, "not_authenticated")
    assert stored_count(tenant) == before
    assert ViewerToken.objects.filter(tenant=tenant).count() == 1


def test_viewer_that_may_export_exports_what_it_sees(tenant: Tenant, service: str) -> None:
    api = viewer(tenant, ACME, minter=service, may_export=True)
    assert {line["metadata"]["customer"] for line in lines_of(body_of(api.get(EXPORT, format="ndjson")))} == {"acme"}


def test_nobody_lets_others_export_who_may_not(tenant: Tenant) -> None:
    for key in (new_key(tenant, "viewers:mint"), granted_key(tenant, new_grant(tenant))):
        assert_refused(Api(key).post(TOKENS, {"query": ACME, "may_export": True}), 403, "not_allowed")
    assert not ViewerToken.objects.filter(tenant=tenant).exists()


def test_what_the_minter_may_not_see_its_token_does_not_show(tenant: Tenant) -> None:
    grant = new_grant(tenant, forced_query="user:alice", may_export=True)
    key = granted_key(tenant, grant)
    token = viewer_token(tenant, ACME, minter=key, may_export=True)
    assert seen(Api(token)) == [("alice", "acme")]
    grant.forced_query, grant.may_export = "user:bob", False
    grant.save()
    forget_principals()
    assert seen(Api(token)) == [("bob", "acme")]
    assert_refused(Api(token).get(EXPORT, format="ndjson"), 403, "not_allowed")
    grant.is_active = False
    grant.save()
    forget_principals()
    assert_refused(Api(token).get(LOGS), 401, "revoked_viewer_token")


@pytest.mark.parametrize("change", ["revoked", "expired", "scope", "grant"])
def test_token_ends_with_the_key_that_minted_it(tenant: Tenant, service: str, change: str) -> None:
    api = viewer(tenant, ACME, minter=service)
    assert len(seen(api)) == 2
    key = ApiKey.objects.filter(pk=row_of(service).pk)
    match change:
        case "revoked":
            key.update(revoked_at=timezone.now())
        case "expired":
            key.update(expires_at=timezone.now())
        case "scope":
            key.update(scopes=["logs:read"])
        case _:
            key.update(grant=new_grant(tenant, is_active=False))
    forget_principals()
    answer = api.get(LOGS)
    assert_refused(answer, 401, "revoked_viewer_token")
    assert "acme" not in answer.content.decode()


@pytest.mark.parametrize("change", ["role", "inactive", "gone"])
def test_token_ends_with_the_admin_who_minted_it(tenant: Tenant, change: str) -> None:
    admin = Api(new_token(tenant, Role.ADMIN))
    token = admin.post(TOKENS, {"query": ACME}).json()["token"]
    assert len(seen(Api(token))) == 2
    member = Membership.objects.filter(tenant=tenant)
    match change:
        case "role":
            member.update(role=Role.AUDITOR)
        case "inactive":
            User.objects.filter(memberships__in=member).update(is_active=False)
        case _:
            member.delete()
    forget_principals()
    assert Api(token).get(LOGS).status_code == 401


def test_revoked_token_is_refused(tenant: Tenant, service: str) -> None:
    made = Api(service).post(TOKENS, {"query": ACME}).json()
    assert len(seen(Api(made["token"]))) == 2
    assert Api(service).send("DELETE", f"{TOKENS}/{made['id']}").status_code == 204
    forget_principals()
    assert_refused(Api(made["token"]).get(LOGS), 401, "revoked_viewer_token")
    revoked_at = row_of_token(made["token"]).revoked_at
    assert Api(service).send("DELETE", f"{TOKENS}/{made['id']}").status_code == 204
    assert row_of_token(made["token"]).revoked_at == revoked_at


def test_expired_token_is_refused_in_the_cache_time_as_well(tenant: Tenant, service: str) -> None:
    token = viewer_token(tenant, ACME, minter=service, seconds=1)
    api = Api(token)
    assert len(seen(api)) == 2
    while row_of_token(token).expires_at > timezone.now():
        pass
    assert_refused(api.get(LOGS), 401, "expired_viewer_token")


@pytest.mark.parametrize("token", ["alv_", "alv_x", f"alv_{'a' * 12}_{'b' * 43}", f"alv_{'a' * 12}_{'b' * 42}"])
def test_unknown_token_is_refused(token: str) -> None:
    assert_refused(Api(token).get(LOGS), 401, "unknown_viewer_token")


def test_token_with_another_secret_is_refused(tenant: Tenant, service: str) -> None:
    token = viewer_token(tenant, ACME, minter=service)
    other = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert_refused(Api(other).get(LOGS), 401, "unknown_viewer_token")


def test_a_key_sees_and_revokes_the_tokens_that_it_minted_and_admins_all(tenant: Tenant, service: str) -> None:
    id = Api(service).post(TOKENS, {"query": ACME}).json()["id"]
    stranger, mallory = Api(new_key(tenant, "viewers:mint")), Api(new_token(new_tenant(), Role.ADMIN))
    for api in (stranger, mallory):
        assert api.get(TOKENS).json() == {"results": [], "next": None}
        assert_refused(api.send("DELETE", f"{TOKENS}/{id}"), 404, "not_found")
    assert ViewerToken.objects.get(pk=id).revoked_at is None
    admin = Api(new_token(tenant, Role.ADMIN))
    assert [token["id"] for token in admin.get(TOKENS).json()["results"]] == [id]
    assert admin.send("DELETE", f"{TOKENS}/{id}").status_code == 204


@pytest.mark.parametrize(
    ("body", "fault", "pointer"),
    [
        ({}, "required", "/query"),
        ({"query": " "}, "blank", "/query"),
        ({"query": "usr:alice"}, "unknown_qualifier", "/query"),
        ({"query": 5}, "invalid", "/query"),
        ({"query": ACME, "expires_in_seconds": 59}, "min_value", "/expires_in_seconds"),
        ({"query": ACME, "expires_in_seconds": 86_401}, "max_value", "/expires_in_seconds"),
        ({"query": ACME, "scopes": ["logs:write"]}, "unknown_field", "/scopes"),
        ({"query": ACME, "token": "alv_mine"}, "unknown_field", "/token"),
        ({"query": "a" * 4097}, "max_length", "/query"),
    ],
)
def test_token_that_would_show_something_else_is_refused(tenant: Tenant, service: str, body: Any, fault: str, pointer: str) -> None:
    assert_refused(Api(service).post(TOKENS, body), 422, "invalid", fault=fault, pointer=pointer)
    assert not ViewerToken.objects.filter(tenant=tenant).exists()


def test_rows_are_removed_thirty_days_after_the_end(tenant: Tenant, service: str) -> None:
    old, new = viewer_token(tenant, ACME, minter=service), viewer_token(tenant, ACME, minter=service)
    for token, days in ((old, 31), (new, 29)):
        ViewerToken.objects.filter(pk=row_of_token(token).pk).update(expires_at=timezone.now() - datetime.timedelta(days=days))
    assert remove_old_viewer_tokens() >= 1
    assert [token.prefix for token in ViewerToken.objects.filter(tenant=tenant)] == [new[4:16]]


def test_entries_name_the_viewer_and_not_its_secret(tenant: Tenant, service: str) -> None:
    token = viewer_token(tenant, ACME, minter=service)
    assert token not in json.dumps(Api(service).get(LOGS).json())


def test_admin_page_lists_and_revokes_tokens(tenant: Tenant, service: str) -> None:
    token = viewer_token(tenant, ACME, minter=service)
    client = Client()
    client.force_login(User.objects.create_superuser(f"s{tenant.slug}", password="x"))
    assert token[4:16] in client.get("/admin/accounts/viewertoken/").content.decode()
    done = client.post("/admin/accounts/viewertoken/", {"action": "revoke", "_selected_action": [row_of_token(token).pk]})
    assert done.status_code == 302
    assert row_of_token(token).revoked_at is not None
    assert client.get("/admin/accounts/viewertoken/add/").status_code == 403
