"""`make run` as a user knows it: one command on an empty machine, an entry that is still there the next day.

The command behind it is started as it is, on scratch folders and free ports; everything goes over HTTP.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from auditlog_project.embedded import EmbeddedServers
from tests.web import unmeasured

CHECKOUT = Path(__file__).resolve().parents[2]
START_SECONDS = 120
STOP_SECONDS = 60

pytestmark = pytest.mark.slow(seconds=25)


class Run:
    """One `run`, its output in a file."""

    def __init__(self, state: Path, port: int, *, is_measured: bool = False, **settings: str) -> None:
        self.port = port
        self._output = Path(tempfile.mkstemp(prefix="auditlog-run-")[1])
        addresses = ("DATABASE_URL", "MAINTENANCE_DATABASE_URL", "SEQUENCER_DATABASE_URL", "REDIS_URL")
        inherited = {name: value for name, value in os.environ.items() if name not in addresses and not name.startswith("AUDITLOG_")}
        # Six processes that start take twice as long when they are measured: one test in which they are is enough.
        inherited = inherited if is_measured else unmeasured(inherited)
        environment = inherited | {"AUDITLOG_STATE_DIR": str(state), "AUDITLOG_PORT": str(port), "AUDITLOG_WEB_WORKERS": "1"} | settings
        with self._output.open("wb") as opened:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "auditlog_project.embedded", "run"],
                cwd=CHECKOUT, env=environment, stdout=opened, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def until_ready(self) -> Run:
        deadline = time.monotonic() + START_SECONDS
        while f"ready: http://localhost:{self.port}" not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.1)
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def api_key(self) -> str:
        found = re.search(r"API key +(\S+)", self.output)
        assert found, self.output
        return found.group(1)

    def request(self, path: str, key: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.load(response)

    def clear(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._output.unlink()


@pytest.fixture
def state() -> Iterator[Path]:
    """An empty state folder, where PostgreSQL's own account can go; its servers are stopped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="auditlog-test-"))
    folder.chmod(0o711)
    yield folder
    servers = EmbeddedServers(folder)
    servers.redis.stop()
    servers.postgres.stop(mode="immediate")
    servers.folders.remove()


@pytest.fixture
def runs() -> Iterator[list[Run]]:
    """Runs to clear up after the test, however it ended."""
    started: list[Run] = []
    yield started
    for one in started:
        one.clear()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def processes_of(state: Path) -> list[psutil.Process]:
    """Our processes that were pointed at `state`; not the servers, which get no environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("AUDITLOG_STATE_DIR") == str(state):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_an_entry_survives_stop_and_start_and_secrets_are_shown_once(state: Path, runs: list[Run]) -> None:
    port = free_port()
    first = Run(state, port)
    runs.append(first)
    first.until_ready()
    key = first.api_key()
    status, created = first.request("/api/v1/logs", key, {"user_id": "alice", "action": "LOGIN", "resource_type": "session"})
    assert status == 201

    # A second one beside it is refused, and does the first no harm: neither on the same folder nor on the same port.
    beside = Run(state, free_port())
    runs.append(beside)
    assert beside.process.wait(STOP_SECONDS) == 1
    assert f"{state} is in use by process {first.process.pid}" in beside.output
    same_port = Run(state / "elsewhere", port)
    runs.append(same_port)
    assert same_port.process.wait(STOP_SECONDS) == 1
    assert f"Port {port} is taken by another program" in same_port.output
    assert "AUDITLOG_PORT" in same_port.output
    assert first.request(f"/api/v1/logs/{created['id']}", key)[0] == 200

    assert first.stop() == 0
    assert "Traceback" not in first.output
    assert processes_of(state) == []
    assert not EmbeddedServers(state).postgres.is_running()
    assert not EmbeddedServers(state).redis.is_running()

    second = Run(state, port)
    runs.append(second)
    second.until_ready()
    status, found = second.request(f"/api/v1/logs/{created['id']}", key)
    assert (status, found["user_id"]) == (200, "alice")
    assert "accounts exist already" in second.output
    assert key not in second.output
    assert "password" not in second.output
    for secret in EmbeddedServers(state).folders.secrets.iterdir():
        assert secret.read_text() not in first.output + second.output
    assert second.stop(signal.SIGINT) == 0
    assert "Traceback" not in second.output


def test_a_killed_supervisor_loses_nothing_and_leaves_nothing_in_the_way(state: Path, runs: list[Run]) -> None:
    port = free_port()
    first = Run(state, port)
    runs.append(first)
    first.until_ready()
    key = first.api_key()
    _, created = first.request("/api/v1/logs", key, {"user_id": "alice", "action": "LOGIN", "resource_type": "session"})
    postgres = EmbeddedServers(state).postgres.pid
    first.process.kill()
    first.process.wait()
    # At once, while the processes of the killed one are still ending.
    second = Run(state, port)
    runs.append(second)
    second.until_ready()
    assert EmbeddedServers(state).postgres.pid == postgres
    assert second.request(f"/api/v1/logs/{created['id']}", key)[1]["user_id"] == "alice"
    assert second.stop() == 0
    assert processes_of(state) == []


def test_a_process_that_dies_by_itself_ends_the_run_with_a_failure(state: Path, runs: list[Run]) -> None:
    one = Run(state, free_port(), is_measured=True)
    runs.append(one)
    one.until_ready()
    granians = [process for process in processes_of(state) if "granian" in process.cmdline()]
    # The web server's own process; its workers, which have the same command line, are its children.
    [web] = [process for process in granians if process.parent() not in granians]
    assert len(granians) > 1
    web.kill()
    assert one.process.wait(STOP_SECONDS) != 0
    assert processes_of(state) == []
    assert not EmbeddedServers(state).postgres.is_running()


def test_wrong_settings_are_said_plainly(state: Path, runs: list[Run]) -> None:
    refusals = {
        "AUDITLOG_PROT": ("8001", "Unknown setting(s) AUDITLOG_PROT"),
        "AUDITLOG_WEB_WORKERS": ("none", "AUDITLOG_WEB_WORKERS='none' is no whole number"),
        "AUDITLOG_BIND": ("192.0.2.1", "AUDITLOG_BIND='192.0.2.1' is no address of this machine"),
        "REDIS_URL": ("redis://localhost/0", "REDIS_URL is set and DATABASE_URL is not"),
    }
    for name, (value, message) in refusals.items():
        one = Run(state, free_port(), is_measured=False, **{name: value})
        runs.append(one)
        assert one.process.wait(STOP_SECONDS) == 1
        assert message in one.output
        assert "Traceback" not in one.output
