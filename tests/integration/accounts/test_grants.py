"""Grants: made and changed by Admins, held by members and keys of their tenant, and exact: what they do not say is not there."""

from __future__ import annotations

import datetime
import threading
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import AccessGrant, ApiKey, Membership, Role, Tenant, User
from accounts.models.grant import ACTION_PATTERN, SEVERITIES
from logs.models import Severity
from logs.models import catalogue as log_catalogue
from tests.access import forget_principals, granted_key, granted_token, new_grant, row_of
from tests.api import LOGS, Api, assert_refused
from tests.exporting import body_of, lines_of
from tests.storing import new_key, new_tenant, new_token, store

GRANTS = "/api/v1/grants"
MEMBERS = "/api/v1/members"
KEYS = "/api/v1/api-keys"
PAST = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture
def tenant() -> Tenant:
    tenant = new_tenant()
    store(tenant, [{"user_id": user, "resource_type": kind} for user in ("alice", "bob") for kind in ("invoice", "account")])
    return tenant


@pytest.fixture
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN))


def seen(api: Api) -> list[tuple[str, str]]:
    answer = api.get(LOGS)
    assert answer.status_code == 200, answer.content
    return sorted((entry["user_id"], entry["resource_type"]) for entry in answer.json()["results"] if entry["resource_type"] in ("invoice", "account"))


def newest_member(tenant: Tenant) -> Membership:
    return Membership.objects.filter(tenant=tenant).order_by("-pk")[0]


def test_severities_and_actions_are_those_of_the_log() -> None:
    assert list(SEVERITIES) == list(Severity.labels)
    assert log_catalogue.ACTION_PATTERN == ACTION_PATTERN


def test_grant_is_made_given_and_counts(admin: Api, tenant: Tenant) -> None:
    made = admin.post(GRANTS, {"name": "invoices", "resource_types": ["invoice"], "forced_query": "user:alice"})
    assert made.status_code == 201, made.content
    auditor = Api(new_token(tenant, Role.AUDITOR))
    assert len(seen(auditor)) == 4
    given = admin.send("PATCH", f"{MEMBERS}/{newest_member(tenant).pk}", {"grant": made.json()["id"]})
    assert (given.status_code, given.json()["grant"]) == (200, made.json()["id"])
    forget_principals()
    assert seen(auditor) == [("alice", "invoice")]
    assert_refused(auditor.get(f"{LOGS}/export", format="ndjson"), 403, "not_allowed")
    changed = admin.send("PATCH", f"{GRANTS}/{made.json()['id']}", {"may_export": True, "forced_query": ""}, If_Match=made["ETag"])
    assert changed.status_code == 200, changed.content
    forget_principals()
    assert seen(auditor) == [("alice", "invoice"), ("bob", "invoice")]
    assert len(lines_of(body_of(auditor.get(f"{LOGS}/export", format="ndjson")))) == 2
    assert admin.send("PATCH", f"{MEMBERS}/{newest_member(tenant).pk}", {"grant": None}).status_code == 200
    forget_principals()
    assert len(seen(auditor)) == 4


def test_key_under_a_grant_sees_and_may_what_it_says(admin: Api, tenant: Tenant) -> None:
    key = new_key(tenant, "logs:read", "logs:write")
    grant = new_grant(tenant, own_entries_only=True)
    changed = admin.send("PATCH", f"{KEYS}/{row_of(key).pk}", {"grant": grant.pk})
    assert (changed.status_code, changed.json()["grant"]) == (200, grant.pk)
    api = Api(key)
    assert seen(api) == []
    api.post(LOGS, {"user_id": "carol", "action": "A", "resource_type": "invoice"})
    assert seen(api) == [("carol", "invoice")]
    assert_refused(api.get(f"{LOGS}/export", format="ndjson"), 403, "not_allowed")


@pytest.mark.parametrize("role", [Role.USER, Role.AUDITOR])
def test_own_entries_only_are_those_about_the_member(tenant: Tenant, role: Role) -> None:
    member = Api(granted_token(tenant, role, new_grant(tenant, own_entries_only=True), "bob"))
    assert seen(member) == [("bob", "account"), ("bob", "invoice")]


def test_user_with_a_grant_sees_others_and_still_posts_about_themselves_only(tenant: Tenant) -> None:
    user = Api(granted_token(tenant, Role.USER, new_grant(tenant, resource_types=["account"]), "bob"))
    assert seen(user) == [("alice", "account"), ("bob", "account")]
    refused = user.post(LOGS, {"user_id": "alice", "action": "A", "resource_type": "account"})
    assert_refused(refused, 403, "not_allowed", fault="not_allowed")
    assert len(seen(user)) == 2


@pytest.mark.parametrize("ending", [{"valid_until": PAST}, {"is_active": False}])
@pytest.mark.parametrize("role", Role)
def test_grant_that_is_over_leaves_nothing(tenant: Tenant, ending: dict[str, Any], role: Role) -> None:
    member = Api(granted_token(tenant, role, new_grant(tenant, may_export=True, **ending), "bob"))
    for answer in (member.get(LOGS), member.post(LOGS, {}), member.get(KEYS), member.get("/api/v1/exports")):
        problem = assert_refused(answer, 403, "not_allowed")
        assert "grant has ended" in problem["detail"]
        assert "alice" not in answer.content.decode()
    key = Api(granted_key(tenant, new_grant(tenant, **ending)))
    assert_refused(key.get(LOGS), 403, "not_allowed")
    assert_refused(key.post(LOGS, {}), 403, "not_allowed")


def test_grant_ends_in_the_middle_of_the_cache_time(tenant: Tenant) -> None:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1)
    member = Api(granted_token(tenant, Role.AUDITOR, new_grant(tenant, valid_until=soon)))
    assert len(seen(member)) == 4
    while datetime.datetime.now(datetime.UTC) < soon:
        threading.Event().wait(0.05)
    assert_refused(member.get(LOGS), 403, "not_allowed")


def test_grant_of_another_tenant_leaves_nothing(tenant: Tenant) -> None:
    member = Api(granted_token(tenant, Role.AUDITOR, new_grant(new_tenant())))
    assert_refused(member.get(LOGS), 403, "not_allowed")


def test_grants_of_another_tenant_are_not_there(tenant: Tenant, admin: Api) -> None:
    theirs = new_grant(new_tenant(), description="secret plans")
    for answer in (
        admin.get(f"{GRANTS}/{theirs.pk}"),
        admin.send("PATCH", f"{GRANTS}/{theirs.pk}", {"is_active": False}),
        admin.send("DELETE", f"{GRANTS}/{theirs.pk}"),
    ):
        assert_refused(answer, 404, "not_found")
        assert "secret plans" not in answer.content.decode()
    assert admin.get(GRANTS).json() == {"results": [], "next": None}
    key = row_of(new_key(tenant))
    for path in (f"{MEMBERS}/{newest_member(tenant).pk}", f"{KEYS}/{key.pk}"):
        assert_refused(admin.send("PATCH", path, {"grant": theirs.pk}), 422, "invalid", fault="unknown_grant", pointer="/grant")
    assert_refused(admin.post(KEYS, {"name": "x", "scopes": ["logs:read"], "grant": theirs.pk}), 422, "invalid", fault="unknown_grant")
    theirs.refresh_from_db()
    assert theirs.is_active
    assert not Membership.objects.filter(tenant=tenant).exclude(grant=None).exists()
    assert not ApiKey.objects.filter(tenant=tenant).exclude(grant=None).exists()


@pytest.mark.parametrize(
    ("body", "fault", "pointer"),
    [
        ({"name": "x", "forced_query": "user:alice usr:bob"}, "unknown_qualifier", "/forced_query"),
        ({"name": "x", "severites": ["ERROR"]}, "unknown_field", "/severites"),
        ({"name": "x", "tenant": "other"}, "unknown_field", "/tenant"),
        ({"name": "x", "severities": ["GRAVE"]}, "invalid_choice", "/severities/0"),
        ({"name": "x", "actions": ["login"]}, "bad_format", "/actions/0"),
        ({"name": "x", "from_at": "2026-02-01T00:00:00Z", "until_at": "2026-01-01T00:00:00Z"}, "bad_range", "/until_at"),
        ({"name": ""}, "blank", "/name"),
        ({"name": "x", "id": 3}, "unknown_field", "/id"),
        ([], "invalid", ""),
    ],
)
def test_grant_that_says_something_else_is_refused(admin: Api, tenant: Tenant, body: Any, fault: str, pointer: str) -> None:
    problem = assert_refused(admin.post(GRANTS, body), 422, "invalid")
    assert [(found["code"], found["pointer"]) for found in problem["errors"]] == [(fault, pointer)]
    assert not AccessGrant.objects.filter(tenant=tenant).exists()


def test_column_of_a_wrong_query_is_told(admin: Api) -> None:
    [fault] = assert_refused(admin.post(GRANTS, {"name": "x", "forced_query": "user:alice usr:bob"}), 422, "invalid")["errors"]
    assert fault["column"] == 12


def test_second_grant_of_a_name_is_refused(admin: Api) -> None:
    assert admin.post(GRANTS, {"name": "one"}).status_code == 201
    assert_refused(admin.post(GRANTS, {"name": "one"}), 422, "invalid", fault="exists", pointer="/name")
    other = admin.post(GRANTS, {"name": "two"}).json()["id"]
    assert_refused(admin.send("PATCH", f"{GRANTS}/{other}", {"name": "one"}), 422, "invalid", fault="exists")
    assert [grant["name"] for grant in admin.get(GRANTS).json()["results"]] == ["two", "one"]


def test_change_of_an_older_version_is_refused(admin: Api) -> None:
    made = admin.post(GRANTS, {"name": "one"})
    path = f"{GRANTS}/{made.json()['id']}"
    assert admin.send("PATCH", path, {"may_export": True}, If_Match=made["ETag"]).status_code == 200
    for answer in (admin.send("PATCH", path, {"may_erase": True}, If_Match=made["ETag"]), admin.send("DELETE", path, If_Match=made["ETag"])):
        assert_refused(answer, 412, "changed_meanwhile")
    found = admin.get(path)
    assert (found.json()["may_export"], found.json()["may_erase"]) == (True, False)
    assert admin.send("DELETE", path, If_Match=found["ETag"]).status_code == 204
    assert_refused(admin.get(path), 404, "not_found")


def test_range_is_checked_with_what_stays_as_it_is(admin: Api, tenant: Tenant) -> None:
    grant = new_grant(tenant, until_at=PAST)
    refused = admin.send("PATCH", f"{GRANTS}/{grant.pk}", {"from_at": "2026-03-01T00:00:00Z"})
    assert_refused(refused, 422, "invalid", fault="bad_range")
    grant.refresh_from_db()
    assert grant.from_at is None


def test_grant_that_somebody_holds_is_not_deleted(admin: Api, tenant: Tenant) -> None:
    grant = new_grant(tenant)
    member = Api(granted_token(tenant, Role.AUDITOR, grant))
    assert_refused(admin.send("DELETE", f"{GRANTS}/{grant.pk}"), 422, "invalid", fault="in_use")
    assert AccessGrant.objects.filter(pk=grant.pk).exists()
    assert len(seen(member)) == 4


def test_pages_of_grants_lead_to_all_of_them(admin: Api, tenant: Tenant) -> None:
    grants = [new_grant(tenant).pk for _ in range(5)]
    found, path = [], f"{GRANTS}?limit=2"
    while path:
        page = admin.get(path).json()
        found += [grant["id"] for grant in page["results"]]
        path = page["next"]
    assert found == grants[::-1]
    for query in ("limit=0", "limit=x", "before=-1", "limit=1&limit=2", "after=3", "limit=" + "9" * 40):
        assert_refused(admin.get(f"{GRANTS}?{query}"), 422, "invalid")


def test_last_admin_keeps_the_role(admin: Api, tenant: Tenant) -> None:
    me = newest_member(tenant)
    ended = new_grant(tenant, is_active=False)
    for change, pointer in (({"role": "auditor"}, "/role"), ({"grant": ended.pk}, "/grant")):
        assert_refused(admin.send("PATCH", f"{MEMBERS}/{me.pk}", change), 422, "invalid", fault="last_admin", pointer=pointer)
    # One who can't sign in, and one who has nothing, are none.
    new_token(tenant, Role.ADMIN)
    User.objects.filter(pk=newest_member(tenant).user_id).update(is_active=False)
    granted_token(tenant, Role.ADMIN, ended)
    assert_refused(admin.send("PATCH", f"{MEMBERS}/{me.pk}", {"role": "user"}), 422, "invalid", fault="last_admin")
    me.refresh_from_db()
    assert (me.role, me.grant) == (Role.ADMIN, None)
    other = Api(new_token(tenant, Role.ADMIN))
    assert admin.send("PATCH", f"{MEMBERS}/{me.pk}", {"role": "user"}).status_code == 200
    forget_principals()
    assert_refused(admin.get(MEMBERS), 403, "not_allowed")
    assert {member["id"]: member["role"] for member in other.get(MEMBERS).json()["results"]}[me.pk] == "user"


def test_two_admins_can_not_take_the_role_from_each_other_at_once(tenant: Tenant) -> None:
    admins = [(Api(new_token(tenant, Role.ADMIN)), newest_member(tenant)) for _ in range(2)]
    codes = []

    def take(api: Api, member: Membership) -> None:
        try:
            codes.append(api.send("PATCH", f"{MEMBERS}/{member.pk}", {"role": "user"}).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=take, args=(admins[number][0], admins[1 - number][1])) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    # The second finds it out at the lock, or, should it come later, that it is no Admin any more.
    assert sorted(codes) in ([200, 422], [200, 403])
    assert Membership.objects.filter(tenant=tenant, role=Role.ADMIN).count() == 1


@pytest.mark.parametrize("body", [{"role": "owner"}, {"user_id": "x"}, {"grant": "7"}, {"grant": True}, {"grant": 10**30}, {"scopes": []}, [], "x", 5, None])
def test_member_and_key_take_their_role_and_grant_only(admin: Api, tenant: Tenant, body: Any) -> None:
    key = row_of(new_key(tenant, "logs:read"))
    member = newest_member(tenant)
    for path in (f"{MEMBERS}/{member.pk}", f"{KEYS}/{key.pk}"):
        assert_refused(admin.send("PATCH", path, body), 422, "invalid")
    key.refresh_from_db()
    member.refresh_from_db()
    assert (key.scopes, key.grant_id, member.role, member.grant_id) == (["logs:read"], None, Role.ADMIN, None)


@pytest.fixture
def staff() -> Client:
    user = User.objects.create_superuser(f"s{new_tenant().slug}", password="x")
    client = Client()
    client.force_login(user)
    return client


FORM = {"description": "", "resource_types": "", "actions": "", "severities": "ERROR,CRITICAL", "forced_query": "user:alice", "is_active": "on"}


def test_admin_page_keeps_a_grant_and_shows_who_holds_it(staff: Client, tenant: Tenant) -> None:
    made = staff.post("/admin/accounts/accessgrant/add/", FORM | {"tenant": tenant.pk, "name": "graver"})
    assert made.status_code == 302, made.content
    grant = AccessGrant.objects.get(tenant=tenant)
    assert (grant.severities, grant.forced_query, grant.version) == (["ERROR", "CRITICAL"], "user:alice", 1)
    granted_token(tenant, Role.AUDITOR, grant)
    granted_key(tenant, grant)
    page = staff.get(f"/admin/accounts/accessgrant/{grant.pk}/change/").content.decode()
    assert newest_member(tenant).user.username in page
    assert "key testing" in page
    assert staff.post(f"/admin/accounts/accessgrant/{grant.pk}/change/", FORM | {"name": "graver"}).status_code == 302
    grant.refresh_from_db()
    assert grant.version == 2
    assert staff.get("/admin/accounts/accessgrant/").status_code == 200


def test_admin_page_refuses_a_forced_query_that_is_none(staff: Client, tenant: Tenant) -> None:
    answer = staff.post("/admin/accounts/accessgrant/add/", FORM | {"tenant": tenant.pk, "name": "x", "forced_query": "usr:alice"})
    assert answer.status_code == 200
    assert "Column 1: there is no qualifier" in str(answer.context["adminform"].form.errors["forced_query"])
    assert not AccessGrant.objects.filter(tenant=tenant).exists()


def test_admin_page_refuses_a_grant_of_another_tenant(staff: Client, tenant: Tenant, admin: Api) -> None:
    theirs = new_grant(new_tenant())
    member, key = newest_member(tenant), row_of(new_key(tenant))
    answer = staff.post(f"/admin/accounts/membership/{member.pk}/change/", {"user": member.user_id, "tenant": tenant.pk, "role": "admin", "grant": theirs.pk})
    assert answer.status_code == 200
    assert "another tenant" in str(answer.context["adminform"].form.errors["grant"])
    answer = staff.post(f"/admin/accounts/apikey/{key.pk}/change/", {"name": "x", "grant": theirs.pk})
    assert "another tenant" in str(answer.context["adminform"].form.errors["grant"])
    member.refresh_from_db()
    key.refresh_from_db()
    assert (member.grant, key.grant) == (None, None)
