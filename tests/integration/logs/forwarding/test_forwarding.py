"""Forwarders and their destinations: a real HTTP receiver, a real folder; restarts and deaths in the middle."""

from __future__ import annotations

import base64
import contextlib
import datetime
import gzip
import hmac
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from accounts.models import Role, Tenant
from accounts.problems import Invalid
from logs.forwarding import change_forwarder, destinations, replay_from, switch
from logs.forwarding.destinations import NotTaken
from logs.forwarding.following import OBJECT_SECONDS, ForwarderFollower
from logs.models import Forwarder, ForwarderKind
from tests.api import Api, assert_refused
from tests.delivering import NO_CONTENT, Receiver, Reply, receiving
from tests.forwarding import commit, forwarder, lines_of, until_sent
from tests.sequencing import now, sequence_all
from tests.storing import new_tenant, new_token, store
from tests.web import CHECKOUT, product_environment, wait_until

FORWARDERS = "/api/v1/forwarders"


pytestmark = pytest.mark.usefixtures("loopback_may_be_called")


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


def test_webhook_gets_every_entry_once_in_order_signed(tenant: Tenant, receiver: Receiver) -> None:
    ids = commit(tenant, 1_200)
    row, secret = forwarder(tenant, ForwarderKind.WEBHOOK, receiver.url)
    until_sent(ForwarderFollower(row.pk), row, 1_200)
    entries = [entry for call in receiver.calls for entry in lines_of(call)]
    assert [entry["id"] for entry in entries] == ids
    assert [entry["integrity"]["position"] for entry in entries] == list(range(1_200))
    for call in receiver.calls:
        signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode() + call.content
        expected = base64.b64encode(hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, "sha256")).decode()
        assert call.headers["webhook-signature"] == f"v1,{expected}"
    row.refresh_from_db()
    assert (row.sent_count, row.failure_count, row.last_error) == (1_200, 0, "")


def test_receiver_that_restarts_in_the_middle_gets_every_entry_in_order(tenant: Tenant) -> None:
    ids = commit(tenant, 2_000)
    with receiving() as first:
        port = first.port
        first.reply = lambda number: (204, {}, b"") if number < 2 else (503, {}, b"")
        row, _ = forwarder(tenant, ForwarderKind.WEBHOOK, first.url)
        follower = ForwarderFollower(row.pk)
        for _ in range(2):
            follower.step()
        with pytest.raises(NotTaken, match="503"):
            follower.step()
        taken = [entry["id"] for call in first.calls[:2] for entry in lines_of(call)]
    with pytest.raises(NotTaken):
        follower.step()
    row.refresh_from_db()
    assert row.failure_count == 2
    assert row.last_error
    with receiving(port) as second:
        until_sent(follower, row, 2_000)
        taken += [entry["id"] for call in second.calls for entry in lines_of(call)]
    assert taken == ids
    row.refresh_from_db()
    assert (row.failure_count, row.last_error) == (0, "")


@pytest.mark.parametrize("place", ["before", "after"])
def test_process_that_dies_around_a_batch_sends_it_again_and_skips_nothing(
    tenant: Tenant, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    ids = commit(tenant, 1_100)
    row, _ = forwarder(tenant, ForwarderKind.WEBHOOK, receiver.url)

    class Killed(BaseException):
        pass

    send = destinations.Webhook.send

    def killed(self: destinations.Webhook, batch: destinations.Batch) -> None:
        if place == "after":
            send(self, batch)
        raise Killed

    follower = ForwarderFollower(row.pk)
    follower.step()
    with monkeypatch.context() as patched:
        patched.setattr(destinations.Webhook, "send", killed)
        with pytest.raises(Killed):
            follower.step()
    until_sent(ForwarderFollower(row.pk), row, 1_100)
    arrived = [entry["id"] for call in receiver.calls for entry in lines_of(call)]
    assert list(dict.fromkeys(arrived)) == ids
    assert len(arrived) == 1_100 + (500 if place == "after" else 0)
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == 3


def test_two_at_once_skip_nothing(tenant: Tenant, receiver: Receiver) -> None:
    ids = commit(tenant, 2_000)
    row, _ = forwarder(tenant, ForwarderKind.WEBHOOK, receiver.url)
    one, other = ForwarderFollower(row.pk), ForwarderFollower(row.pk)
    for _ in range(20):
        with contextlib.suppress(NotTaken):
            one.step()
        with contextlib.suppress(NotTaken):
            other.step()
    until_sent(one, row, 2_000)
    arrived = {entry["id"] for call in receiver.calls for entry in lines_of(call)}
    assert arrived == set(ids)


def test_query_chooses_and_the_cursor_moves_over_the_rest(tenant: Tenant, receiver: Receiver) -> None:
    store(tenant, [{"action": "READ"}] * 5 + [{"action": "DELETE"}] + [{"action": "READ"}] * 5)
    sequence_all()
    row, _ = forwarder(tenant, ForwarderKind.WEBHOOK, receiver.url, query="action:DELETE")
    until_sent(ForwarderFollower(row.pk), row, 11)
    assert [entry["action"] for call in receiver.calls for entry in lines_of(call)] == ["DELETE"]


def test_pause_resume_and_replay(tenant: Tenant, receiver: Receiver) -> None:
    commit(tenant, 10)
    row, _ = forwarder(tenant, ForwarderKind.WEBHOOK, receiver.url)
    follower = ForwarderFollower(row.pk)
    switch(tenant.id, row.pk, is_active=False)
    assert not follower.step()
    assert receiver.calls == []
    switch(tenant.id, row.pk, is_active=True)
    until_sent(follower, row, 10)
    replay_from(tenant.id, row.pk, 7)
    until_sent(follower, row, 10)
    assert [entry["integrity"]["position"] for call in receiver.calls for entry in lines_of(call)] == [*range(10), 7, 8, 9]
    with pytest.raises(Invalid):
        replay_from(tenant.id, row.pk, 12)


def test_splunk_takes_events_and_says_so(tenant: Tenant, receiver: Receiver) -> None:
    ids = commit(tenant, 3)
    row, _ = forwarder(tenant, ForwarderKind.SPLUNK, receiver.url.removesuffix("/hook"), token="t0ken", index="audit")
    receiver.reply = lambda number: (200, {}, b'{"text":"Server is busy","code":9}' if number == 0 else b'{"text":"Success","code":0}')
    follower = ForwarderFollower(row.pk)
    with pytest.raises(NotTaken, match="code 9"):
        follower.step()
    until_sent(follower, row, 3)
    call = receiver.calls[-1]
    assert (call.path, call.headers["authorization"]) == ("/services/collector/event", "Splunk t0ken")
    decoder, text, events = json.JSONDecoder(), call.content.decode(), []
    while text:
        event, end = decoder.raw_decode(text)
        events.append(event)
        text = text[end:]
    assert [event["event"]["id"] for event in events] == ids
    assert {event["index"] for event in events} == {"audit"}


def test_objects_hold_every_entry_once_whoever_dies_when(tenant: Tenant, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.AUDITLOG_FORWARD_URLS = [f"file://{tmp_path}"]
    row, _ = forwarder(tenant, ForwarderKind.OBJECTS, f"file://{tmp_path}/out")
    ids = commit(tenant, 2_300)
    later = [now()]
    follower = ForwarderFollower(row.pk, lambda: later[0])

    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(ForwarderFollower, "_move", killed)
        with pytest.raises(Killed):
            follower.step()
    # More has come meanwhile: the object that was begun stays what it is.
    ids += commit(tenant, 100, 2_300)
    follower = ForwarderFollower(row.pk, lambda: later[0])
    while follower.step():
        pass
    assert Forwarder.objects.get(pk=row.pk).position < 2_399
    later[0] += datetime.timedelta(seconds=OBJECT_SECONDS + 60)
    until_sent(follower, row, 2_400)
    files = sorted((tmp_path / "out").rglob("*.ndjson.gz"), key=lambda path: path.name)
    assert all(re.fullmatch(rf"tenant={tenant.id}/date=\d{{4}}-\d\d-\d\d/hour=\d\d", str(path.parent.relative_to(tmp_path / "out"))) for path in files)
    assert [json.loads(line)["id"] for path in files for line in gzip.decompress(path.read_bytes()).splitlines()] == ids


def test_object_storage_that_the_operator_does_not_name_is_refused(tenant: Tenant, tmp_path: Path, settings: Any) -> None:
    settings.AUDITLOG_FORWARD_URLS = ["s3://ours/forwarded"]
    for url in (f"file://{tmp_path}", "s3://ours/forwarded-not", "s3://ours/forwarded/../secret", "s3://ours"):
        with pytest.raises(Invalid) as refused:
            forwarder(tenant, ForwarderKind.OBJECTS, url)
        assert [fault.code for fault in refused.value.faults] == ["storage_not_allowed"]


def test_splunk_token_does_not_go_to_another_server(tenant: Tenant) -> None:
    row, _ = forwarder(tenant, ForwarderKind.SPLUNK, "https://splunk.example.com:8088", token="t0ken")
    with pytest.raises(Invalid) as found:
        change_forwarder(tenant.id, row.pk, {"url": "https://mallory.example.com:8088"}, None, now())
    assert [(fault.pointer, fault.code) for fault in found.value.faults] == [("/token", "missing_field")]
    change_forwarder(tenant.id, row.pk, {"url": "https://splunk.example.com:8088/services/collector/event"}, None, now())
    change_forwarder(tenant.id, row.pk, {"url": "https://other.example.com:8088", "token": "another"}, None, now())
    assert destinations.secrets_of(Forwarder.objects.get(pk=row.pk)).token == "another"


def test_what_nobody_foresaw_is_shown_by_its_kind_alone(tenant: Tenant, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(tenant, 3)
    row, _ = forwarder(tenant, ForwarderKind.WEBHOOK, receiver.url)

    def fail(*_: object) -> None:
        raise ZeroDivisionError("s3cr3t")

    with monkeypatch.context() as patched:
        patched.setattr(destinations.Webhook, "send", fail)
        with pytest.raises(NotTaken):
            ForwarderFollower(row.pk).step()
    row.refresh_from_db()
    assert (row.last_error, row.failure_count, row.position) == ("ZeroDivisionError", 1, -1)


def test_hanging_destination_holds_no_other_up(tenant: Tenant, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destinations, "TIMEOUT_SECONDS", 1.0)
    commit(tenant, 5)
    slow, _ = forwarder(tenant, ForwarderKind.WEBHOOK, receiver.url)
    receiver.hangs.set()
    failed: list[Exception] = []

    def step() -> None:
        try:
            ForwarderFollower(slow.pk).step()
        except NotTaken as error:
            failed.append(error)
        finally:
            # To the pool: this thread ends.
            connection.close()

    thread = threading.Thread(target=step)
    thread.start()
    wait_until(lambda: bool(receiver.calls), "it hangs")
    with receiving() as good:
        row, _ = forwarder(tenant, ForwarderKind.WEBHOOK, good.url)
        until_sent(ForwarderFollower(row.pk), row, 5)
    thread.join(30)
    assert failed


@pytest.mark.slow(seconds=15)
def test_killed_process_of_the_followers_is_followed_by_another_and_skips_nothing(tenant: Tenant, receiver: Receiver) -> None:
    """`kill -9` of `manage.py run_followers`, twice, in the middle."""
    environment = product_environment(AUDITLOG_OUTBOUND_ALLOW="127.0.0.1")
    command = [sys.executable, str(CHECKOUT / "manage.py"), "run_followers"]
    ids = commit(tenant, 4_000)
    row, _ = forwarder(tenant, ForwarderKind.WEBHOOK, receiver.url)
    # Slow enough to be killed in the middle.

    def reply(_number: int) -> Reply:
        time.sleep(0.3)
        return NO_CONTENT

    receiver.reply = reply
    try:
        for taken in (2, 5, 10**9):
            process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_until(lambda taken=taken: len(receiver.calls) >= taken or Forwarder.objects.get(pk=row.pk).position == 3_999, "it sends")  # type: ignore[misc]
            process.kill()
            process.wait(30)
    finally:
        switch(tenant.id, row.pk, is_active=False)
    arrived = [entry["id"] for call in receiver.calls for entry in lines_of(call)]
    assert list(dict.fromkeys(arrived)) == ids
    assert len(arrived) <= 4_000 + 2 * 500


@pytest.mark.parametrize(
    ("kind", "url", "fields", "pointer", "code"),
    [
        ("webhook", "http://10.0.0.1/", {}, "/url", "bad_address"),
        ("syslog", "syslog://10.0.0.1:6514", {}, "/url", "bad_address"),
        ("syslog", "syslog://siem.example.com:22", {}, "/url", "bad_address"),
        ("syslog", "https://siem.example.com", {}, "/url", "bad_address"),
        ("splunk", "https://splunk.example.com", {}, "/token", "missing_field"),
        ("splunk", "https://splunk.example.com", {"token": "a\r\nb"}, "/token", "bad_format"),
        ("webhook", "https://siem.example.com", {"token": "x"}, "/token", "not_of_kind"),
        ("syslog", "syslog+tls://siem.example.com", {"certificate": "none"}, "/certificate", "bad_format"),
        ("syslog", "syslog+tls://siem.example.com", {"certificate": "\u00e9"}, "/certificate", "bad_format"),
        ("webhook", "https://siem.example.com", {"query": "severity:LOUD"}, "/query", "unknown_value"),
    ],
)
def test_wrong_forwarder_is_refused(tenant: Tenant, kind: str, url: str, fields: dict[str, Any], pointer: str, code: str) -> None:
    with pytest.raises(Invalid) as found:
        forwarder(tenant, kind, url, **fields)
    assert (pointer, code) in [(fault.pointer, fault.code) for fault in found.value.faults]
    assert not Forwarder.objects.filter(tenant=tenant).exists()


def test_forwarder_is_made_read_changed_paused_replayed_and_deleted(tenant: Tenant) -> None:
    admin = Api(new_token(tenant, Role.ADMIN))
    commit(tenant, 4)
    given = {"name": "Splunk", "kind": "splunk", "url": "https://splunk.example.com/s3cr3t", "token": "s3cr3t-token", "from_position": 1}
    made = admin.post(FORWARDERS, given)
    assert made.status_code == 201, made.content
    path = made["Location"]
    assert (made.json()["host"], made.json()["position"]) == ("splunk.example.com", 0)
    sequence_all()
    first = admin.get(path)
    assert first.json()["lag_entries"] >= 3
    changed = admin.send("PATCH", path, {"query": "action:DELETE"}, If_Match=first["ETag"])
    assert (changed.status_code, changed.json()["query"]) == (200, "action:DELETE")
    assert_refused(admin.send("PATCH", path, {"query": ""}, If_Match=first["ETag"]), 412, "changed_meanwhile")
    assert not admin.post(f"{path}/pause", {}).json()["is_active"]
    assert admin.post(f"{path}/resume", {}).json()["is_active"]
    assert admin.post(f"{path}/replay", {"from_position": 0}).json()["position"] == -1
    assert_refused(admin.post(f"{path}/replay", {"from_position": 10_000}), 422, "invalid", fault="no_such_position", pointer="/from_position")
    assert_refused(admin.post(FORWARDERS, given), 422, "invalid", fault="exists", pointer="/name")
    assert b"s3cr3t" not in made.content + first.content + admin.get(FORWARDERS).content
    row = Forwarder.objects.get(tenant=tenant)
    assert b"s3cr3t" not in bytes(row.sealed)
    change_forwarder(tenant.id, row.pk, {"url": "https://splunk.example.com/s3cr3t-too"}, None, now())
    assert destinations.secrets_of(Forwarder.objects.get(pk=row.pk)).token == "s3cr3t-token"
    assert admin.send("DELETE", path, None).status_code == 204
    assert admin.get(path).status_code == 404
