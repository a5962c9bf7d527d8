"""Sending to receivers that take, refuse, hang, redirect and go away. The clock is the test's."""

from __future__ import annotations

import datetime
import json
import threading
from typing import Any

import pytest
from django.db import connection, transaction
from standardwebhooks.webhooks import Webhook

from accounts.models import Tenant
from logs import deliveries
from logs.deliveries import channels, sending
from logs.deliveries.replaying import KEPT_DAYS, remove_old
from logs.deliveries.retrying import MAX_AGE, MAX_ATTEMPTS
from logs.deliveries.targets import rotate_secret
from logs.models import Delivery, DeliveryAttempt, DeliveryState, DeliveryTarget, TargetKind
from tests.delivering import NOW, Call, Receiver, new_target, notice, receiving
from tests.recorded import own_entries
from tests.storing import new_tenant

pytestmark = pytest.mark.usefixtures("loopback_may_be_called")


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        # Far enough back: an entry of the future would be refused.
        self.now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=20)

    def __call__(self) -> datetime.datetime:
        return self.now

    def pass_to(self, moment: datetime.datetime | None) -> None:
        assert moment is not None
        self.now = max(self.now, moment)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def tell(target: DeliveryTarget, clock: Clock, *message_ids: str) -> list[Delivery]:
    for message_id in message_ids:
        with transaction.atomic():
            deliveries.enqueue(target.tenant_id, [target.pk], notice(message_id), clock())
    return [Delivery.objects.get(target=target, message_id=message_id) for message_id in message_ids]


def signature_of(secret: str, call: Call) -> str:
    """What a library that is not ours signs what came with. (Its `verify` would look at the clock.)"""
    signed_at = datetime.datetime.fromtimestamp(int(call.headers["webhook-timestamp"]), datetime.UTC)
    return str(Webhook(secret).sign(call.headers["webhook-id"], signed_at, call.content.decode()))


def state_of(delivery: Delivery) -> str:
    delivery.refresh_from_db()
    return delivery.state


def test_webhook_arrives_signed_once_and_is_an_entry(tenant: Tenant, receiver: Receiver, clock: Clock) -> None:
    target, secret = new_target(tenant, receiver.url)
    [delivery] = tell(target, clock, "alert:7")
    tell(target, clock, "alert:7")
    assert deliveries.send(target.pk, clock) == 1
    assert deliveries.send(target.pk, clock) == 0
    [call] = receiver.calls
    assert signature_of(secret, call) == call.headers["webhook-signature"]
    assert json.loads(call.content) == {
        "type": "alert.fired",
        "timestamp": NOW.isoformat(),
        "data": {"title": "Password guessing", "text": "5 entries.", "severity": "ERROR", "count": 5},
    }
    assert call.headers["webhook-id"] == f"msg_{delivery.pk.hex}"
    assert state_of(delivery) == DeliveryState.DELIVERED
    [attempt] = delivery.attempts.all()
    assert (attempt.is_success, attempt.status_code) == (True, 204)
    [entry] = [entry for entry in own_entries(tenant) if entry["action"] == "DELIVER"]
    assert (entry["resource_id"], entry["outcome"], entry["metadata"]["host"]) == (str(delivery.pk), "success", "127.0.0.1")
    assert "/hook" not in json.dumps(entry, default=str)


def test_receiver_that_fails_is_tried_again_later_and_later_until_it_takes_it(tenant: Tenant, receiver: Receiver, clock: Clock) -> None:
    target, _ = new_target(tenant, receiver.url)
    receiver.reply = lambda number: (500, {}, b"\x1b[31mout of order\n") if number < 4 else (204, {}, b"")
    [delivery] = tell(target, clock, "alert:1")
    waits = []
    for _ in range(5):
        assert deliveries.send(target.pk, clock) == 1
        # Not before its time.
        assert deliveries.send(target.pk, clock) == 0
        target.refresh_from_db()
        delivery.refresh_from_db()
        if delivery.state == DeliveryState.WAITING:
            waits.append((max(filter(None, (target.rests_until, delivery.next_attempt_at))) - clock()).total_seconds())
            clock.pass_to(target.rests_until)
            clock.pass_to(delivery.next_attempt_at)
    assert state_of(delivery) == DeliveryState.DELIVERED
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == 1
    assert [round(wait) >= low for wait, low in zip(waits, (2, 15, 60, 300), strict=True)] == [True] * 4
    errors = [(attempt.status_code, attempt.error, attempt.answer) for attempt in delivery.attempts.all()]
    assert errors == [(500, "The receiver answered 500.", "[31mout of order")] * 4 + [(204, "", "")]
    target.refresh_from_db()
    assert (target.failure_count, target.rests_until) == (0, None)


def test_what_never_arrives_is_a_dead_letter_and_can_be_replayed(tenant: Tenant, receiver: Receiver, clock: Clock) -> None:
    target, _ = new_target(tenant, receiver.url)
    receiver.reply = lambda number: (500, {}, b"") if number < MAX_ATTEMPTS else (204, {}, b"")
    [delivery] = tell(target, clock, "alert:1")
    for _ in range(MAX_ATTEMPTS):
        assert deliveries.send(target.pk, clock) == 1
        target.refresh_from_db()
        delivery.refresh_from_db()
        clock.pass_to(target.rests_until)
        clock.pass_to(delivery.next_attempt_at or clock())
    assert state_of(delivery) == DeliveryState.DEAD
    assert [entry["outcome"] for entry in own_entries(tenant) if entry["action"] == "DELIVER"] == ["failure"]
    assert deliveries.replay_dead(tenant.id, target.pk, clock()) == 1
    assert deliveries.send(target.pk, clock) == 1
    assert state_of(delivery) == DeliveryState.DELIVERED
    assert delivery.attempts.count() == MAX_ATTEMPTS + 1
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == 1
    assert sorted(entry["outcome"] for entry in own_entries(tenant) if entry["action"] == "DELIVER") == ["failure", "success"]


def test_target_that_fails_for_an_hour_costs_one_attempt_a_rest_and_others_nothing(tenant: Tenant, receiver: Receiver, clock: Clock) -> None:
    with receiving() as good:
        bad_target, _ = new_target(tenant, receiver.url)
        good_target, _ = new_target(tenant, good.url)
        receiver.reply = lambda _number: (500, {}, b"")
        began = clock()
        tell(bad_target, clock, *(f"alert:{number}" for number in range(50)))
        while clock() < began + datetime.timedelta(hours=1):
            deliveries.send(bad_target.pk, clock)
            tell(good_target, clock, f"at {clock().isoformat()}")
            assert deliveries.send(good_target.pk, clock) == 1
            clock.now += datetime.timedelta(minutes=1)
        assert len(good.calls) == 60
        assert 4 <= len(receiver.calls) <= 10
        receiver.reply = lambda _number: (204, {}, b"")
        clock.now += datetime.timedelta(hours=2)
        failed = len(receiver.calls)
        assert deliveries.send(bad_target.pk, clock) == 50
        assert Delivery.objects.filter(target=bad_target, state=DeliveryState.DELIVERED).count() == 50
        assert len(receiver.calls) == failed + 50


def test_hanging_target_holds_nobody_else_up(tenant: Tenant, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "TIMEOUT_SECONDS", 2.0)
    target, _ = new_target(tenant, receiver.url)
    receiver.hangs.set()
    [delivery] = tell(target, clock, "alert:1")

    def work() -> None:
        try:
            deliveries.send(target.pk, clock)
        finally:
            # To the pool: this thread ends.
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        while not receiver.calls:
            pass
        # A second worker finds it taken, and goes on to others at once.
        assert deliveries.send(target.pk, clock) == 0
        with receiving() as good:
            other, _ = new_target(tenant, good.url)
            tell(other, clock, "alert:2")
            assert deliveries.send(other.pk, clock) == 1
    finally:
        thread.join(30)
    assert state_of(delivery) == DeliveryState.WAITING
    [attempt] = delivery.attempts.all()
    assert not attempt.is_success
    assert attempt.status_code is None
    target.refresh_from_db()
    assert target.claim is None


@pytest.mark.parametrize("location", ["http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "/elsewhere"])
def test_redirects_are_not_followed(tenant: Tenant, receiver: Receiver, clock: Clock, location: str) -> None:
    target, _ = new_target(tenant, receiver.url)
    receiver.reply = lambda _number: (302, {"Location": location}, b"")
    [delivery] = tell(target, clock, "alert:1")
    deliveries.send(target.pk, clock)
    assert [call.path for call in receiver.calls] == ["/hook"]
    [attempt] = delivery.attempts.all()
    assert (attempt.status_code, "redirects are not followed" in attempt.error) == (302, True)


def test_address_that_leads_inside_is_refused_when_it_is_made_and_when_it_is_called(tenant: Tenant, receiver: Receiver, clock: Clock, settings: Any) -> None:
    target, _ = new_target(tenant, receiver.url)
    settings.AUDITLOG_OUTBOUND_ALLOW = []
    [delivery] = tell(target, clock, "alert:1")
    deliveries.send(target.pk, clock)
    assert receiver.calls == []
    [attempt] = delivery.attempts.all()
    assert "may not be called" in attempt.error


def test_receiver_that_is_gone_switches_its_target_off(tenant: Tenant, receiver: Receiver, clock: Clock) -> None:
    target, _ = new_target(tenant, receiver.url)
    receiver.reply = lambda _number: (410, {}, b"")
    first, second = tell(target, clock, "alert:1", "alert:2")
    deliveries.send(target.pk, clock)
    target.refresh_from_db()
    assert not target.is_active
    assert "410" in target.stopped_because
    assert [state_of(first), state_of(second)] == [DeliveryState.DEAD, DeliveryState.WAITING]
    clock.now += MAX_AGE
    deliveries.give_up_old(clock())
    assert state_of(second) == DeliveryState.DEAD
    assert deliveries.due_targets(clock()) == []


def test_receiver_may_ask_for_time(tenant: Tenant, receiver: Receiver, clock: Clock) -> None:
    target, _ = new_target(tenant, receiver.url)
    receiver.reply = lambda _number: (429, {"Retry-After": "1000"}, b"")
    tell(target, clock, "alert:1")
    deliveries.send(target.pk, clock)
    target.refresh_from_db()
    assert target.rests_until == clock() + datetime.timedelta(seconds=1000)


def test_sender_that_dies_in_the_middle_loses_nothing(tenant: Tenant, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the call, before anything of it is kept."""
    target, _ = new_target(tenant, receiver.url)
    [delivery] = tell(target, clock, "alert:1")

    class Killed(BaseException):
        pass

    def die(*_arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(sending, "_keep", die)
        # Killed, it does not even give the target back.
        patched.setattr(sending, "CLAIM_SECONDS", 60)
        with pytest.raises(Killed):
            deliveries.send(target.pk, clock)
    DeliveryTarget.objects.filter(pk=target.pk).update(claim=delivery.pk, claimed_until=clock() + datetime.timedelta(seconds=60))
    assert deliveries.send(target.pk, clock) == 0
    assert deliveries.due_targets(clock()) == []
    clock.now += datetime.timedelta(seconds=61)
    assert target.pk in deliveries.due_targets(clock())
    assert deliveries.send(target.pk, clock) == 1
    assert [call.headers["webhook-id"] for call in receiver.calls] == [f"msg_{delivery.pk.hex}"] * 2
    assert state_of(delivery) == DeliveryState.DELIVERED


def test_notice_of_a_transaction_that_fails_is_not_sent(tenant: Tenant, receiver: Receiver, clock: Clock) -> None:
    target, _ = new_target(tenant, receiver.url)

    def fail() -> None:
        with transaction.atomic():
            deliveries.enqueue(tenant.id, [target.pk], notice(), clock())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not Delivery.objects.filter(target=target).exists()


def test_target_of_another_tenant_is_told_nothing(tenant: Tenant, receiver: Receiver, clock: Clock) -> None:
    target, _ = new_target(new_tenant(), receiver.url)
    with transaction.atomic():
        deliveries.enqueue(tenant.id, [target.pk], notice(), clock())
    assert not Delivery.objects.filter(target=target).exists()


def test_rotated_secret_and_the_one_before_both_sign_until_the_overlap_is_over(tenant: Tenant, receiver: Receiver, clock: Clock) -> None:
    target, old = new_target(tenant, receiver.url)
    _, new = rotate_secret(tenant.id, target.pk, 3600, None, clock())
    target.refresh_from_db()
    tell(target, clock, "alert:1")
    deliveries.send(target.pk, clock)
    clock.now += datetime.timedelta(seconds=3601)
    tell(target, clock, "alert:2")
    deliveries.send(target.pk, clock)
    within, after = (call.headers["webhook-signature"].split() for call in receiver.calls)
    assert (len(within), len(after)) == (2, 1)
    assert set(within) == {signature_of(old, receiver.calls[0]), signature_of(new, receiver.calls[0])}
    assert after == [signature_of(new, receiver.calls[1])]


def test_chat_gets_a_message(tenant: Tenant, receiver: Receiver, clock: Clock) -> None:
    target, secret = new_target(tenant, receiver.url, TargetKind.SLACK)
    assert secret == ""
    with transaction.atomic():
        deliveries.enqueue(tenant.id, [target.pk], notice(text="<!channel> & all"), clock())
    deliveries.send(target.pk, clock)
    [call] = receiver.calls
    message = json.loads(call.content)
    assert message["text"] == "ERROR: Password guessing"
    assert message["attachments"][0]["blocks"][0]["text"]["text"] == "&lt;!channel&gt; &amp; all"
    assert "webhook-signature" not in call.headers


def test_old_deliveries_are_removed_and_those_on_their_way_stay(tenant: Tenant, receiver: Receiver, clock: Clock) -> None:
    target, _ = new_target(tenant, receiver.url)
    tell(target, clock, "alert:1")
    deliveries.send(target.pk, clock)
    receiver.reply = lambda _number: (500, {}, b"")
    tell(target, clock, "alert:2")
    deliveries.send(target.pk, clock)
    remove_old(clock() + datetime.timedelta(days=KEPT_DAYS - 1))
    assert Delivery.objects.filter(target=target).count() == 2
    remove_old(clock() + datetime.timedelta(days=KEPT_DAYS + 1))
    assert [delivery.message_id for delivery in Delivery.objects.filter(target=target)] == ["alert:2"]
    assert DeliveryAttempt.objects.filter(delivery__target=target).count() == 1
