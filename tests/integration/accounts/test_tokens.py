"""Signing in: tokens are given, renewed, used up and refused."""

from __future__ import annotations

import uuid

import pytest

from accounts.models import Membership, Role, Tenant, User
from accounts.principals import cache
from tests.api import LOGS, Api, assert_refused
from tests.storing import new_tenant

TOKEN, REFRESH, VERIFY, SIGN_OUT, ME = (f"/api/v1/auth/{name}" for name in ("token", "token/refresh", "token/verify", "sign-out", "me"))
PASSWORD = "correct horse battery staple"


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def audrey(tenant: Tenant) -> User:
    user = User.objects.create_user(f"audrey-{uuid.uuid4().hex[:8]}", password=PASSWORD)
    Membership.objects.create(user=user, tenant=tenant, role=Role.AUDITOR)
    return user


def sign_in(user: User) -> dict[str, str]:
    answer = Api(None).post(TOKEN, {"username": user.username, "password": PASSWORD})
    assert answer.status_code == 200, answer.content
    tokens: dict[str, str] = answer.json()
    return tokens


def test_tokens_open_the_log(audrey: User) -> None:
    access = sign_in(audrey)["access"]
    assert Api(access).get(LOGS).status_code == 200
    assert Api(None).post(VERIFY, {"token": access}).status_code == 200


def test_wrong_password_is_refused(audrey: User) -> None:
    assert_refused(Api(None).post(TOKEN, {"username": audrey.username, "password": "wrong"}), 401, "not_authenticated")
    assert_refused(Api(None).post(TOKEN, {"username": "nobody-at-all", "password": "wrong"}), 401, "not_authenticated")
    assert_refused(Api(None).post(TOKEN, {"username": audrey.username}), 422, "invalid", pointer="/password")
    assert_refused(Api(None).post(TOKEN, {"username": "a\x00b", "password": "wrong"}), 400, "bad_request")


def test_refresh_token_works_once(audrey: User) -> None:
    first = sign_in(audrey)
    second = Api(None).post(REFRESH, {"refresh": first["refresh"]}).json()
    assert Api(second["access"]).get(LOGS).status_code == 200
    assert Api(None).post(REFRESH, {"refresh": second["refresh"]}).status_code == 200


def test_signing_out_ends_the_refresh_token(audrey: User) -> None:
    refresh = sign_in(audrey)["refresh"]
    assert Api(None).post(SIGN_OUT, {"refresh": refresh}).status_code == 200
    assert_refused(Api(None).post(REFRESH, {"refresh": refresh}), 401, "not_authenticated")


def test_changed_password_ends_tokens(audrey: User) -> None:
    tokens = sign_in(audrey)
    audrey.set_password("another password altogether")
    audrey.save()
    cache.clear()
    assert_refused(Api(tokens["access"]).get(LOGS), 401, "invalid_token")


def test_disabled_user_is_refused(audrey: User) -> None:
    tokens = sign_in(audrey)
    User.objects.filter(pk=audrey.pk).update(is_active=False)
    cache.clear()
    assert_refused(Api(tokens["access"]).get(LOGS), 401, "invalid_token")
    assert_refused(Api(None).post(TOKEN, {"username": audrey.username, "password": PASSWORD}), 401, "not_authenticated")


def test_member_of_several_tenants_says_which(audrey: User, tenant: Tenant) -> None:
    other = new_tenant()
    Membership.objects.create(user=audrey, tenant=other, role=Role.ADMIN)
    access = sign_in(audrey)["access"]
    assert_refused(Api(access).get(LOGS), 400, "bad_request")
    assert Api(access, **{"X-Tenant": other.slug}).get(LOGS).status_code == 200
    me = Api(access).get(ME).json()
    assert {(one["tenant"], one["role"]) for one in me["memberships"]} == {(tenant.slug, "auditor"), (other.slug, "admin")}


def test_member_of_nothing_may_nothing() -> None:
    user = User.objects.create_user(f"alone-{uuid.uuid4().hex[:8]}", password=PASSWORD)
    access = sign_in(user)["access"]
    assert_refused(Api(access).get(LOGS), 403, "not_allowed")
    assert Api(access).get(ME).json()["memberships"] == []


def test_empty_tenant_is_none_of_theirs_however_often_they_ask(audrey: User) -> None:
    access = sign_in(audrey)["access"]
    for _ in range(2):
        assert Api(access).get(LOGS).status_code == 200
        assert_refused(Api(access, **{"X-Tenant": ""}).get(LOGS), 404, "not_found")


def test_changed_role_works_once_the_cache_is_out(audrey: User, tenant: Tenant) -> None:
    access = sign_in(audrey)["access"]
    assert Api(access).get("/api/v1/api-keys").status_code == 403
    Membership.objects.filter(user=audrey, tenant=tenant).update(role=Role.ADMIN)
    cache.clear()
    assert Api(access).get("/api/v1/api-keys").status_code == 200
