"""Guessing passwords: each failure counts, and soon costs time; the same for names that nobody has."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth import hashers
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import lock_out
from accounts.models import SignInCount, TokenFamily, User
from tests.api import assert_refused
from tests.signing_in import PASSWORD, many_attempts, new_user, sign_in_to_admin, stored_bytes, try_to_sign_in
from tests.storing import new_tenant


class Clock:
    def __init__(self) -> None:
        self.time = timezone.now()

    def now(self) -> datetime.datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += datetime.timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def _many_attempts() -> Iterator[None]:
    with many_attempts():
        yield


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("accounts.sign_in.timezone", SimpleNamespace(now=found.now))
    return found


@pytest.fixture
def audrey() -> User:
    return new_user(new_tenant())


@pytest.fixture(params=["a person", "nobody"])
def name(request: Any, audrey: User) -> str:
    return audrey.username if request.param == "a person" else f"nobody-{uuid.uuid4().hex[:8]}"


def fail(name: str, times: int, address: str = "192.0.2.7") -> list[int]:
    return [try_to_sign_in(name, "wrong", address=address).status_code for _ in range(times)]


def test_sixth_attempt_has_to_wait_and_each_failure_doubles_the_wait(clock: Clock, name: str) -> None:
    assert fail(name, 6) == [401] * 5 + [429]
    for minutes in (1, 2, 4):
        answer = try_to_sign_in(name, "wrong")
        assert_refused(answer, 429, "locked_out")
        assert int(answer["Retry-After"]) == minutes * 60
        clock.advance(minutes * 60)
        assert fail(name, 1) == [401]


def test_right_password_is_refused_while_locked_out_and_nothing_is_given(clock: Clock, audrey: User) -> None:
    fail(audrey.username, 5)
    answer = try_to_sign_in(audrey)
    assert_refused(answer, 429, "locked_out")
    assert "eyJ" not in answer.content.decode()
    assert not TokenFamily.objects.filter(user=audrey).exists()
    clock.advance(60)
    assert try_to_sign_in(audrey).status_code == 200


def test_success_clears_the_count(clock: Clock, audrey: User) -> None:
    for _ in range(3):
        assert fail(audrey.username, 4) == [401] * 4
        assert try_to_sign_in(audrey).status_code == 200
    assert not SignInCount.objects.filter(name_digest=lock_out.digest_of(audrey.username)).exists()


def test_who_is_attacked_signs_in_from_elsewhere(clock: Clock, audrey: User) -> None:
    fail(audrey.username, 6, address="198.51.100.1")
    assert fail(audrey.username, 1, address="198.51.100.200") == [429]
    assert try_to_sign_in(audrey, address="192.0.2.7").status_code == 200


def test_many_networks_together_are_bounded_too(clock: Clock, audrey: User) -> None:
    statuses = [try_to_sign_in(audrey.username, "wrong", address=f"198.51.{number}.1").status_code for number in range(51)]
    assert statuses == [401] * 50 + [429]
    assert_refused(try_to_sign_in(audrey, address="192.0.2.7"), 429, "locked_out")
    clock.advance(lock_out.LONGEST_WAIT_SECONDS)
    assert try_to_sign_in(audrey, address="192.0.2.7").status_code == 200


def test_nobody_is_locked_out_for_more_than_an_hour(clock: Clock, audrey: User) -> None:
    fail(audrey.username, 5)
    for _ in range(12):
        clock.advance(lock_out.LONGEST_WAIT_SECONDS)
        assert fail(audrey.username, 2) == [401, 429]
    clock.advance(lock_out.LONGEST_WAIT_SECONDS)
    assert try_to_sign_in(audrey).status_code == 200


def test_yesterdays_failures_do_not_count(clock: Clock, audrey: User) -> None:
    fail(audrey.username, 4)
    clock.advance(86_401)
    assert fail(audrey.username, 5) == [401] * 5


def test_a_name_is_one_however_it_is_written(clock: Clock, audrey: User) -> None:
    assert fail(audrey.username, 3) + fail(audrey.username.upper(), 3) == [401] * 5 + [429]


def test_guesses_made_at_once_are_all_counted(audrey: User) -> None:
    def guess(_: int) -> int:
        try:
            return try_to_sign_in(audrey.username, "wrong").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(guess, range(24)))
    assert sorted(statuses) == [401] * 5 + [429] * 19


def test_admin_and_api_count_together(clock: Clock) -> None:
    staff = new_user(is_staff=True)
    fail(staff.username, 3, address="127.0.0.1")
    client = Client()
    for _ in range(2):
        assert "No active account" in sign_in_to_admin(client, staff, password="wrong").content.decode()
    page = sign_in_to_admin(client, staff)
    assert "Try again in 1 minute." in page.content.decode()
    assert "sessionid" not in client.cookies
    assert "session" not in client.cookies
    clock.advance(60)
    assert sign_in_to_admin(client, staff).status_code == 302


def test_unknown_name_costs_the_hashing_of_a_wrong_password(audrey: User, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    kind = type(hashers.get_hasher())
    encode = kind.encode

    def counted(self: Any, password: str, salt: str) -> str:
        done.append(password)
        return str(encode(self, password, salt))

    monkeypatch.setattr(kind, "encode", counted)
    answers: list[tuple[int, bytes]] = []
    counts: list[int] = []
    User.objects.filter(pk=new_user().pk).update(is_active=False)
    inactive = User.objects.filter(is_active=False).latest("pk")
    for name, password in ((audrey.username, "wrong"), ("nobody-at-all", "wrong"), (inactive.username, PASSWORD)):
        done.clear()
        answer = try_to_sign_in(name, password, address=f"203.0.113.{len(answers)}")
        answers.append((answer.status_code, answer.content))
        counts.append(len(done))
    assert counts == [1, 1, 1]
    assert len(set(answers)) == 1


def test_names_are_not_kept(audrey: User) -> None:
    fail("my-password-in-the-wrong-field", 1)
    assert b"my-password-in-the-wrong-field" not in stored_bytes("accounts_signincount")


def test_counts_that_are_over_are_removed(clock: Clock) -> None:
    for number in range(3):
        fail(f"nobody-{uuid.uuid4().hex}", 1, address=f"203.0.{number}.1")
    clock.advance(86_401)
    before = SignInCount.objects.count()
    fail(f"nobody-{uuid.uuid4().hex}", 1)
    assert SignInCount.objects.count() < before
