"""API keys: shown once, kept as a hash, gone within seconds."""

from __future__ import annotations

import datetime
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from accounts import principals
from accounts.api_keys import KEY, create_api_key, principal_of_key
from accounts.models import ApiKey, Role, Tenant, User
from accounts.problems import NotAuthenticated
from tests.api import LOGS, Api, assert_refused
from tests.storing import new_key, new_tenant, new_token

KEYS = "/api/v1/api-keys"


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN))


def test_key_is_shown_once_and_kept_as_a_hash(admin: Api) -> None:
    made = admin.post(KEYS, {"name": "billing", "scopes": ["logs:write", "logs:read"]})
    assert made.status_code == 201
    key = made.json()["key"]
    assert KEY.fullmatch(key)
    assert Api(key).get(LOGS).status_code == 200
    row = ApiKey.objects.get(prefix=made.json()["prefix"])
    secret = key.rsplit("_", 1)[1] if key.count("_") == 2 else key[17:]
    assert secret.encode() not in bytes(row.digest)
    listed = admin.get(KEYS)
    assert secret not in listed.content.decode()
    assert [one["name"] for one in listed.json()] == ["billing"]


def test_revoked_key_stops_in_every_process_within_the_cache_time(admin: Api) -> None:
    made = admin.post(KEYS, {"name": "billing", "scopes": ["logs:read"]}).json()
    # At its making, within two seconds of it, and after them.
    clock = iter([0.0, 2.0, 2.001])
    elsewhere = principals.PrincipalCache(clock=lambda: next(clock))
    elsewhere.put(b"digest", principal_of_key(made["key"]))
    assert admin.send("DELETE", f"{KEYS}/{made['id']}").status_code == 204
    assert [elsewhere.get(b"digest") is not None for _ in range(2)] == [True, False]
    with pytest.raises(NotAuthenticated):
        principal_of_key(made["key"])
    assert admin.get(KEYS).json()[0]["revoked_at"] is not None


def test_cached_key_ends_with_its_expiry(tenant: Tenant) -> None:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(milliseconds=50)
    _, key = create_api_key(tenant, "short", ["logs:read"], expires_at=soon)
    cache = principals.PrincipalCache()
    cache.put(b"digest", principal_of_key(key))
    while datetime.datetime.now(datetime.UTC) < soon:
        pass
    assert cache.get(b"digest") is None


def test_cache_is_bounded(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(principals, "MAX_CACHED", 10)
    cache = principals.PrincipalCache()
    principal = principal_of_key(new_key(tenant))
    for number in range(25):
        cache.put(bytes([number]), principal)
    assert sum(cache.get(bytes([number])) is not None for number in range(25)) <= 10


def test_use_is_noted_to_the_minute(tenant: Tenant) -> None:
    row, key = create_api_key(tenant, "used", ["logs:read"])

    def last_used_at() -> datetime.datetime | None:
        return ApiKey.objects.get(pk=row.pk).last_used_at

    assert last_used_at() is None
    principal_of_key(key)
    first = last_used_at()
    assert first is not None
    principal_of_key(key)
    assert last_used_at() == first


def test_key_may_come_in_its_own_header_but_not_in_two(tenant: Tenant) -> None:
    key = new_key(tenant)
    assert Api(None, **{"X-API-Key": key}).get(LOGS).status_code == 200
    assert_refused(Api(key, **{"X-API-Key": key}).get(LOGS), 400, "bad_request")


def test_wrong_wish_for_a_key_is_refused(admin: Api) -> None:
    assert_refused(admin.post(KEYS, {"name": "x", "scopes": ["logs:everything"]}), 422, "invalid", pointer="/scopes/0")
    assert_refused(admin.post(KEYS, {"name": "x", "scopes": []}), 422, "invalid", pointer="/scopes")
    past = {"name": "x", "scopes": ["logs:read"], "expires_at": "2020-01-01T00:00:00Z"}
    assert_refused(admin.post(KEYS, past), 422, "invalid", pointer="/expires_at")
    assert admin.get(KEYS).json() == []


def test_key_of_another_tenant_can_not_be_revoked(tenant: Tenant) -> None:
    row, key = create_api_key(tenant, "ours", ["logs:read"])
    mallory = Api(new_token(new_tenant(), Role.ADMIN))
    assert_refused(mallory.send("DELETE", f"{KEYS}/{row.pk}"), 404, "not_found")
    assert mallory.get(KEYS).json() == []
    assert Api(key).get(LOGS).status_code == 200


@pytest.fixture
def staff() -> Client:
    user = User.objects.filter(username="staff").first() or User.objects.create_superuser("staff", password="x")
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize(
    "page",
    [
        "accounts/user", "accounts/tenant", "accounts/membership", "accounts/apikey", "logs/logsettings", "logs/actiondefinition",
        "django_celery_beat/periodictask",
    ],
)  # fmt: skip
def test_admin_pages_open(staff: Client, page: str) -> None:
    assert staff.get(f"/admin/{page}/").status_code == 200
    assert staff.get(f"/admin/{page}/add/").status_code == 200


def test_admin_is_closed_to_strangers() -> None:
    assert Client().get("/admin/accounts/apikey/").status_code == 302


def test_key_made_in_the_admin_is_shown_once(staff: Client, tenant: Tenant) -> None:
    form = {"tenant": str(tenant.pk), "name": "by hand", "scopes": "logs:write", "expires_at_0": "", "expires_at_1": ""}
    page = staff.post("/admin/accounts/apikey/add/", form, follow=True)
    found = KEY.search(page.content.decode())
    assert found
    assert Api(found[0]).post(LOGS, {"user_id": "a", "action": "VIEW", "resource_type": "r"}).status_code == 201
    row = ApiKey.objects.get(tenant=tenant)
    assert KEY.search(staff.get(f"/admin/accounts/apikey/{row.pk}/change/").content.decode()) is None
    staff.post("/admin/accounts/apikey/", {"action": "revoke", "_selected_action": str(row.pk)})
    row.refresh_from_db()
    assert row.revoked_at is not None
    kept = staff.post(f"/admin/accounts/apikey/{row.pk}/change/", {"name": "renamed", "expires_at_0": "", "expires_at_1": ""})
    assert kept.status_code == 302
    row.refresh_from_db()
    assert (row.name, row.tenant_id) == ("renamed", tenant.pk)


def test_bootstrap_shows_nothing_when_there_are_accounts(tenant: Tenant) -> None:
    new_token(tenant, Role.ADMIN)
    shown = StringIO()
    call_command("bootstrap", stdout=shown)
    assert "not shown again" in shown.getvalue()
    assert KEY.search(shown.getvalue()) is None
