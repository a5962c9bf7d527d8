"""What is done in the admin is recorded in the logs of the tenants that it concerns, by names of fields and never by values."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.api_keys import create_api_key
from accounts.models import ApiKey, Membership, Role, Tenant, User
from logs.models import LogSettings
from tests.recorded import assert_not_recorded, nothing_can_be_written, own_entries, the_one
from tests.storing import new_tenant

NO_INLINES = {f"{name}-{kind}": "0" for name in ("memberships", "schemas") for kind in ("TOTAL_FORMS", "INITIAL_FORMS", "MIN_NUM_FORMS", "MAX_NUM_FORMS")}


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def browser() -> Client:
    client = Client(raise_request_exception=False)
    # Of no tenant, so that signing in is told to the operator alone.
    client.force_login(User.objects.create_superuser(f"root{uuid.uuid4().hex[:8]}", password="x"))
    return client


def posted(browser: Client, path: str, **fields: Any) -> Any:
    return browser.post(f"/admin/{path}", NO_INLINES | fields)


def test_change_is_recorded_by_its_fields(tenant: Tenant, browser: Client) -> None:
    assert posted(browser, f"accounts/tenant/{tenant.pk}/change/", slug=tenant.slug, name="A secret plan", is_active="on").status_code == 302
    entry = the_one(tenant)
    assert (entry["action"], entry["resource_type"], entry["resource_id"], entry["source"]) == ("UPDATE", "audit_log_settings", str(tenant.pk), "auditlog")
    assert entry["user_id"].startswith("root")
    assert entry["metadata"]["changes"] == [{"changed": {"fields": ["Name"]}}]
    assert "A secret plan" not in str(entry)


def test_key_made_and_revoked_in_the_admin_is_recorded_without_its_secret(tenant: Tenant, browser: Client) -> None:
    answer = browser.post("/admin/accounts/apikey/add/", {"tenant": str(tenant.pk), "name": "billing", "scopes": "logs:read"}, follow=True)
    secret = answer.content.decode().split("shown this once: ")[1].split("_", 2)[2][:43]
    key = ApiKey.objects.get(tenant=tenant)
    assert browser.post("/admin/accounts/apikey/", {"action": "revoke", "_selected_action": str(key.pk)}).status_code == 302
    found = own_entries(tenant)
    assert [(entry["action"], entry["resource_type"], entry["resource_id"]) for entry in found] == [
        ("CREATE", "audit_log_key", str(key.pk)),
        ("REVOKE", "audit_log_key", str(key.pk)),
    ]
    assert secret not in str(found)


def test_person_is_recorded_in_each_of_their_tenants(tenant: Tenant, browser: Client) -> None:
    other = new_tenant()
    user = User.objects.create_user(f"u{uuid.uuid4().hex[:8]}", password="x")
    for one in (tenant, other):
        Membership.objects.create(user=user, tenant=one, role=Role.AUDITOR)
    answer = browser.post(
        f"/admin/accounts/user/{user.pk}/password/", {"password1": "correct horse battery", "password2": "correct horse battery", "usable_password": "true"}
    )
    assert answer.status_code == 302
    assert posted(browser, f"accounts/user/{user.pk}/delete/", post="yes").status_code == 302
    for one in (tenant, other):
        found = own_entries(one)
        assert [(entry["action"], entry["resource_type"]) for entry in found] == [("UPDATE", "audit_log_member"), ("DELETE", "audit_log_member")]
        assert "correct horse" not in str(found)


def test_what_belongs_to_no_tenant_is_told_to_the_operator(tenant: Tenant, browser: Client, settings: Any) -> None:
    settings.AUDITLOG_OPERATOR_TENANT = tenant.slug
    name = uuid.uuid4().hex
    assert posted(browser, "auth/group/add/", name=name).status_code == 302
    entry = the_one(tenant)
    assert (entry["metadata"]["model"], entry["metadata"]["object"]) == ("auth.Group", name)


def test_nothing_is_done_in_the_admin_unrecorded(tenant: Tenant, browser: Client, settings: Any) -> None:
    settings.AUDITLOG_OPERATOR_TENANT = tenant.slug
    row, _ = create_api_key(tenant, "billing", ["logs:read"])
    user = User.objects.create_user(f"u{uuid.uuid4().hex[:8]}", password="old")
    Membership.objects.create(user=user, tenant=tenant, role=Role.AUDITOR)
    log_settings = LogSettings.objects.get_or_create(tenant=tenant)[0]
    with nothing_can_be_written():
        for answer in (
            posted(browser, f"accounts/tenant/{tenant.pk}/change/", slug=tenant.slug, name="changed", is_active="on"),
            posted(browser, "accounts/apikey/", action="revoke", _selected_action=str(row.pk)),
            posted(browser, f"logs/logsettings/{log_settings.pk}/change/", catalogue_mode="warn"),
            posted(browser, "auth/group/add/", name="a group"),
            posted(browser, f"accounts/user/{user.pk}/delete/", post="yes"),
            posted(browser, f"accounts/user/{user.pk}/password/", password1="correct horse battery", password2="correct horse battery", usable_password="true"),
        ):
            assert_not_recorded(answer)
    tenant.refresh_from_db()
    row.refresh_from_db()
    log_settings.refresh_from_db()
    user.refresh_from_db()
    assert (tenant.name, row.revoked_at, log_settings.catalogue_mode) == (tenant.slug, None, "off")
    assert user.check_password("old")
    assert not Group.objects.filter(name="a group").exists()
    assert own_entries(tenant) == []
