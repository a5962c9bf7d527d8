"""Alert rules and alerts over the API: made and tried out by Admins, looked at by who sees the whole log."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest

from accounts.models import Role, Tenant
from logs.models import Alert, AlertRule
from tests.access import granted_token, new_grant
from tests.alerting import evaluate, post
from tests.api import LOGS, Api, assert_refused
from tests.encrypting import settle
from tests.sequencing import sequence_all
from tests.storing import new_key, new_tenant, new_token, store

RULES = "/api/v1/alert-rules"
TEST = f"{RULES}/test"
ALERTS = "/api/v1/alerts"
RULE: dict[str, Any] = {
    "name": "Password guessing",
    "query": "action:LOGIN_FAILED",
    "condition": {"kind": "threshold", "count": 2, "window_seconds": 300},
    "group_by": ["user_id"],
    "cool_down_seconds": 0,
}
FAILED = {"action": "LOGIN_FAILED", "user_id": "bob"}


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN))


def add(admin: Api, **fields: Any) -> str:
    """Make a rule. Answers its address."""
    answer = admin.post(RULES, RULE | fields)
    assert answer.status_code == 201, answer.content
    return answer["Location"]


def test_rule_is_made_read_changed_muted_and_deleted(admin: Api, tenant: Tenant) -> None:
    schedule = {"days": ["sat", "sun"], "start": "22:00", "end": "06:00", "time_zone": "Europe/Berlin"}
    path = add(admin, schedule=schedule, description="by night")
    first = admin.get(path)
    rule = first.json()
    assert {name: rule[name] for name in RULE} == RULE
    assert (rule["schedule"], rule["description"], rule["severity"], rule["is_active"], rule["error"]) == (schedule, "by night", "WARNING", True, None)
    changed = admin.send("PATCH", path, {"severity": "CRITICAL", "schedule": None}, If_Match=first["ETag"])
    assert (changed.status_code, changed.json()["severity"], changed.json()["schedule"]) == (200, "CRITICAL", None)
    assert_refused(admin.send("PATCH", path, {"severity": "INFO"}, If_Match=first["ETag"]), 412, "changed_meanwhile")
    until = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)).isoformat()
    assert datetime.datetime.fromisoformat(admin.post(f"{path}/mute", {"until": until}).json()["muted_until"]) == datetime.datetime.fromisoformat(until)
    assert admin.post(f"{path}/mute", {"until": None}).json()["muted_until"] is None
    for wrong in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        assert_refused(admin.post(f"{path}/mute", {"until": wrong}), 422, "invalid", pointer="/until")
    assert_refused(admin.send("DELETE", path, If_Match=first["ETag"]), 412, "changed_meanwhile")
    assert admin.send("DELETE", path).status_code == 204
    assert_refused(admin.get(path), 404, "not_found")
    assert not AlertRule.objects.filter(tenant=tenant).exists()


def test_changes_are_entries(admin: Api, tenant: Tenant) -> None:
    path = add(admin)
    admin.send("PATCH", path, {"is_active": False})
    admin.post(f"{path}/mute", {"until": None})
    admin.send("DELETE", path)
    found = Api(new_key(tenant)).get(LOGS, q="resource_type:audit_log_alert_rule").json()["results"]
    assert [entry["action"] for entry in reversed(found)] == ["CREATE", "UPDATE", "MUTE", "DELETE"]
    assert {entry["resource_id"] for entry in found} == {path.rpartition("/")[2]}


@pytest.mark.parametrize(
    ("fields", "pointer", "fault"),
    [
        ({"name": "  "}, "/name", "empty"),
        ({"query": "actoin:x"}, "/query", "unknown_qualifier"),
        ({"query": "x after:-1d"}, "/query", "time_in_rule"),
        ({"query": "a OR (b -before:2026-01-01)"}, "/query", "time_in_rule"),
        ({"query": "x" * 5000}, "/query", "too_long"),
        ({"condition": {"kind": "threshold", "count": 1, "window_seconds": 300}}, "/condition/count", "wrong_type"),
        ({"condition": {"kind": "threshold", "count": 2}}, "/condition/window_seconds", "missing_field"),
        ({"condition": {"kind": "absence", "window_seconds": 1}}, "/condition/window_seconds", "wrong_type"),
        ({"condition": {"kind": "every_match", "count": 2}}, "/condition/count", "unknown_field"),
        ({"condition": {"kind": "never"}}, "/condition/kind", "invalid"),
        ({"group_by": ["message"]}, "/group_by/0", "unknown_value"),
        ({"group_by": ["action", "action"]}, "/group_by/1", "repeated"),
        ({"group_by": ["action", "user_id", "source", "session_id", "request_id"]}, "/group_by", "too_long"),
        ({"severity": "LOUD"}, "/severity", "unknown_value"),
        ({"cool_down_seconds": -1}, "/cool_down_seconds", "wrong_type"),
        ({"schedule": {"time_zone": "Mars/Olympus"}}, "/schedule/time_zone", "unknown_value"),
        ({"schedule": {"time_zone": "../../etc/passwd"}}, "/schedule/time_zone", "unknown_value"),
        ({"schedule": {"start": "25:00"}}, "/schedule/start", "bad_format"),
        ({"schedule": {"days": []}}, "/schedule/days", "too_short"),
    ],
)
def test_wrong_rule_is_refused_with_its_place(admin: Api, tenant: Tenant, fields: dict[str, Any], pointer: str, fault: str) -> None:
    assert_refused(admin.post(RULES, RULE | fields), 422, "invalid", pointer=pointer, fault=fault)
    assert_refused(admin.post(TEST, {"rule": RULE | fields}), 422, "invalid", pointer="/rule" + pointer, fault=fault)
    assert not AlertRule.objects.filter(tenant=tenant).exists()
    path = add(admin)
    assert_refused(admin.send("PATCH", path, fields), 422, "invalid", pointer=pointer, fault=fault)
    assert AlertRule.objects.get(tenant=tenant).version == 1


def test_name_is_of_one_rule(admin: Api) -> None:
    add(admin)
    assert_refused(admin.post(RULES, RULE), 422, "invalid", fault="exists")
    assert_refused(admin.send("PATCH", add(admin, name="other"), {"name": RULE["name"]}), 422, "invalid", fault="exists")


def test_rules_are_listed_in_pages(admin: Api) -> None:
    ids = [int(add(admin, name=f"rule {index}").rpartition("/")[2]) for index in range(3)]
    page = admin.get(RULES, limit=2).json()
    assert [rule["id"] for rule in page["results"]] == ids[:0:-1]
    assert [rule["id"] for rule in admin.get(page["next"]).json()["results"]] == ids[:1]


def test_list_of_rules_tells_how_far_they_are_behind(admin: Api, tenant: Tenant) -> None:
    post(tenant, FAILED)
    assert admin.get(RULES).json()["waiting_count"] == 0
    add(admin)
    before = admin.get(RULES).json()["waiting_count"]
    # The entries about making the rule and looking at it wait as well.
    post(tenant, *[FAILED] * 3)
    assert admin.get(RULES).json()["waiting_count"] >= before + 3
    evaluate(tenant)
    assert admin.get(RULES).json()["waiting_count"] == 0


def test_alerts_are_listed_acknowledged_and_closed(admin: Api, tenant: Tenant) -> None:
    path = add(admin, severity="ERROR")
    post(tenant, *[FAILED] * 4)
    evaluate(tenant)
    newest, oldest = admin.get(ALERTS).json()["results"]
    assert (newest["rule_id"], newest["group"], newest["count"], newest["state"]) == (int(path.rpartition("/")[2]), {"user_id": "bob"}, 2, "open")
    assert len(newest["entry_ids"]) == 2
    assert admin.get(f"{LOGS}/{newest['entry_ids'][0]}").json()["action"] == "LOGIN_FAILED"
    page = admin.get(ALERTS, limit=1, severity="ERROR").json()
    assert [alert["id"] for alert in admin.get(page["next"]).json()["results"]] == [oldest["id"]]
    mine = f"{ALERTS}/{newest['id']}"
    first = admin.get(mine)
    answer = admin.post(f"{mine}/acknowledge", {"note": "looking"}, If_Match=first["ETag"])
    assert (answer.status_code, answer.json()["state"], answer.json()["note"]) == (200, "acknowledged", "looking")
    assert answer.json()["changed_by"].startswith("user:")
    assert_refused(admin.post(f"{mine}/close", {}, If_Match=first["ETag"]), 412, "changed_meanwhile")
    assert admin.post(f"{mine}/close", {}).json()["note"] == "looking"
    assert_refused(admin.post(f"{mine}/acknowledge", {}), 422, "invalid", fault="closed")
    assert [alert["id"] for alert in admin.get(ALERTS, state="open").json()["results"]] == [oldest["id"]]
    assert [alert["id"] for alert in admin.get(f"{ALERTS}?state=open&state=closed").json()["results"]] == [newest["id"], oldest["id"]]
    for nothing in ({"severity": "INFO"}, {"rule_id": 1}, {"to": "-1h"}, {"from": "2999-01-01"}):
        assert admin.get(ALERTS, **nothing).json()["results"] == []
    assert len(admin.get(ALERTS, **{"from": "-1h", "rule_id": newest["rule_id"]}).json()["results"]) == 2
    for wrong in ({"state": "new"}, {"severity": "LOUD"}, {"from": "soon"}, {"rule_id": "x"}, {"rule": "1"}):
        assert_refused(admin.get(ALERTS, **wrong), 422, "invalid_query")
    assert admin.get(path).json()["alert_count"] == 2
    admin.send("DELETE", path)
    assert {alert["rule_id"] for alert in admin.get(ALERTS).json()["results"]} == {None}


def test_rule_is_tried_on_what_is_stored_and_nothing_is_kept(admin: Api, tenant: Tenant) -> None:
    ids = post(tenant, FAILED, FAILED | {"user_id": "eve"}, FAILED, {"action": "READ"}, FAILED)
    # Without a position, and so not to be evaluated yet: but it is there.
    ids += store(tenant, [FAILED])
    found = admin.post(TEST, {"rule": RULE}).json()
    assert (found["match_count"], found["fire_count"], found["alert_count"], found["searched_to"]) == (5, 2, 2, None)
    assert [(alert["group"], alert["entry_ids"]) for alert in found["alerts"]] == [
        ({"user_id": "bob"}, [ids[0], ids[2]]),
        ({"user_id": "bob"}, [ids[4], ids[5]]),
    ]
    quiet = admin.post(TEST, {"rule": RULE | {"cool_down_seconds": 600}}).json()
    assert (quiet["fire_count"], quiet["alert_count"]) == (2, 1)
    assert not AlertRule.objects.filter(tenant=tenant).exists()
    assert not Alert.objects.filter(tenant=tenant).exists()


def test_trial_fires_as_the_evaluator_does(admin: Api, tenant: Tenant) -> None:
    for name, condition in (("all", {"kind": "every_match"}), ("new", {"kind": "first_seen", "learn_days": 0}), ("two", RULE["condition"])):
        add(admin, name=name, condition=condition)
    evaluate(tenant)
    post(tenant, *(FAILED | {"user_id": user} for user in "ababbbac"))
    evaluate(tenant)
    for name, condition in (("all", {"kind": "every_match"}), ("new", {"kind": "first_seen", "learn_days": 0}), ("two", RULE["condition"])):
        tried = admin.post(TEST, {"rule": RULE | {"condition": condition}}).json()["alerts"]
        real = Alert.objects.filter(tenant=tenant, rule_name=name).order_by("pk")
        assert [(one["group"], one["count"], one["entry_ids"]) for one in tried] == [
            (alert.group, alert.count, [str(id) for id in alert.entry_ids]) for alert in real
        ]


def test_trial_of_absence_tells_of_the_silence_before_now(admin: Api, tenant: Tenant) -> None:
    found = admin.post(
        TEST, {"rule": RULE | {"query": "user:nobody", "group_by": [], "condition": {"kind": "absence", "window_seconds": 3600}}, "days": 1}
    ).json()
    assert (found["match_count"], found["fire_count"], [alert["count"] for alert in found["alerts"]]) == (0, 1, [0])


def test_trial_that_takes_too_long_says_how_far_it_came(admin: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tenant, [FAILED] * 30)
    monkeypatch.setattr("logs.alerts.learning.PAGE_ENTRIES", 10)
    monkeypatch.setattr("logs.alerts.trying.MAX_ENTRIES", 10)
    found = admin.post(TEST, {"rule": RULE}).json()
    assert found["match_count"] == 10
    assert found["searched_to"] > found["since"]


def test_who_sees_a_part_of_the_log_sees_no_alerts(admin: Api, tenant: Tenant) -> None:
    add(admin)
    narrow = Api(granted_token(tenant, Role.ADMIN, new_grant(tenant, forced_query="user:alice")))
    whole = Api(granted_token(tenant, Role.ADMIN, new_grant(tenant)))
    for path in (RULES, ALERTS):
        assert_refused(narrow.get(path), 403, "not_allowed")
        assert whole.get(path).status_code == 200
    for path, body in ((RULES, RULE | {"name": "mine"}), (TEST, {"rule": RULE})):
        assert_refused(narrow.post(path, body), 403, "not_allowed")
    assert AlertRule.objects.filter(tenant=tenant).count() == 1


def test_encrypted_values_fire_no_rule_and_are_shown_by_no_trial(admin: Api, tenant: Tenant) -> None:
    word = f"w{uuid.uuid4().hex}"
    settle(tenant, encrypted_metadata_keys=["note"])
    add(admin, query=word, condition={"kind": "every_match"}, group_by=[])
    assert admin.post(LOGS, {"user_id": "bob", "action": "A", "resource_type": "t", "metadata": {"note": word}}).status_code == 201
    sequence_all()
    evaluate(tenant)
    assert not Alert.objects.filter(tenant=tenant).exists()
    assert admin.post(TEST, {"rule": RULE | {"query": word}}).json()["match_count"] == 0
