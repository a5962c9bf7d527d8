"""Rules are evaluated in the order of positions, each entry once, whatever dies or meets whom in between."""

from __future__ import annotations

import datetime
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from django.db import connections

from accounts import extensions
from accounts.models import Role, Tenant
from accounts.problems import NotRecorded
from logs.alerts import change_rule, definition, delete_rule, evaluating, loading, mute_rule, reading, recording
from logs.alerts.conditions import Absence, FirstSeen, Threshold
from logs.alerts.definition import Compiled
from logs.alerts.evaluating import AlertsFollower
from logs.models import Alert, AlertCursor, AlertProgress, AlertRule
from logs.search.facts import Facts
from tests.alerting import evaluate, fired, new_rule, post, run_to_end
from tests.api import Api, entry
from tests.sequencing import now, sequence_all
from tests.storing import new_key, new_tenant, new_token, store

FAILED = {"action": "LOGIN_FAILED", "outcome": "failure"}


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


def failed(user: str, **fields: Any) -> dict[str, Any]:
    return FAILED | {"user_id": user} | fields


def test_threshold_fires_with_its_group_and_entries(tenant: Tenant) -> None:
    new_rule(tenant, "action:LOGIN_FAILED", Threshold(3, 300), group_by=("user_id", "ip_address"), name="guessing", severity="CRITICAL")
    ids = post(
        tenant,
        failed("bob", ip_address="203.0.113.7"),
        failed("bob", ip_address="203.0.113.8"),
        failed("bob", ip_address="203.0.113.7"),
        # In no group.
        failed("bob"),
        failed("bob", action="LOGIN", ip_address="203.0.113.7"),
        failed("bob", ip_address="203.0.113.7"),
        failed("bob", ip_address="203.0.113.7"),
    )
    evaluate(tenant)
    (alert,) = Alert.objects.filter(tenant=tenant)
    assert (alert.rule_name, alert.severity, alert.group, alert.count) == ("guessing", "CRITICAL", {"user_id": "bob", "ip_address": "203.0.113.7"}, 3)
    assert ([str(id) for id in alert.entry_ids], alert.positions) == ([ids[0], ids[2], ids[5]], [0, 2, 5])
    assert AlertProgress.objects.get(rule__tenant=tenant).match_count == 5


def test_entries_of_earlier_chunks_are_named_too(tenant: Tenant) -> None:
    new_rule(tenant, "action:LOGIN_FAILED", Threshold(2, 300), group_by=("user_id",))
    first = post(tenant, failed("bob"))
    evaluate(tenant)
    second = post(tenant, {"action": "READ"}, failed("bob"))
    evaluate(tenant)
    (alert,) = Alert.objects.filter(tenant=tenant)
    assert [str(id) for id in alert.entry_ids] == [first[0], second[1]]


def test_rule_begins_at_the_present_and_anew_when_what_it_counts_changes(tenant: Tenant) -> None:
    post(tenant, failed("bob"))
    rule = new_rule(tenant, "action:LOGIN_FAILED", Threshold(2, 300))
    post(tenant, failed("bob"))
    evaluate(tenant)
    change_rule(tenant.id, rule.pk, {"severity": "ERROR", "name": "other"}, None, now())
    evaluate(tenant)
    change_rule(tenant.id, rule.pk, {"condition": Threshold(2, 301)}, None, now())
    post(tenant, failed("bob"))
    evaluate(tenant)
    assert fired(tenant) == []
    post(tenant, failed("bob"))
    evaluate(tenant)
    assert fired(tenant) == [("other", {}, 2)]


def test_switched_off_rule_counts_nothing_and_begins_anew(tenant: Tenant) -> None:
    rule = new_rule(tenant, "action:LOGIN_FAILED", Threshold(2, 300))
    post(tenant, failed("bob"))
    evaluate(tenant)
    change_rule(tenant.id, rule.pk, {"is_active": False}, None, now())
    post(tenant, failed("bob"))
    evaluate(tenant)
    change_rule(tenant.id, rule.pk, {"is_active": True}, None, now())
    post(tenant, failed("bob"))
    evaluate(tenant)
    assert fired(tenant) == []


def test_first_seen_knows_history_and_tells_each_value_once(tenant: Tenant) -> None:
    post(tenant, {"user_id": "alice", "action": "DELETE"}, {"user_id": "bob", "action": "READ"})
    # Committed, and without a position when the rule learns: history, too.
    store(tenant, [{"user_id": "carol", "action": "DELETE"}])
    new_rule(tenant, "action:DELETE", FirstSeen(), group_by=("user_id",), name="first deletion")
    evaluate(tenant)
    post(tenant, *({"user_id": user, "action": "DELETE"} for user in ("alice", "carol", "bob", "bob", "dora")))
    evaluate(tenant)
    post(tenant, {"user_id": "dora", "action": "DELETE"})
    evaluate(tenant)
    assert fired(tenant) == [("first deletion", {"user_id": "bob"}, 1), ("first deletion", {"user_id": "dora"}, 1)]
    progress = AlertProgress.objects.get(rule__tenant=tenant)
    assert (progress.is_learned, progress.known_count) == (True, 4)


def test_first_seen_with_more_values_than_it_can_know_says_so_and_stops(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluating, "MAX_KNOWN", 2)
    new_rule(tenant, "", FirstSeen(0), group_by=("user_id",))
    other = new_rule(tenant, "user:c")
    evaluate(tenant)
    post(tenant, *({"user_id": user} for user in "abc"))
    evaluate(tenant)
    assert fired(tenant) == [(other.name, {}, 1)]
    assert "no more can be told apart" in AlertProgress.objects.exclude(rule=other).get(rule__tenant=tenant).error


def test_absence_is_told_once_by_the_clock_until_a_match_comes_again(tenant: Tenant) -> None:
    new_rule(tenant, "source:key:testing", Absence(60), name="silent")
    (id,) = post(tenant, {})
    start = now()
    for seconds, count in ((30, 0), (90, 1), (100, 1)):
        evaluate(tenant, start + datetime.timedelta(seconds=seconds))
        assert fired(tenant) == [("silent", {}, 0)] * count
    (alert,) = Alert.objects.filter(tenant=tenant)
    assert datetime.timedelta(seconds=59) < alert.occurred_at - start < datetime.timedelta(seconds=60)
    assert [str(id) for id in alert.entry_ids] == [id]
    # Received now, that is before the moment to which the clock was set: time does not go back.
    post(tenant, {})
    for seconds, count in ((110, 1), (160, 2), (200, 2)):
        evaluate(tenant, start + datetime.timedelta(seconds=seconds))
        assert fired(tenant) == [("silent", {}, 0)] * count


def test_absence_waits_for_what_has_no_position_yet(tenant: Tenant) -> None:
    new_rule(tenant, "source:key:testing", Absence(60), name="silent")
    post(tenant, {})
    store(tenant, [{}])
    evaluate(tenant, now() + datetime.timedelta(hours=1))
    assert fired(tenant) == []


def test_own_entries_fire_only_rules_that_name_them_and_alerts_fire_none(tenant: Tenant) -> None:
    new_rule(tenant, "", name="everything")
    new_rule(tenant, "source:auditlog", name="own")
    Api(new_key(tenant)).get("/api/v1/logs")
    sequence_all()
    evaluate(tenant)
    assert fired(tenant) == [("own", {}, 1)]
    for _ in range(3):
        sequence_all()
        evaluate(tenant)
    assert fired(tenant) == [("own", {}, 1)]


def test_imported_entries_fire_nothing(tenant: Tenant) -> None:
    new_rule(tenant, "action:LOGIN_FAILED")
    admin = Api(new_token(tenant, Role.ADMIN))
    assert admin.post("/api/v1/logs/bulk?imported=true", [entry(**failed("bob"))]).status_code == 201
    sequence_all()
    evaluate(tenant)
    assert fired(tenant) == []


def test_mute_and_cool_down_make_no_alerts_and_are_counted(tenant: Tenant) -> None:
    rule = new_rule(tenant, "action:LOGIN_FAILED", group_by=("user_id",), cool_down_seconds=600)
    post(tenant, failed("bob"), failed("bob"), failed("eve"))
    evaluate(tenant)
    mute_rule(tenant.id, rule.pk, now() + datetime.timedelta(hours=1), None, now())
    post(tenant, failed("dora"), failed("bob"))
    evaluate(tenant)
    assert [group["user_id"] for _, group, _ in fired(tenant)] == ["bob", "eve"]
    mute_rule(tenant.id, rule.pk, None, None, now())
    post(tenant, failed("dora"))
    evaluate(tenant)
    newest = Alert.objects.filter(tenant=tenant).order_by("-pk")[0]
    assert (newest.group, newest.suppressed_count) == ({"user_id": "dora"}, 1)
    progress = AlertProgress.objects.get(rule=rule)
    assert (progress.match_count, progress.alert_count, progress.suppressed_count) == (6, 3, 3)


def test_rule_that_can_t_be_read_says_why_and_holds_up_no_other(tenant: Tenant) -> None:
    broken = new_rule(tenant, "action:LOGIN_FAILED", name="broken")
    AlertRule.objects.filter(pk=broken.pk).update(query="action:(")
    new_rule(tenant, "action:LOGIN_FAILED", name="sound")
    post(tenant, failed("bob"))
    evaluate(tenant)
    assert fired(tenant) == [("sound", {}, 1)]
    assert "can't be read" in AlertProgress.objects.get(rule=broken).error
    change_rule(tenant.id, broken.pk, {"query": "action:LOGIN_FAILED user:bob"}, None, now())
    post(tenant, failed("bob"))
    evaluate(tenant)
    assert [name for name, _, _ in fired(tenant)] == ["sound", "broken", "sound"]
    assert AlertProgress.objects.get(rule=broken).error == ""


def test_rule_that_fails_or_takes_too_long_holds_up_no_other(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = new_rule(tenant, "slow", name="slow")
    failing = new_rule(tenant, "action:LOGIN_FAILED", Threshold(2, 60), name="failing")
    new_rule(tenant, "action:LOGIN_FAILED", name="sound")

    def with_slow(query: str, *given: Any) -> Compiled:
        compiled = definition.compiled_of(query, *given)
        return replace(compiled, predicate=takes_200_ms) if query == "slow" else compiled

    def fail(*_: Any) -> Any:
        raise ZeroDivisionError("a fault")

    with monkeypatch.context() as patch:
        patch.setattr(loading, "compiled_of", with_slow)
        patch.setattr(Threshold, "take", fail)
        post(tenant, failed("bob"))
        evaluate(tenant)
    assert fired(tenant) == [("sound", {}, 1)]
    assert "ms an entry" in AlertProgress.objects.get(rule=slow).error
    error = AlertProgress.objects.get(rule=failing).error
    assert "failed on an entry" in error
    assert "a fault" not in error


def takes_200_ms(_: Facts) -> bool:
    begun = time.thread_time()
    while time.thread_time() - begun < 0.2:
        pass
    return True


class Killed(BaseException):
    """The process dies here."""


KILLED_AT = {
    "before anything is written": (AlertsFollower, "_commit"),
    "after the cursor moved": (evaluating, "_note"),
    "after progress was written": (evaluating, "_alert_of"),
    "after the commit": (evaluating, "record_fired"),
    "before the entry was stored": (recording, "_record_of"),
}


@pytest.mark.parametrize("place", KILLED_AT)
def test_killed_anywhere_no_entry_is_skipped_or_counted_twice(tenant: Tenant, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    new_rule(tenant, "action:LOGIN_FAILED", Threshold(2, 300), name="two")
    new_rule(tenant, "action:LOGIN_FAILED", name="each")
    post(tenant, *[failed("bob")] * 3)
    evaluate(tenant)
    post(tenant, *[failed("bob")] * 3)
    with monkeypatch.context() as patch:

        def die(*_: Any, **__: Any) -> Any:
            raise Killed

        patch.setattr(*KILLED_AT[place], die)
        with pytest.raises(Killed):
            evaluate(tenant)
    evaluate(tenant)
    names = [name for name, _, _ in fired(tenant)]
    assert (names.count("two"), names.count("each")) == (3, 6)
    sequence_all()
    assert len(entries_of_alerts(tenant)) == 9


def entries_of_alerts(tenant: Tenant) -> list[dict[str, Any]]:
    found = Api(new_key(tenant)).get("/api/v1/logs", q="resource_type:audit_log_alert source:auditlog", limit=1000).json()["results"]
    return [one for one in found if one["action"] == "FIRE"]


def test_alert_is_an_entry_once_however_often_it_is_recorded(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    new_rule(tenant, "action:LOGIN_FAILED", group_by=("user_id",), severity="CRITICAL", name="guessing")
    (id,) = post(tenant, failed("bob"))
    with monkeypatch.context() as patch:
        patch.setattr(extensions, "submit", refuse)
        with pytest.raises(NotRecorded):
            evaluate(tenant)
    assert Alert.objects.get(tenant=tenant).recorded_at is None
    evaluate(tenant)
    Alert.objects.filter(tenant=tenant).update(recorded_at=None)
    evaluate(tenant)
    (stored,) = entries_of_alerts(tenant)
    alert = Alert.objects.get(tenant=tenant)
    assert (stored["severity"], stored["resource_id"], stored["user_id"]) == ("CRITICAL", str(alert.pk), "auditlog")
    assert (stored["metadata"]["rule"], stored["metadata"]["group"], stored["metadata"]["entries"]) == ("guessing", {"user_id": "bob"}, [id])
    assert alert.recorded_at is not None


def refuse(*_: Any) -> Any:
    raise NotRecorded


def test_two_evaluators_at_once_count_once(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluating, "CHUNK_POSITIONS", 3)
    new_rule(tenant, "action:LOGIN_FAILED", Threshold(2, 300), name="two")
    post(tenant, *[failed("bob")] * 20)
    errors: list[BaseException] = []

    def go() -> None:
        try:
            run_to_end(AlertsFollower(tenant.id))
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert fired(tenant) == [("two", {}, 2)] * 10
    assert AlertCursor.objects.get(tenant=tenant).position >= 19


def test_rule_changed_or_deleted_while_it_is_evaluated_fires_as_nothing_it_was(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    changed, deleted = new_rule(tenant, "action:LOGIN_FAILED", name="changed"), new_rule(tenant, "action:LOGIN_FAILED", name="deleted")
    follower = AlertsFollower(tenant.id)
    run_to_end(follower)
    post(tenant, failed("bob"))

    def meanwhile(*given: Any) -> Any:
        monkeypatch.setattr(evaluating, "read_chunk", reading.read_chunk)
        chunk = reading.read_chunk(*given)
        change_rule(tenant.id, changed.pk, {"query": "action:LOGIN_FAILED user:eve"}, None, now())
        delete_rule(tenant.id, deleted.pk, None)
        return chunk

    monkeypatch.setattr(evaluating, "read_chunk", meanwhile)
    run_to_end(follower)
    assert fired(tenant) == []
    post(tenant, failed("eve"))
    run_to_end(follower)
    assert fired(tenant) == [("changed", {}, 1)]


def test_followers_are_of_tenants_with_active_rules_and_remember(tenant: Tenant) -> None:
    name = f"alerts:{tenant.id}"
    assert name not in [follower.name for follower in evaluating.followers()]
    rule = new_rule(tenant)
    (follower,) = [follower for follower in evaluating.followers() if follower.name == name]
    assert follower in evaluating.followers()
    change_rule(tenant.id, rule.pk, {"is_active": False}, None, now())
    assert name not in [follower.name for follower in evaluating.followers()]
