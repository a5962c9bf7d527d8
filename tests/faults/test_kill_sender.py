"""The process that sends deliveries, as `make run` starts it: killed in the middle of a call, and with receivers that never answer."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from auditlog_project.embedded.serving import commands
from tests.faults.rig import Rig
from tests.faults.test_kill_export_worker import kill
from tests.web import CHECKOUT, STOP_SECONDS, manage, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kill sender")]
# More than the sender has threads.
HANGING = 20
TOLD = """
import auditlog_project.celery
import datetime
from django.db import transaction
from accounts.models import Tenant
from logs.deliveries import NewTarget, Notice, create_target, enqueue
now = datetime.datetime.now(datetime.UTC)
for slug, name, url in {wanted!r}:
    tenant = Tenant.objects.get_or_create(slug=slug, defaults={{"name": slug}})[0] if slug else Tenant.objects.order_by("created_at").first()
    target, _ = create_target(tenant.id, "user:root", NewTarget(name=name, kind="webhook", url=url))
    with transaction.atomic():
        enqueue(tenant.id, [target.pk], Notice(name, "alert.fired", "A title", "A text.", "ERROR", now), now)
"""
TEND = "import auditlog_project.celery; from logs.tasks import tend_deliveries; tend_deliveries()"


class Receiver(ThreadingHTTPServer):
    """Keeps the `webhook-id`s that come to each path. To /hang it never answers; to /once/... not to the first call."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.calls: dict[str, list[str]] = {}
        self.is_over = threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def count(self, path: str) -> int:
        return len(self.calls.get(path, ()))


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            calls = self.server.calls.setdefault(self.path, [])
            calls.append(self.headers["webhook-id"])
            is_first = len(calls) == 1
        if self.path.startswith("/hang") or (self.path.startswith("/once") and is_first):
            self.server.is_over.wait(60)
            return
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.is_over.set()
        server.shutdown()


@pytest.fixture
def environment(rig: Rig) -> dict[str, str]:
    return rig.environment | {"AUDITLOG_OUTBOUND_ALLOW": "127.0.0.0/8"}


@contextmanager
def sender(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = commands("127.0.0.1", 0, 1)["sender"]
    process = subprocess.Popen(
        command, cwd=CHECKOUT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        # What hangs is none of the test's any more.
        if process.poll() is None:
            kill(process)
        process.wait(STOP_SECONDS)


def shell(environment: dict[str, str], code: str) -> None:
    done = manage(environment, "shell", "-c", code)
    assert done.returncode == 0, done.stderr.decode()


def found(rig: Rig, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with rig.maintenance() as connection:
        return connection.execute(statement, values).fetchall()


def state_of(rig: Rig, name: str) -> tuple[Any, ...]:
    [row] = found(rig, "SELECT d.state, d.attempt_count FROM logs_delivery AS d JOIN logs_deliverytarget AS t ON t.id = d.target_id WHERE t.name = %s", name)
    return row


def test_delivery_whose_sender_is_killed_arrives_by_another_under_the_same_id(rig: Rig, environment: dict[str, str], receiver: Receiver) -> None:
    with sender(environment) as process:
        shell(environment, TOLD.format(wanted=[("", "killed", receiver.url("/once/killed"))]))
        wait_until(lambda: receiver.count("/once/killed") == 1, "the sender calls")
        kill(process)
    assert state_of(rig, "killed") == ("waiting", 0)
    # While it may live, nobody else sends; the minute that its claim lasts is over when the test says so.
    [(is_claimed,)] = found(rig, "SELECT claimed_until > now() FROM logs_deliverytarget WHERE name = 'killed'")
    assert is_claimed
    with rig.maintenance() as connection:
        connection.execute("UPDATE logs_deliverytarget SET claimed_until = now() WHERE name = 'killed'")
    with sender(environment):
        shell(environment, TEND)
        wait_until(lambda: state_of(rig, "killed") == ("delivered", 1), "another sender delivers")
        recorded = "SELECT metadata::text FROM auditlog.logs_entry WHERE action = 'DELIVER'"
        wait_until(lambda: bool(found(rig, recorded)), "its end is an entry")
    [(told,)] = found(rig, recorded)
    assert json.loads(told)["target"] == "killed"
    first, second = receiver.calls["/once/killed"]
    assert first == second


def test_tenant_with_more_hanging_receivers_than_threads_holds_nobody_else_up(rig: Rig, environment: dict[str, str], receiver: Receiver) -> None:
    hanging = [("", f"hanging {number}", receiver.url(f"/hang/{number}")) for number in range(HANGING)]
    with sender(environment):
        shell(environment, TOLD.format(wanted=hanging))
        wait_until(lambda: any(path.startswith("/hang") for path in receiver.calls), "they are called")
        shell(environment, TOLD.format(wanted=[("other", "good", receiver.url("/good"))]))
        began = time.monotonic()
        wait_until(lambda: receiver.count("/good") == 1, "the other tenant's delivery arrives")
        # A call that hangs takes ten seconds.
        assert time.monotonic() - began < 5
