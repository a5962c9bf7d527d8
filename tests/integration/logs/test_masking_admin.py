"""Masking rules in the Django admin: switched off at first, tried out on recent entries, then switched on."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client

from accounts.models import Membership, Role, Tenant, User
from logs.models import MaskingRule
from logs.privacy import masking
from tests.storing import new_tenant, store

ADD = "/admin/logs/maskingrule/add/"


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def root() -> User:
    return User.objects.create_superuser(f"root{uuid.uuid4().hex[:8]}", password=uuid.uuid4().hex)


@pytest.fixture
def browser(root: User) -> Client:
    client = Client()
    client.force_login(root)
    return client


def form(tenant: Tenant, **fields: str) -> dict[str, str]:
    return {"tenant": str(tenant.id), "name": "badges", "kind": "pattern", "pattern": "EMP-[0-9]{6}", "action": "redact", "position": "100"} | fields


def test_rule_is_added_tried_out_and_switched_on(browser: Client, root: User, tenant: Tenant) -> None:
    Membership.objects.create(user=root, tenant=tenant, role=Role.AUDITOR)
    store(tenant, [{"message": "EMP-004711 <b>came</b>"}])
    assert 'name="is_active"' in browser.get(ADD).content.decode()
    assert 'name="is_active" id="id_is_active" checked' not in browser.get(ADD).content.decode()
    assert browser.post(ADD, form(tenant)).status_code == 302
    rule = MaskingRule.objects.get(tenant=tenant)
    assert (rule.is_active, rule.created_by) == (False, f"user:{root.username}")
    page = browser.get(f"/admin/logs/maskingrule/{rule.pk}/preview/")
    assert page.status_code == 200
    assert "[redacted] &lt;b&gt;came&lt;/b&gt;" in page.content.decode()
    assert browser.post(f"/admin/logs/maskingrule/{rule.pk}/change/", form(tenant, is_active="on")).status_code == 302
    rule.refresh_from_db()
    assert (rule.is_active, rule.version) == (True, 2)


def test_wrong_pattern_is_refused_with_re2_s_reason(browser: Client, tenant: Tenant) -> None:
    answer = browser.post(ADD, form(tenant, pattern="(EMP"))
    assert "missing )" in answer.content.decode()
    assert not MaskingRule.objects.filter(tenant=tenant).exists()


def test_preview_shows_no_entries_to_who_is_no_member(browser: Client, tenant: Tenant) -> None:
    store(tenant, [{"message": "EMP-004711"}])
    rule = MaskingRule.objects.create(tenant=tenant, name="x", kind="pattern", pattern="EMP-[0-9]{6}")
    page = browser.get(f"/admin/logs/maskingrule/{rule.pk}/preview/").content.decode()
    assert "no member" in page
    assert "EMP-004711" not in page


def test_preview_is_closed_to_strangers(tenant: Tenant) -> None:
    rule = MaskingRule.objects.create(tenant=tenant, name="x", kind="key", pattern="salary")
    answer = Client().get(f"/admin/logs/maskingrule/{rule.pk}/preview/")
    assert answer.status_code == 302
    assert "salary" not in answer.content.decode()


def test_built_in_rule_is_switched_off(browser: Client, tenant: Tenant) -> None:
    body = {"tenant": str(tenant.id), "name": "emails", "action": ""}
    assert browser.post("/admin/logs/builtinmasking/add/", body).status_code == 302
    assert "emails" not in masking.rules_of(tenant.id).built_in
