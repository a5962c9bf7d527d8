"""Delivery targets and deliveries over the API, and an alert on its whole way to a receiver."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import pytest
from django.db import connections

from accounts.models import Role, Tenant
from logs import deliveries
from logs.deliveries.secrets import secrets_of
from logs.models import DeliveryTarget
from logs.privacy.encryption import master_keys
from logs.privacy.encryption.rotation import live_keys, rewrap
from tests.alerting import evaluate, new_rule, post
from tests.api import Api, assert_refused
from tests.delivering import Receiver
from tests.recorded import own_entries
from tests.storing import new_tenant, new_token

TARGETS = "/api/v1/delivery-targets"
DELIVERIES = "/api/v1/deliveries"


pytestmark = pytest.mark.usefixtures("loopback_may_be_called")


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN))


def webhook(name: str = "On call", url: str = "https://hooks.example.com/s3cr3t-path") -> dict[str, Any]:
    return {"name": name, "kind": "webhook", "url": url}


def test_target_is_made_read_changed_and_deleted_and_its_secrets_are_shown_once(admin: Api, tenant: Tenant) -> None:
    made = admin.post(TARGETS, webhook())
    assert made.status_code == 201, made.content
    assert made.json()["secret"].startswith("whsec_")
    path = made["Location"]
    first = admin.get(path)
    assert "secret" not in first.json()
    assert first.json()["host"] == "hooks.example.com"
    changed = admin.send("PATCH", path, {"name": "Renamed", "url": "https://other.example.com/s3cr3t-path"}, If_Match=first["ETag"])
    assert (changed.status_code, changed.json()["host"]) == (200, "other.example.com")
    assert_refused(admin.send("PATCH", path, {"name": "Again"}, If_Match=first["ETag"]), 412, "changed_meanwhile")
    rotated = admin.post(f"{path}/rotate-secret", {"overlap_seconds": 60})
    assert rotated.json()["secret"] not in ("", made.json()["secret"])
    shown = [first.content, changed.content, admin.get(TARGETS).content, json.dumps(own_entries(tenant)).encode()]
    assert not [answer for answer in shown if b"s3cr3t" in answer or b"whsec_" in answer]
    assert b"s3cr3t" not in bytes(DeliveryTarget.objects.get(tenant=tenant).sealed)
    assert admin.send("DELETE", path, None).status_code == 204
    assert admin.get(path).status_code == 404


@pytest.mark.parametrize(
    ("given", "pointer", "code"),
    [
        (webhook(url="http://10.0.0.1/"), "/url", "bad_address"),
        (webhook(url="http://169.254.169.254/latest"), "/url", "bad_address"),
        (webhook(url="file:///etc/passwd"), "/url", "bad_address"),
        (webhook(url="https://user:password@hooks.example.com/"), "/url", "bad_address"),
        ({"name": "x", "kind": "slack"}, "/url", "missing_field"),
        ({"name": "x", "kind": "webhook", "url": "https://a.example/", "email_addresses": ["a@example.com"]}, "/email_addresses", "not_of_kind"),
        ({"name": "x", "kind": "email", "email_addresses": ["no address"]}, "/email_addresses/0", "bad_format"),
        ({"name": " ", "kind": "webhook", "url": "https://a.example/"}, "/name", "empty"),
    ],
)
def test_wrong_target_is_refused(admin: Api, tenant: Tenant, given: dict[str, Any], pointer: str, code: str) -> None:
    assert_refused(admin.post(TARGETS, given), 422, "invalid", fault=code, pointer=pointer)
    assert not DeliveryTarget.objects.filter(tenant=tenant).exists()


def test_second_target_of_a_name_is_refused(admin: Api) -> None:
    admin.post(TARGETS, webhook())
    assert_refused(admin.post(TARGETS, webhook()), 422, "invalid", fault="exists", pointer="/name")


def test_alert_arrives_at_the_targets_of_its_rule(admin: Api, tenant: Tenant, receiver: Receiver) -> None:
    target = admin.post(TARGETS, webhook(url=receiver.url)).json()
    rule = {"name": "Deletions", "query": "action:DELETE", "condition": {"kind": "every_match"}, "group_by": ["user_id"], "target_ids": [target["id"]]}
    made = admin.post("/api/v1/alert-rules", rule)
    assert (made.status_code, made.json()["target_ids"]) == (201, [target["id"]])
    [entry_id] = post(tenant, {"action": "DELETE", "user_id": "bob"})
    evaluate(tenant)
    deliveries.send(target["id"])
    [call] = receiver.calls
    told = json.loads(call.content)
    assert (told["type"], told["data"]["rule"], told["data"]["group"], told["data"]["entry_ids"]) == (
        "alert.fired",
        "Deletions",
        {"user_id": "bob"},
        [entry_id],
    )
    # What the alert and its delivery write fires nothing more.
    evaluate(tenant)
    deliveries.send(target["id"])
    assert len(receiver.calls) == 1
    [delivery] = admin.get(DELIVERIES).json()["results"]
    one = admin.get(f"{DELIVERIES}/{delivery['id']}").json()
    assert (one["state"], [attempt["status_code"] for attempt in one["attempts"]]) == ("delivered", [204])
    assert admin.post(f"{DELIVERIES}/{delivery['id']}/replay", {}).status_code == 202
    deliveries.send(target["id"])
    assert [call.headers["webhook-id"] for call in receiver.calls] == [delivery["webhook_id"]] * 2


def test_rule_can_t_name_a_target_of_another_tenant(admin: Api, tenant: Tenant) -> None:
    other = Api(new_token(new_tenant(), Role.ADMIN)).post(TARGETS, webhook()).json()["id"]
    rule = {"name": "Deletions", "query": "action:DELETE", "condition": {"kind": "every_match"}, "target_ids": [other]}
    assert_refused(admin.post("/api/v1/alert-rules", rule), 422, "invalid", fault="unknown_value", pointer="/target_ids")


def test_targets_of_a_rule_can_be_taken_away(admin: Api, tenant: Tenant) -> None:
    target = admin.post(TARGETS, webhook()).json()["id"]
    rule = new_rule(tenant, target_ids=[target])
    path = f"/api/v1/alert-rules/{rule.pk}"
    assert admin.send("PATCH", path, {"severity": "ERROR"}).json()["target_ids"] == [target]
    assert admin.send("PATCH", path, {"target_ids": []}).json()["target_ids"] == []


def test_deliveries_come_in_pages_and_by_state(admin: Api, receiver: Receiver) -> None:
    target = admin.post(TARGETS, webhook(url=receiver.url)).json()["id"]
    made = [admin.post(f"{TARGETS}/{target}/test", {}).json()["id"] for _ in range(3)]
    first = admin.get(f"{DELIVERIES}?limit=2").json()
    second = admin.get(first["next"]).json()
    assert [one["id"] for one in first["results"] + second["results"]] == made[::-1]
    assert second["next"] is None
    assert admin.get(f"{DELIVERIES}?state=dead").json()["results"] == []
    assert_refused(admin.post(f"{DELIVERIES}/{made[0]}/replay", {}), 422, "invalid", fault="waiting")
    assert deliveries.send(target) == 3
    assert {one["state"] for one in admin.get(f"{DELIVERIES}?target_id={target}").json()["results"]} == {"delivered"}


def test_rotated_master_key_opens_targets_and_the_old_one_is_not_needed(admin: Api, tenant: Tenant, settings: Any) -> None:
    admin.post(TARGETS, webhook())
    old, new = settings.AUDITLOG_MASTER_KEY, base64.b64encode(os.urandom(32)).decode()
    settings.AUDITLOG_MASTER_KEY = f"{new},{old}"
    masters = master_keys.master_keys()
    with connections["maintenance"].cursor() as database:
        try:
            assert masters.current_id not in live_keys(database)
            assert sum(count for count, _ in rewrap(database, masters)) >= 1
            assert live_keys(database)[masters.current_id] >= 1
            settings.AUDITLOG_MASTER_KEY = new
            assert secrets_of(DeliveryTarget.objects.get(tenant=tenant)).url == webhook()["url"]
        finally:
            # Back, for the tests that share this database.
            settings.AUDITLOG_MASTER_KEY = f"{old},{new}"
            assert sum(lost for _, lost in rewrap(database, master_keys.master_keys())) == 0


def test_without_a_master_key_nothing_is_kept_and_it_is_said(admin: Api, tenant: Tenant, settings: Any) -> None:
    path = admin.post(TARGETS, webhook())["Location"]
    settings.AUDITLOG_MASTER_KEY = ""
    assert_refused(admin.post(TARGETS, webhook("another")), 422, "invalid", fault="no_master_key")
    assert_refused(admin.send("PATCH", path, {"name": "Renamed"}), 422, "invalid", fault="no_master_key")
    assert_refused(admin.post(f"{path}/rotate-secret", {}), 422, "invalid", fault="no_master_key")
    assert DeliveryTarget.objects.filter(tenant=tenant).count() == 1
