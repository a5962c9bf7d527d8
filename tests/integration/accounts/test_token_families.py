"""A sign-in is a family of tokens: it goes on by refreshing, and ends as a whole."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import Role, Tenant, TokenFamily, User
from accounts.principals import cache
from accounts.tokens import start_family
from tests.api import LOGS, Api, assert_refused
from tests.signing_in import REFRESH, SIGN_OUT, VERIFY, many_attempts, new_user, refresh, sign_in, stored_bytes
from tests.storing import new_tenant


@pytest.fixture(autouse=True)
def _many_attempts() -> Iterator[None]:
    with many_attempts():
        yield


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def audrey(tenant: Tenant) -> User:
    return new_user(tenant)


def assert_ended(tokens: dict[str, str]) -> None:
    """No token of the pair opens anything."""
    cache.clear()
    assert_refused(Api(tokens["access"]).get(LOGS), 401, "invalid_token")
    assert_refused(Api(None).post(VERIFY, {"token": tokens["access"]}), 401, "invalid_token")
    assert_refused(refresh(tokens["refresh"]), 401, "not_authenticated")


def test_refresh_token_used_twice_ends_its_family(audrey: User) -> None:
    first, other = sign_in(audrey), sign_in(audrey)
    second = refresh(first["refresh"]).json()
    third = refresh(second["refresh"]).json()
    answer = refresh(first["refresh"])
    assert_refused(answer, 401, "refresh_reused")
    assert "eyJ" not in answer.content.decode()
    for tokens in (first, second, third):
        assert_ended(tokens)
    # Another sign-in of the same person goes on.
    assert Api(other["access"]).get(LOGS).status_code == 200
    assert refresh(other["refresh"]).status_code == 200
    assert {family.ended_because for family in TokenFamily.objects.filter(user=audrey)} == {"", "reused"}


def test_of_many_at_once_with_one_refresh_token_one_wins_and_the_family_ends(audrey: User) -> None:
    token = sign_in(audrey)["refresh"]

    def attempt(_: int) -> tuple[int, Any]:
        try:
            answer = Api(None).post(REFRESH, {"refresh": token})
            return answer.status_code, answer.json()
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(attempt, range(8)))
    given = [body for status, body in answers if status == 200]
    assert len(given) <= 1
    assert {status for status, _ in answers} <= {200, 401}
    assert [body["code"] for status, body in answers if status == 401].count("refresh_reused") == 1
    for tokens in given:
        assert_ended(tokens)


def test_signing_out_ends_access_tokens_too(audrey: User) -> None:
    tokens = sign_in(audrey)
    assert Api(None).post(SIGN_OUT, {"refresh": tokens["refresh"]}).status_code == 200
    assert_ended(tokens)
    assert_refused(Api(None).post(SIGN_OUT, {"refresh": tokens["refresh"]}), 401, "not_authenticated")


def test_a_used_refresh_token_still_signs_out(audrey: User) -> None:
    """A client that lost the newest pair can end what it began."""
    first = sign_in(audrey)
    second = refresh(first["refresh"]).json()
    assert Api(None).post(SIGN_OUT, {"refresh": first["refresh"]}).status_code == 200
    assert_ended(second)


def test_new_password_ends_every_family(audrey: User) -> None:
    pairs = [sign_in(audrey), sign_in(audrey)]
    audrey.set_password("another password altogether")
    audrey.save()
    for tokens in pairs:
        assert_ended(tokens)


def test_deactivated_user_gets_no_new_tokens(audrey: User) -> None:
    tokens = sign_in(audrey)
    User.objects.filter(pk=audrey.pk).update(is_active=False)
    assert_ended(tokens)


def test_a_sign_in_has_an_end_however_often_it_is_refreshed(audrey: User, settings: Any) -> None:
    tokens = sign_in(audrey)
    TokenFamily.objects.filter(user=audrey).update(expires_at=timezone.now() + datetime.timedelta(seconds=100))
    refreshed = refresh(tokens["refresh"]).json()
    seconds_left = start_family(audrey).access, refreshed["access"]
    assert [_seconds(token) > 100 for token in seconds_left] == [True, False]
    TokenFamily.objects.filter(user=audrey).update(expires_at=timezone.now())
    assert_ended(refreshed)


def _seconds(token: str) -> float:
    from accounts.tokens.backend import backend

    return float(backend().decode(token)["exp"]) - timezone.now().timestamp()


def test_ended_family_ends_within_the_cache(audrey: User, settings: Any) -> None:
    settings.AUDITLOG_CREDENTIAL_CACHE_SECONDS = 0.05
    tokens = sign_in(audrey)
    assert Api(tokens["access"]).get(LOGS).status_code == 200
    Api(None).post(SIGN_OUT, {"refresh": tokens["refresh"]})
    import time

    time.sleep(0.1)
    assert_refused(Api(tokens["access"]).get(LOGS), 401, "invalid_token")


def test_no_token_is_stored(audrey: User) -> None:
    tokens = sign_in(audrey)
    stored = stored_bytes("accounts_tokenfamily").decode()
    assert audrey.pk is not None
    for token in tokens.values():
        assert token not in stored
        assert token.rpartition(".")[2] not in stored


def test_old_families_are_forgotten(audrey: User) -> None:
    sign_in(audrey)
    TokenFamily.objects.filter(user=audrey).update(expires_at=timezone.now() - datetime.timedelta(days=91))
    sign_in(audrey)
    assert TokenFamily.objects.filter(user=audrey).count() == 1


def test_administrator_ends_a_sign_in(audrey: User, tenant: Tenant) -> None:
    tokens = sign_in(audrey)
    staff = Client()
    staff.force_login(new_user(tenant, Role.ADMIN, is_staff=True))
    family = TokenFamily.objects.get(user=audrey)
    assert staff.get("/admin/accounts/tokenfamily/").status_code == 200
    staff.post("/admin/accounts/tokenfamily/", {"action": "end", "_selected_action": str(family.pk)})
    assert_ended(tokens)
    assert staff.post(f"/admin/accounts/tokenfamily/{family.pk}/change/", {"ended_at_0": ""}).status_code == 403
