"""Alert rules and alerts in the Django admin."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client

from accounts.models import Membership, Role, Tenant, User
from logs.models import Alert, AlertRule
from tests.alerting import evaluate, new_rule, post
from tests.api import LOGS, Api
from tests.storing import new_key, new_tenant, store

ADD = "/admin/logs/alertrule/add/"


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
    given = {"tenant": str(tenant.id), "name": "guessing", "query": "action:LOGIN_FAILED", "kind": "threshold", "count": "2", "window_seconds": "60"}
    return given | {"group_by": "user_id", "severity": "ERROR", "cool_down_seconds": "0", "schedule": "null"} | fields


def test_rule_is_added_tried_out_and_switched_on(browser: Client, root: User, tenant: Tenant) -> None:
    Membership.objects.create(user=root, tenant=tenant, role=Role.AUDITOR)
    store(tenant, [{"action": "LOGIN_FAILED", "user_id": "<b>bob</b>"}] * 2)
    assert browser.post(ADD, form(tenant)).status_code == 302
    rule = AlertRule.objects.get(tenant=tenant)
    assert (rule.is_active, rule.created_by, rule.definition) == (False, f"user:{root.username}", 1)
    assert (rule.condition, rule.group_by) == ({"kind": "threshold", "count": 2, "window_seconds": 60}, ["user_id"])
    page = browser.get(f"/admin/logs/alertrule/{rule.pk}/preview/").content.decode()
    assert "there would have been 1 alerts" in page
    assert "&lt;b&gt;bob&lt;/b&gt;" in page
    change = f"/admin/logs/alertrule/{rule.pk}/change/"
    shown = browser.get(change).content.decode()
    assert 'name="count" value="2"' in shown
    assert browser.post(change, form(tenant, is_active="on", kind="absence", window_seconds="3600", query="")).status_code == 302
    rule.refresh_from_db()
    assert (rule.is_active, rule.definition, rule.query, rule.condition) == (True, 2, "", {"kind": "absence", "window_seconds": 3600})
    found = Api(new_key(tenant)).get(LOGS, q="resource_type:audit_log_alert_rule").json()["results"]
    assert [entry["action"] for entry in reversed(found)] == ["CREATE", "PREVIEW", "UPDATE"]


def test_wrong_rule_is_refused_in_its_field(browser: Client, tenant: Tenant) -> None:
    new_rule(tenant, name="taken")
    for wrong, said in (
        ({"query": "actoin:x"}, "Did you mean action"),
        ({"kind": "absence", "window_seconds": "1"}, "Expected `int`"),
        ({"count": ""}, "missing required field"),
        ({"schedule": '{"time_zone": "Mars"}'}, "There is no time zone"),
        ({"schedule": '{"from": "Mars"}'}, "unknown field"),
        ({"muted_until_0": "2999-01-01", "muted_until_1": "00:00"}, "366 days at most"),
        ({"name": "taken"}, "of this name already"),
    ):
        page = browser.post(ADD, form(tenant) | wrong)
        assert page.status_code == 200
        assert said in page.content.decode(), wrong
    assert AlertRule.objects.filter(tenant=tenant).count() == 1


def test_preview_shows_nothing_to_who_is_no_member(browser: Client, tenant: Tenant) -> None:
    store(tenant, [{"user_id": "planted"}])
    rule = new_rule(tenant, group_by=("user_id",))
    page = browser.get(f"/admin/logs/alertrule/{rule.pk}/preview/").content.decode()
    assert "no member" in page
    assert "planted" not in page
    assert Client().get(f"/admin/logs/alertrule/{rule.pk}/preview/").status_code == 302


def test_alerts_are_acknowledged_and_closed(browser: Client, root: User, tenant: Tenant) -> None:
    new_rule(tenant, "action:LOGIN_FAILED", name="guessing")
    post(tenant, {"action": "LOGIN_FAILED"}, {"action": "LOGIN_FAILED"})
    evaluate(tenant)
    first, second = Alert.objects.filter(tenant=tenant).order_by("pk")
    assert "guessing" in browser.get("/admin/logs/alert/").content.decode()
    assert browser.get(f"/admin/logs/alert/{first.pk}/change/").status_code == 200
    for action, alerts in (("close", [first]), ("acknowledge", [first, second])):
        browser.post("/admin/logs/alert/", {"action": action, "_selected_action": [str(alert.pk) for alert in alerts]})
    assert list(Alert.objects.filter(tenant=tenant).order_by("pk").values_list("state", "changed_by")) == [
        ("closed", f"user:{root.username}"),
        ("acknowledged", f"user:{root.username}"),
    ]
