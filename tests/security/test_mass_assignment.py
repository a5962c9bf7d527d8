"""Fields that the server sets, sent by a client: refused or without effect, in every body that something is made or changed from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accounts.models import ApiKey, Membership, Role, Tenant, User
from logs.models import ActionDefinition, ExportJob, SavedSearch
from tests.api import BULK, LOGS, Api, assert_refused, entry, stored_count
from tests.exporting import EXPORTS
from tests.security.test_routes import TABLE
from tests.storing import new_tenant, new_token

OTHER = "019a2b3c-4d5e-7000-8000-00000000002a"
# Every name that the server gives a value, of whatever it keeps. `id` of an entry is made of its timestamp; the rest is bookkeeping.
SERVER_SET: dict[str, Any] = {
    "id": OTHER,
    "pk": 1,
    "tenant": "another",
    "tenant_id": OTHER,
    "received_at": "2001-01-01T00:00:00Z",
    "created_at": "2001-01-01T00:00:00Z",
    "updated_at": "2001-01-01T00:00:00Z",
    "source": "key:forged",
    "integrity": {"position": 0},
    "position": 0,
    "leaf_hash": "AAAA",
    "batch_id": 1,
    "batch_index": 0,
    "masked": ["/message"],
    "is_imported": True,
    "changed_fields": ["/a"],
    "title": "forged",
    "role": "admin",
    "abilities": ["erase"],
    "is_staff": True,
    "is_superuser": True,
    "prefix": "forgedforged",
    "digest": "00" * 32,
    "key": "alk_forgedforged_" + "x" * 43,
    "created_by": 1,
    "asked_by": "user:forged",
    "owner": "forged",
    "owner_id": 1,
    "is_own": True,
    "may_change": True,
    "version": 99,
    "schema_version": 99,
    "revoked_at": "2001-01-01T00:00:00Z",
    "last_used_at": "2001-01-01T00:00:00Z",
    "state": "done",
    "file_path": "../../etc/passwd",
    "attempts": 99,
    "lease": 1,
    "manifest": {},
    "error": "forged",
}


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN, "alice"))


def with_forged(body: Any, name: str) -> Any:
    return [with_forged(item, name) for item in body] if isinstance(body, list) else {**body, name: SERVER_SET[name]}


@pytest.mark.parametrize("name", SERVER_SET)
@pytest.mark.parametrize("path", [LOGS, BULK])
def test_entry_with_a_field_of_the_servers_is_refused(tenant: Tenant, admin: Api, path: str, name: str) -> None:
    body = with_forged(entry() if path == LOGS else [entry()], name)
    pointer = f"/{name}" if path == LOGS else f"/0/{name}"
    assert_refused(admin.post(path, body), 422, "invalid_entry", pointer=pointer)
    assert stored_count(tenant) == 0


# Whatever else has a body.
# Where the table of routes has a body that is refused: one that is not.
RIGHT: dict[tuple[str, str], Any] = {("api/v1/grants", "POST"): {"name": "new"}, ("api/v1/retention-policies/order", "PUT"): {"ids": []}}
# Names of the above that are a caller's own elsewhere.
OWN = {"api/v1/masking-rules": {"position"}}
BODIES = [
    (route, method, RIGHT.get((route, method), body))
    for (route, method), (_, body) in TABLE.items()
    if body is not None and "/logs" not in route and not route.startswith("api/v1/auth/") and "<" not in route
]


@pytest.mark.parametrize(("route", "method", "body"), BODIES, ids=[f"{method} {route}" for route, method, _ in BODIES])
def test_field_of_the_servers_has_no_effect(tenant: Tenant, admin: Api, route: str, method: str, body: Any) -> None:
    """Each by itself: refused, or stored as if it were not there."""
    plain = admin.send(method, f"/{route}", body)
    assert plain.status_code < 300, plain.content
    expected = json.loads(plain.content)
    other = Api(new_token(new_tenant(), Role.ADMIN))
    for name, value in SERVER_SET.items():
        if name in body or name in OWN.get(route, ()):
            continue
        # In a tenant of its own, where nothing of the name is there yet.
        here = new_tenant()
        answer = Api(new_token(here, Role.ADMIN, "alice")).send(method, f"/{route}", {**body, name: value})
        assert answer.status_code < 300 or answer.status_code == 422, (name, answer.content)
        if answer.status_code < 300:
            got = json.loads(answer.content)
            assert set(got) == set(expected)
            assert name not in got or got[name] != value, (name, got)
    assert not any(Tenant.objects.filter(slug="another"))
    assert other.get("/api/v1/api-keys").json() == []


@pytest.mark.parametrize("name", SERVER_SET)
def test_saved_search_stays_whose_it_is(tenant: Tenant, admin: Api, name: str) -> None:
    made = admin.post("/api/v1/saved-searches", {"name": "one", "query": {}}).json()
    before = SavedSearch.objects.filter(tenant=tenant).values().get()
    assert_refused(admin.send("PATCH", f"/api/v1/saved-searches/{made['id']}", {name: SERVER_SET[name]}), 422, "invalid", pointer=f"/{name}")
    assert SavedSearch.objects.filter(tenant=tenant).values().get() == before


def test_action_keeps_its_name_and_tenant(tenant: Tenant, admin: Api) -> None:
    admin.post("/api/v1/actions", {"name": "REFUND"})
    before = ActionDefinition.objects.filter(tenant=tenant).values().get()
    assert admin.send("PATCH", "/api/v1/actions/REFUND", {**SERVER_SET, "name": "OTHER"}).status_code in (200, 422)
    assert ActionDefinition.objects.filter(tenant=tenant).values().get() == before
    schema = admin.post("/api/v1/actions/REFUND/schemas", {**SERVER_SET, "schema": {}})
    assert schema.status_code in (201, 422)
    if schema.status_code == 201:
        assert schema.json()["version"] == 1


def test_key_is_of_its_makers_tenant_and_of_the_servers_making(tenant: Tenant, admin: Api) -> None:
    answer = admin.post("/api/v1/api-keys", {**SERVER_SET, "name": "x", "scopes": ["logs:read"]})
    assert answer.status_code == 201
    row = ApiKey.objects.get(pk=answer.json()["id"])
    assert (row.tenant_id, row.revoked_at, row.last_used_at) == (tenant.id, None, None)
    assert row.prefix != SERVER_SET["prefix"]
    assert answer.json()["key"] != SERVER_SET["key"]
    assert row.created_by is not None


def test_scopes_and_roles_are_not_made_up(tenant: Tenant, admin: Api) -> None:
    for scopes in (["admin"], ["logs:*"], ["logs:read", "*"], "logs:read", [], [["logs:read"]], {"logs:read": True}):
        assert_refused(admin.post("/api/v1/api-keys", {"name": "x", "scopes": scopes}), 422, "invalid")
    assert not ApiKey.objects.filter(tenant=tenant).exists()


def test_sign_in_takes_no_claims() -> None:
    user = User.objects.create_user("claims-" + new_tenant().slug, password="correct horse battery")
    Membership.objects.create(user=user, tenant=new_tenant(), role=Role.USER)
    answer = Api(None).post("/api/v1/auth/token", {**SERVER_SET, "username": user.username, "password": "correct horse battery"})
    assert answer.status_code in (200, 422), answer.content
    user.refresh_from_db()
    assert (user.is_staff, user.is_superuser) == (False, False)
    if answer.status_code == 200:
        assert Api(answer.json()["access"]).get("/api/v1/auth/me").json()["memberships"][0]["role"] == "user"


def test_export_job_is_as_it_was_asked_for(tenant: Tenant, admin: Api) -> None:
    assert_refused(admin.post(EXPORTS, {"format": "csv", **SERVER_SET}), 422, "invalid")
    assert not ExportJob.objects.filter(tenant=tenant).exists()


@pytest.mark.parametrize("name", ["tenant", "tenant_id", "source", "own_user_id", "role", "user_pk"])
def test_query_parameter_widens_nothing(tenant: Tenant, admin: Api, name: str) -> None:
    for path in (LOGS, f"{LOGS}/export?format=ndjson", f"{LOGS}/stats", EXPORTS):
        answer = admin.get(f"{path}{'&' if '?' in path else '?'}{name}=another")
        assert answer.status_code == 422, (path, answer.status_code)
