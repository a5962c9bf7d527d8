"""Signing in: tokens are given, renewed, used up and refused."""

from __future__ import annotations

import base64
import datetime
import json
import uuid
from typing import Any

import jwt
import pytest
from django.conf import settings

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
    assert_refused(Api(None).post(REFRESH, {"refresh": first["refresh"]}), 401, "not_authenticated")
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


def forged(access: str, how: str) -> str:
    claims: dict[str, Any] = jwt.decode(access, options={"verify_signature": False})
    key = settings.SECRET_KEY
    past = int((datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)).timestamp())
    match how:
        case "no signature":
            head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
            return f"{head}.{access.split('.')[1]}."
        case "another key":
            return jwt.encode(claims, "x" * 40, "HS256")
        case "another algorithm":
            return jwt.encode(claims, key, "HS384")
        case "expired":
            return jwt.encode(claims | {"exp": past}, key, "HS256")
        case "another audience":
            return jwt.encode(claims | {"aud": "elsewhere"}, key, "HS256")
        case "another issuer":
            return jwt.encode(claims | {"iss": "elsewhere"}, key, "HS256")
        case "no expiry":
            return jwt.encode({name: value for name, value in claims.items() if name != "exp"}, key, "HS256")
        case "a refresh token":
            return jwt.encode(claims | {"token_type": "refresh"}, key, "HS256")
        case "a kid that is a path":
            return jwt.encode(claims, "\0" * 32, "HS256", headers={"kid": "/dev/null"})
        case _:
            head, _, signature = access.split(".")
            changed = base64.urlsafe_b64encode(json.dumps(claims | {"user_id": "1"}).encode()).rstrip(b"=").decode()
            return f"{head}.{changed}.{signature}"


@pytest.mark.parametrize(
    "how",
    [
        "no signature", "another key", "another algorithm", "expired", "another audience", "another issuer", "no expiry", "a refresh token",
        "a kid that is a path", "another user",
    ],
)  # fmt: skip
def test_forged_token_is_refused(audrey: User, how: str) -> None:
    assert_refused(Api(forged(sign_in(audrey)["access"], how)).get(LOGS), 401, "invalid_token")


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
