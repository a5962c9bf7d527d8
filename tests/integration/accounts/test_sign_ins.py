"""Signing in and out is recorded in the log of each tenant of the person, and does not happen unrecorded."""

from __future__ import annotations

import uuid

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.models import Authenticator, Membership, RecoveryCodes, Role, Tenant, User
from accounts.sign_ins import operator_tenant
from tests.api import Api, assert_refused
from tests.recorded import assert_not_recorded, nothing_can_be_written, own_entries, the_one
from tests.signing_in import code_of, many_attempts, refresh, sign_in, sign_in_to_admin, try_to_sign_in
from tests.storing import new_tenant

TOKEN, REFRESH, SIGN_OUT = (f"/api/v1/auth/{name}" for name in ("token", "token/refresh", "sign-out"))
PASSWORD = "correct horse battery staple"
LOGIN = "/admin/login/"


class Person:
    """Somebody in two tenants, by another user_id in each."""

    def __init__(self) -> None:
        self.name = f"u{uuid.uuid4().hex[:12]}"
        self.user = User.objects.create_superuser(self.name, password=PASSWORD)
        self.tenants: list[Tenant] = [new_tenant(), new_tenant()]
        for number, tenant in enumerate(self.tenants):
            Membership.objects.create(user=self.user, tenant=tenant, role=Role.ADMIN, log_user_id=f"erin-{number}")

    def credentials(self, password: str = PASSWORD) -> dict[str, str]:
        return {"username": self.name, "password": password}


@pytest.fixture
def person() -> Person:
    return Person()


def test_sign_in_renewal_and_sign_out_are_in_each_of_the_tenants(person: Person) -> None:
    tokens = Api(None).post(TOKEN, person.credentials(), X_Request_Id="req-1").json()
    tokens = Api(None).post(REFRESH, {"refresh": tokens["refresh"]}).json()
    assert Api(None).post(SIGN_OUT, {"refresh": tokens["refresh"]}).status_code == 200
    for number, tenant in enumerate(person.tenants):
        found = own_entries(tenant)
        assert [entry["action"] for entry in found] == ["LOGIN", "REFRESH", "LOGOUT"]
        assert {(entry["user_id"], entry["resource_type"], entry["outcome"]) for entry in found} == {(f"erin-{number}", "audit_log_session", "success")}
        assert (found[0]["request_id"], found[0]["metadata"]["principal"], found[0]["ip_address"]) == ("req-1", f"user:{person.name}", "127.0.0.1")
        assert PASSWORD not in str(found)


def test_failed_sign_in_is_in_each_of_the_tenants(person: Person) -> None:
    assert_refused(Api(None).post(TOKEN, person.credentials("wrong password")), 401, "not_authenticated")
    for number, tenant in enumerate(person.tenants):
        entry = the_one(tenant)
        assert (entry["action"], entry["user_id"], entry["outcome"], entry["severity"]) == ("LOGIN", f"erin-{number}", "failure", "WARNING")
        assert "wrong password" not in str(entry)


def test_name_that_nobody_has_is_told_to_the_operator_without_the_name(settings: object) -> None:
    operators = new_tenant()
    settings.AUDITLOG_OPERATOR_TENANT = operators.slug  # type: ignore[attr-defined]  # pytest-django's
    assert_refused(Api(None).post(TOKEN, {"username": "my-password-in-the-wrong-field", "password": "x"}), 401, "not_authenticated")
    entry = the_one(operators)
    assert (entry["action"], entry["user_id"], entry["outcome"]) == ("LOGIN", "unknown", "failure")
    assert "my-password" not in str(entry)


def test_operator_is_the_oldest_tenant_if_none_is_named() -> None:
    oldest = Tenant.objects.filter(is_active=True).order_by("created_at").first()
    assert operator_tenant() == oldest


def test_nobody_signs_in_unrecorded(person: Person) -> None:
    tokens = Api(None).post(TOKEN, person.credentials()).json()
    with nothing_can_be_written():
        answer = Api(None).post(TOKEN, person.credentials())
        assert_not_recorded(answer)
        assert b"eyJ" not in answer.content
        assert_not_recorded(Api(None).post(TOKEN, person.credentials("wrong password")))
        assert_not_recorded(Api(None).post(REFRESH, {"refresh": tokens["refresh"]}))
        assert_not_recorded(Api(None).post(SIGN_OUT, {"refresh": tokens["refresh"]}))
    # What was not done left the token as it was.
    assert Api(None).post(REFRESH, {"refresh": tokens["refresh"]}).status_code == 200
    assert [entry["action"] for entry in own_entries(person.tenants[0])] == ["LOGIN", "REFRESH"]


def test_sign_in_to_the_admin_is_recorded(person: Person) -> None:
    browser = Client()
    assert browser.post(LOGIN, person.credentials("wrong")).status_code == 200
    assert browser.post(f"{LOGIN}?next=/admin/", person.credentials()).status_code == 302
    assert browser.post("/admin/logout/").status_code == 200
    for tenant in person.tenants:
        assert [(entry["action"], entry["outcome"]) for entry in own_entries(tenant)] == [("LOGIN", "failure"), ("LOGIN", "success"), ("LOGOUT", "success")]


def test_nobody_is_signed_in_to_the_admin_unrecorded(person: Person) -> None:
    browser = Client(raise_request_exception=False)
    with nothing_can_be_written():
        assert_not_recorded(browser.post(f"{LOGIN}?next=/admin/", person.credentials()))
    assert browser.get("/admin/").status_code == 302
    assert own_entries(person.tenants[0]) == []


def test_each_failure_says_why_and_a_lock_out_has_its_entry(person: Person) -> None:
    with many_attempts():
        for _ in range(6):
            try_to_sign_in(person.name, "wrong")
    for tenant in person.tenants:
        found = own_entries(tenant)
        assert [entry["action"] for entry in found] == ["LOGIN"] * 5 + ["LOCKED_OUT", "LOGIN"]
        assert [entry["metadata"].get("reason") for entry in found] == ["password"] * 5 + [None, "locked_out"]
        assert {entry["outcome"] for entry in found} == {"failure"}


def test_reused_refresh_token_has_its_entry_and_ends_its_family_even_if_that_can_not_be_recorded(person: Person) -> None:
    first = sign_in(person.user)
    second = refresh(first["refresh"]).json()
    with nothing_can_be_written():
        assert_not_recorded(refresh(first["refresh"]))
    assert refresh(second["refresh"]).status_code == 401
    again = sign_in(person.user)
    refresh(again["refresh"])
    assert refresh(again["refresh"]).status_code == 401
    for tenant in person.tenants:
        assert [entry["action"] for entry in own_entries(tenant)] == ["LOGIN", "REFRESH", "LOGIN", "REFRESH", "REFRESH_REUSED"]


def test_second_factor_is_recorded_from_its_setting_up_to_its_end(person: Person) -> None:
    browser = Client()
    sign_in_to_admin(browser, person.user)
    page = "/account/second-factor"
    browser.get(page)
    device = Authenticator.objects.get(user=person.user)
    browser.post(page, {"deed": "set_up", "code": code_of(device)})
    try_to_sign_in(person.user, otp="aaaa-aaaa-aaaa-aaaa")
    RecoveryCodes.objects.filter(user=person.user).update(throttling_failure_timestamp=None)
    browser.post(page, {"deed": "renew_codes", "code": code_of(device, steps=1)})
    browser.post(page, {"deed": "remove", "code": "aaaa-aaaa-aaaa-aaaa"})
    call_command("reset_second_factor", person.name)
    for tenant in person.tenants:
        found = own_entries(tenant)
        assert [(entry["action"], entry["outcome"]) for entry in found] == [
            ("LOGIN", "success"),
            ("SECOND_FACTOR_SET_UP", "success"),
            ("LOGIN", "failure"),
            ("SECOND_FACTOR_CODES_RENEWED", "success"),
            ("SECOND_FACTOR_REFUSED", "failure"),
            ("SECOND_FACTOR_REMOVED", "success"),
        ]
        assert device.seed_as_text not in str(found)


def test_second_factor_is_not_set_up_unrecorded(person: Person) -> None:
    browser = Client(raise_request_exception=False)
    sign_in_to_admin(browser, person.user)
    browser.get("/account/second-factor")
    code = code_of(Authenticator.objects.get(user=person.user))
    with nothing_can_be_written():
        assert_not_recorded(browser.post("/account/second-factor", {"deed": "set_up", "code": code}))
    assert not Authenticator.objects.filter(user=person.user, confirmed=True).exists()
    # What was not done left the code as it was.
    assert browser.post("/account/second-factor", {"deed": "set_up", "code": code}).status_code == 200
