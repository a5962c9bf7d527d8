"""Receivers and tenants that mean harm: what they answer, repeat and ask for costs nobody else, and nothing goes round in circles."""

from __future__ import annotations

import datetime
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.db import transaction

from accounts.models import Tenant
from logs import deliveries
from logs.deliveries import NewTarget, Notice, create_target
from logs.deliveries.retrying import MAX_AGE
from logs.deliveries.sending import SENDERS_OF_A_TENANT
from logs.models import Delivery, DeliveryState, DeliveryTarget, TargetKind
from tests.storing import new_tenant

NOW = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
LATER = NOW + datetime.timedelta(days=1)
# In the address, and a secret there.
SECRET = "B0000-secret-0123456789"


pytestmark = pytest.mark.usefixtures("loopback_may_be_called")


@contextmanager
def answering(status: int, headers: dict[str, str] | None = None) -> Iterator[str]:
    """The address of a receiver that answers so, and repeats what it was asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = f"Cannot POST {self.path}".encode()
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hooks/{SECRET}"
        server.shutdown()


def new_target(tenant: Tenant, url: str) -> DeliveryTarget:
    return create_target(tenant.id, "user:root", NewTarget(name=uuid.uuid4().hex, kind=TargetKind.WEBHOOK, url=url))[0]


def tell(target: DeliveryTarget) -> Delivery:
    message_id = f"alert:{uuid.uuid4()}"
    with transaction.atomic():
        deliveries.enqueue(target.tenant_id, [target.pk], Notice(message_id, "alert.fired", "A title", "A text.", "ERROR", NOW), NOW)
    return Delivery.objects.get(target=target, message_id=message_id)


@pytest.mark.parametrize(
    "retry_after",
    ["Wed, 31 Feb 2026 10:00:00 GMT", "99 Nov 2026 99:99:99 GMT", "Wed, 01 Jan 2026 00:00:00 +9999", "Wed, 01 Jan 99999 00:00:00 GMT", "-1", "soon", "9" * 500],
)
def test_impossible_retry_after_is_a_failed_attempt_like_any_other(retry_after: str) -> None:
    with answering(503, {"Retry-After": retry_after}) as url:
        delivery = tell(target := new_target(new_tenant(), url))
        assert deliveries.send(target.pk, lambda: NOW) == 1
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempt_count) == (DeliveryState.WAITING, 1)
    assert delivery.next_attempt_at is not None
    assert NOW < delivery.next_attempt_at <= LATER
    assert [attempt.status_code for attempt in delivery.attempts.all()] == [503]
    # Not at once again.
    assert deliveries.send(target.pk, lambda: NOW) == 0


def test_what_nobody_thought_of_counts_as_an_attempt_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = tell(target := new_target(new_tenant(), "http://127.0.0.1:1024/"))
    # A notice that no channel can make a message of.
    Delivery.objects.filter(pk=delivery.pk).update(notice={})
    assert deliveries.send(target.pk, lambda: NOW) == 1
    target.refresh_from_db()
    [attempt] = delivery.attempts.all()
    assert (attempt.is_success, "KeyError" in attempt.error) == (False, True)
    assert target.claim is None
    assert target.rests_until is not None
    assert target.rests_until > NOW


def test_address_that_a_receiver_repeats_is_kept_nowhere() -> None:
    with answering(404) as url:
        delivery = tell(target := new_target(new_tenant(), url))
        deliveries.send(target.pk, lambda: NOW)
    [attempt] = delivery.attempts.all()
    assert attempt.answer == "Cannot POST [address]"
    rows: list[Any] = [*DeliveryTarget.objects.filter(pk=target.pk).values(), *Delivery.objects.filter(pk=delivery.pk).values()]
    assert SECRET not in json.dumps(
        [*rows, *delivery.attempts.values()], default=lambda value: bytes(value).hex() if isinstance(value, memoryview) else str(value)
    )


def test_replayed_delivery_of_a_target_that_is_switched_off_is_given_up_again() -> None:
    tenant = new_tenant()
    delivery = tell(target := new_target(tenant, "http://127.0.0.1:1024/"))
    Delivery.objects.filter(pk=delivery.pk).update(state=DeliveryState.DEAD, next_attempt_at=None, finished_at=NOW)
    replayed_at = NOW + 2 * MAX_AGE
    deliveries.replay(tenant.id, delivery.pk, replayed_at)
    DeliveryTarget.objects.filter(pk=target.pk).update(is_active=False)
    # Its age counts from the replay: it is not given up at once for being old.
    deliveries.give_up_old(replayed_at + MAX_AGE - datetime.timedelta(seconds=1))
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.WAITING
    deliveries.give_up_old(replayed_at + MAX_AGE)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.series) == (DeliveryState.DEAD, 2)


def test_one_tenant_does_not_take_all_places_of_the_senders() -> None:
    crowded, other = new_tenant(), new_tenant()
    with answering(204) as url:
        busy = [new_target(crowded, url) for _ in range(SENDERS_OF_A_TENANT)]
        waiting, others = new_target(crowded, url), new_target(other, url)
        for target in (waiting, others):
            tell(target)
        # As senders leave it that are in the middle of a call.
        claimed_until = NOW + datetime.timedelta(seconds=60)
        DeliveryTarget.objects.filter(pk__in=[target.pk for target in busy]).update(claim=uuid.uuid4(), claimed_until=claimed_until)
        assert deliveries.send(waiting.pk, lambda: NOW) == 0
        assert deliveries.send(others.pk, lambda: NOW) == 1
        # The tending task finds it, if nobody else does.
        assert waiting.pk in deliveries.due_targets(NOW)
        DeliveryTarget.objects.filter(pk=busy[0].pk).update(claim=None, claimed_until=None)
        assert deliveries.send(waiting.pk, lambda: NOW) == 1


def test_place_that_becomes_free_goes_to_a_target_of_the_tenants_that_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[int] = []
    tenant = new_tenant()
    with answering(204) as url:
        first, second = new_target(tenant, url), new_target(tenant, url)
        foreign = new_target(new_tenant(), url)
        for target in (first, second, foreign):
            tell(target)
        # What would be given to the broker.
        monkeypatch.setattr(deliveries.sending, "wake", lambda target_id, after_seconds=0.0: woken.append(target_id))
        deliveries.send(first.pk, lambda: NOW)
    assert woken == [second.pk]
