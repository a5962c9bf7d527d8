"""`kill -9` of a worker in the middle of an export: another finishes it, once, and nothing half-written stays."""

from __future__ import annotations

import hashlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.api import NOT_OWN
from tests.faults.rig import Rig
from tests.web import CHECKOUT, STOP_SECONDS, manage, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kill export worker")]
ENTRIES = 15_000
TRIES = 10
TEND = "import auditlog_project.celery; from logs.tasks import tend_exports; tend_exports.delay()"


@contextmanager
def worker(rig: Rig) -> Iterator[subprocess.Popen[bytes]]:
    """A Celery worker as `make run` starts it, with the processes that it forks in a group of their own."""
    command = [sys.executable, "-m", "celery", "-A", "auditlog_project.celery", "worker", "--concurrency", "2", "--without-gossip", "--without-mingle"]
    process = subprocess.Popen(
        command, cwd=CHECKOUT, env=rig.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(STOP_SECONDS)


def kill(process: subprocess.Popen[bytes]) -> None:
    """The worker and its children, at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_SECONDS)


def parts_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def job_killed_in_the_middle(rig: Rig, client: httpx.Client, storage: Path) -> str:
    """The id of a job whose worker died after it had written something and before the end."""
    for _ in range(TRIES):
        with worker(rig) as process:
            id = str(
                client.post("/api/v1/exports", json={"format": "ndjson", "compression": "gzip", "query": urlencode({"q": NOT_OWN})})
                .raise_for_status()
                .json()["id"]
            )
            folder = storage / tenant_of(rig) / id
            wait_until(lambda folder=folder: bool(parts_in(folder)), "the worker has written something")  # type: ignore[misc]
            kill(process)
        if state_of(rig, id)[0] == "running":
            assert parts_in(folder)
            return id
    raise AssertionError("the worker was always done before it was killed")


def state_of(rig: Rig, id: str) -> tuple[Any, ...]:
    with rig.maintenance() as connection:
        row = connection.execute("SELECT state, attempts FROM logs_exportjob WHERE id = %s", [id]).fetchone()
    assert row is not None
    return row


def tenant_of(rig: Rig) -> str:
    with rig.maintenance() as connection:
        row = connection.execute("SELECT id::text FROM accounts_tenant").fetchone()
    assert row is not None
    return str(row[0])


def test_another_worker_finishes_the_job_once(rig: Rig) -> None:
    storage = Path(rig.environment["AUDITLOG_STATE_DIR"]) / "exports"
    with rig.web() as web, rig.client(web) as client:
        for _ in range(ENTRIES // 1000):
            entries = [
                {"user_id": "alice", "action": "UPDATE", "resource_type": "invoice", "metadata": {"noise": secrets.token_hex(2000)}} for _ in range(1000)
            ]
            client.post("/api/v1/logs/bulk", json=entries).raise_for_status()
        id = job_killed_in_the_middle(rig, client, storage)
        with worker(rig):
            # Not taken over while it may live; then the schedule's task finds it.
            deadline = time.monotonic() + 120
            while state_of(rig, id)[0] != "done":
                assert time.monotonic() < deadline, state_of(rig, id)
                assert manage(rig.environment, "shell", "-c", TEND).returncode == 0
                time.sleep(2)
        job = client.get(f"/api/v1/exports/{id}").json()
        assert (job["state"], job["attempts"], job["entries_written"]) == ("done", 2, ENTRIES)
        content = client.get(job["file"]["url"]).content
    assert hashlib.sha256(content).hexdigest() == job["file"]["sha256"]
    # The file and its manifest, and nothing of the attempt that died.
    assert len(parts_in(storage / tenant_of(rig) / id)) == 2
