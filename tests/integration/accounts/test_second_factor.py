"""The second factor: set up in the browser, asked for at every door, good once, and no secret at rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.models import Authenticator, Membership, RecoveryCodes, Tenant, TokenFamily, User
from accounts.sealing import NotSealedHere, seal, unseal
from tests.api import LOGS, Api, assert_refused
from tests.signing_in import PASSWORD, code_of, many_attempts, new_user, refresh, sign_in, sign_in_to_admin, stored_bytes, try_to_sign_in, with_second_factor
from tests.storing import new_tenant

PAGE = "/account/second-factor"
_CODE = re.compile(r"<code>([a-z2-7]{4}(?:-[a-z2-7]{4}){3})</code>")


@pytest.fixture(autouse=True)
def _many_attempts() -> Iterator[None]:
    with many_attempts():
        yield


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def stella(tenant: Tenant) -> User:
    return new_user(tenant, is_staff=True)


def device_of(user: User) -> Authenticator:
    found: Authenticator = Authenticator.objects.get(user=user, confirmed=True)
    return found


def next_code(user: User) -> str:
    """One that was not used: of the next step, which is let pass too."""
    return code_of(device_of(user), steps=1)


def test_set_up_in_the_browser(stella: User) -> None:
    client = Client()
    before = sign_in(stella)
    sign_in_to_admin(client, stella)
    page = client.get(PAGE)
    assert "<svg" in page.content.decode()
    pending = Authenticator.objects.get(user=stella)
    assert pending.seed_as_text in page.content.decode()
    assert (pending.confirmed, try_to_sign_in(stella).status_code) == (False, 200)
    assert client.post(PAGE, {"deed": "set_up", "code": "000000"}).status_code == 422
    Authenticator.objects.filter(user=stella).update(throttling_failure_count=0, throttling_failure_timestamp=None)
    key = client.cookies["session"].value
    answer = client.post(PAGE, {"deed": "set_up", "code": code_of(pending)})
    assert len(_CODE.findall(answer.content.decode())) == 10
    assert "no-store" in answer["Cache-Control"]
    # This session has shown it; what began with a password only is over.
    assert client.cookies["session"].value != key
    assert client.get("/admin/").status_code == 200
    assert_refused(refresh(before["refresh"]), 401, "not_authenticated")
    assert _CODE.search(client.get(PAGE).content.decode()) is None
    assert pending.seed_as_text not in client.get(PAGE).content.decode()


def test_api_asks_for_the_code(stella: User) -> None:
    with_second_factor(stella)
    answer = try_to_sign_in(stella)
    assert_refused(answer, 401, "second_factor_needed")
    assert "eyJ" not in answer.content.decode()
    assert not TokenFamily.objects.filter(user=stella).exists()
    assert_refused(try_to_sign_in(stella, otp="000000"), 401, "wrong_second_factor")
    Authenticator.objects.filter(user=stella).update(throttling_failure_timestamp=None)
    tokens = try_to_sign_in(stella, otp=next_code(stella)).json()
    assert Api(tokens["access"]).get(LOGS).status_code == 200


def test_wrong_password_says_nothing_of_a_second_factor(stella: User) -> None:
    with_second_factor(stella)
    with_code, without = try_to_sign_in(stella, "wrong", next_code(stella)), try_to_sign_in(stella, "wrong")
    assert_refused(with_code, 401, "not_authenticated")
    assert with_code.content == without.content
    # And the code was not used up by it.
    assert try_to_sign_in(stella, otp=next_code(stella)).status_code == 200


def test_code_works_once(stella: User) -> None:
    with_second_factor(stella)
    code = next_code(stella)
    assert try_to_sign_in(stella, otp=code).status_code == 200
    assert_refused(try_to_sign_in(stella, otp=code), 401, "wrong_second_factor")


def test_recovery_code_works_once_however_it_is_typed(stella: User) -> None:
    code = with_second_factor(stella)[0]
    assert try_to_sign_in(stella, otp=f" {code.upper().replace('-', ' ')} ").status_code == 200
    assert_refused(try_to_sign_in(stella, otp=code), 401, "wrong_second_factor")
    assert len(RecoveryCodes.objects.get(user=stella).digests) == 9


def test_wrong_codes_slow_down_the_next_and_lock_out(stella: User) -> None:
    with_second_factor(stella)
    right = next_code(stella)
    assert_refused(try_to_sign_in(stella, otp="000000"), 401, "wrong_second_factor")
    # The right one comes too soon.
    assert_refused(try_to_sign_in(stella, otp=right), 401, "wrong_second_factor")
    for _ in range(3):
        try_to_sign_in(stella, otp="000000")
    assert_refused(try_to_sign_in(stella, otp=right), 429, "locked_out")


def test_password_without_code_is_no_failure(stella: User) -> None:
    with_second_factor(stella)
    for _ in range(8):
        assert_refused(try_to_sign_in(stella), 401, "second_factor_needed")
    assert try_to_sign_in(stella, otp=next_code(stella)).status_code == 200


def test_wait_after_wrong_codes_is_bounded(stella: User) -> None:
    """A thief of the password must not be able to lock the owner out for years."""
    with_second_factor(stella)
    device = device_of(stella)
    for _ in range(40):
        device.throttle_increment()
    state: Any = device.verify_is_allowed()[1]  # type: ignore[no-untyped-call]  # django-otp's is untyped
    assert 0 < (state["locked_until"] - timezone.now()).total_seconds() <= 1024


@pytest.mark.parametrize("code", ["\u0661\u0662\u0663\u0664\u0665\u0666", "-12345", "1e5   ", "12345", "1234567", "\ud800", "\U0001f600" * 6])
def test_what_is_no_code_is_refused(stella: User, code: str) -> None:
    from accounts import second_factor

    with_second_factor(stella)
    assert second_factor.device_that_accepts(stella, code) is None


def test_admin_asks_who_has_one(stella: User) -> None:
    with_second_factor(stella)
    client = Client()
    page = sign_in_to_admin(client, stella)
    assert (page.status_code, "second factor" in page.content.decode()) == (200, True)
    assert client.get("/admin/accounts/user/").status_code == 302
    Authenticator.objects.filter(user=stella).update(throttling_failure_timestamp=None)
    assert sign_in_to_admin(client, stella, next_code(stella)).status_code == 302
    assert client.get("/admin/accounts/user/").status_code == 200


def test_session_from_before_has_to_show_it(stella: User) -> None:
    client = Client()
    sign_in_to_admin(client, stella)
    assert client.get("/admin/").status_code == 200
    with_second_factor(stella)
    assert client.get("/admin/").status_code == 302
    assert client.get(PAGE)["Location"].startswith("/admin/login/")
    assert client.post(PAGE, {"deed": "remove", "code": next_code(stella)}).status_code == 302
    assert Authenticator.objects.filter(user=stella).exists()


def test_admin_without_one_is_sent_to_set_it_up_when_required(stella: User, settings: Any) -> None:
    settings.AUDITLOG_SECOND_FACTOR = "required"
    client = Client()
    answer = client.post("/admin/login/", {"username": stella.username, "password": PASSWORD, "next": "/admin/accounts/user/"}, follow=True)
    assert answer.redirect_chain[-1][0] == PAGE
    assert "Scan this" in answer.content.decode()
    for path in ("/admin/", "/admin/accounts/user/", "/admin/password_change/", "/admin/jsi18n/", "/admin/accounts/user/add/"):
        assert client.get(path).status_code == 302 or path == "/admin/jsi18n/", path
    client.post(PAGE, {"deed": "set_up", "code": code_of(Authenticator.objects.get(user=stella))})
    assert client.get("/admin/accounts/user/").status_code == 200


def test_page_is_for_who_has_signed_in() -> None:
    for answer in (Client().get(PAGE), Client().post(PAGE, {"deed": "set_up", "code": "123456"})):
        assert answer["Location"].startswith("/admin/login/")


def test_new_codes_and_removal_need_a_code(stella: User) -> None:
    codes = with_second_factor(stella)
    client = Client()
    sign_in_to_admin(client, stella, codes[0])
    for deed in ("renew_codes", "remove"):
        assert client.post(PAGE, {"deed": deed, "code": "aaaa-aaaa-aaaa-aaaa"}).status_code == 422
        RecoveryCodes.objects.filter(user=stella).update(throttling_failure_timestamp=None)
    assert len(RecoveryCodes.objects.get(user=stella).digests) == 9
    fresh = _CODE.findall(client.post(PAGE, {"deed": "renew_codes", "code": codes[1]}).content.decode())
    assert len(fresh) == 10
    assert client.post(PAGE, {"deed": "remove", "code": codes[2]}).status_code == 422
    RecoveryCodes.objects.filter(user=stella).update(throttling_failure_timestamp=None)
    assert client.post(PAGE, {"deed": "remove", "code": fresh[0]}).status_code == 302
    assert not Authenticator.objects.filter(user=stella).exists()
    assert not RecoveryCodes.objects.filter(user=stella).exists()


@pytest.mark.parametrize(
    "form", [{}, {"deed": "confirm", "code": "1"}, {"deed": "set_up"}, {"deed": "set_up", "code": "x" * 65}, {"deed": "remove", "code": "1"}]
)
def test_odd_forms_change_nothing(stella: User, form: dict[str, str]) -> None:
    client = Client()
    sign_in_to_admin(client, stella)
    assert client.post(PAGE, form).status_code in (302, 422)
    assert not Authenticator.objects.filter(user=stella, confirmed=True).exists()


def test_no_secret_is_at_rest(stella: User) -> None:
    codes = with_second_factor(stella)
    device = device_of(stella)
    rows = stored_bytes("accounts_authenticator") + stored_bytes("accounts_recoverycodes")
    for secret in (device.seed.hex(), device.seed_as_text, *codes, codes[0].replace("-", "")):
        assert secret.encode() not in rows
    staff = Client()
    staff.force_login(new_user(is_staff=True))
    page = staff.get(f"/admin/accounts/authenticator/{device.pk}/change/").content.decode()
    assert device.seed_as_text not in page
    assert bytes(device.sealed_seed).hex() not in page


def test_seed_moved_to_another_person_does_not_open(stella: User, tenant: Tenant) -> None:
    with_second_factor(stella)
    mallory = new_user(tenant)
    with_second_factor(mallory)
    Authenticator.objects.filter(user=stella).update(sealed_seed=bytes(device_of(mallory).sealed_seed))
    with pytest.raises(NotSealedHere):
        _ = device_of(stella).seed
    assert_refused(try_to_sign_in(stella, otp=code_of(device_of(mallory), steps=1)), 401, "wrong_second_factor")


def test_seed_outlives_a_new_secret_key(stella: User, settings: Any) -> None:
    with_second_factor(stella)
    code = next_code(stella)
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another secret key of enough characters"
    settings.SECRET_KEY_FALLBACKS = [old]
    assert try_to_sign_in(stella, otp=code).status_code == 200
    # It was sealed anew: the old key may go.
    settings.SECRET_KEY_FALLBACKS = []
    assert device_of(stella).seed


def test_damaged_seal_does_not_open() -> None:
    sealed = seal("x", "1", b"secret")
    for other in (sealed[:-1], b"", sealed[:5], bytes([sealed[0] ^ 1]) + sealed[1:]):
        with pytest.raises(NotSealedHere):
            unseal("x", "1", other)
    with pytest.raises(NotSealedHere):
        unseal("y", "1", sealed)
    assert unseal("x", "1", sealed) == b"secret"


def test_administrator_takes_one_away(stella: User) -> None:
    with_second_factor(stella)
    staff = Client()
    staff.force_login(new_user(is_staff=True))
    assert staff.get("/admin/accounts/authenticator/").status_code == 200
    staff.post(f"/admin/accounts/authenticator/{device_of(stella).pk}/delete/", {"post": "yes"})
    assert try_to_sign_in(stella).status_code == 200
    assert not RecoveryCodes.objects.filter(user=stella).exists()


def test_command_takes_one_away(stella: User) -> None:
    with_second_factor(stella)
    tokens = try_to_sign_in(stella, otp=next_code(stella)).json()
    call_command("reset_second_factor", stella.username)
    assert_refused(refresh(tokens["refresh"]), 401, "not_authenticated")
    assert try_to_sign_in(stella).status_code == 200
    for name in (stella.username, "nobody-at-all"):
        with pytest.raises(CommandError):
            call_command("reset_second_factor", name)


def test_member_of_nothing_can_not_enter_the_admin_by_a_code(tenant: Tenant) -> None:
    audrey = new_user(tenant)
    with_second_factor(audrey)
    assert Membership.objects.filter(user=audrey).exists()
    client = Client()
    page = sign_in_to_admin(client, audrey, next_code(audrey))
    assert page.status_code == 200
    assert "session" not in client.cookies
