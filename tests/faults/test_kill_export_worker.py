"""`kill -9` of a worker in the middle of an export: another finishes it, once, and nothing half-written stays."""

from __future__ import annotations

import hashlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from logs.export import jobs
from tests.api import NOT_OWN
from tests.faults.rig import Rig
from tests.web import CHECKOUT, STOP_SECONDS, manage, wait_until

pytestmark = pytest.mark.slow(seconds=30)
ENTRIES = 15_000
TRIES = 10
TEND = "import auditlog_project.celery; from logs.tasks import tend_exports; tend_exports.delay()"
DUE = "from logs.export import jobs; print(jobs.due())"


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
        # Not taken over while its worker may live; half a minute later the schedule's task finds it.
        assert manage(rig.environment, "shell", "--no-imports", "-c", DUE).stdout.split() == [b"[]"]
        with rig.maintenance() as connection:
            connection.execute("UPDATE logs_exportjob SET heartbeat_at = heartbeat_at - %s WHERE id = %s", [jobs.LEASE, id])
        with worker(rig):
            assert manage(rig.environment, "shell", "-c", TEND).returncode == 0
            wait_until(lambda: state_of(rig, id)[0] == "done", "the other worker finishes the job")
        job = client.get(f"/api/v1/exports/{id}").json()
        assert (job["state"], job["attempts"], job["entries_written"]) == ("done", 2, ENTRIES)
        content = client.get(job["file"]["url"]).content
    assert hashlib.sha256(content).hexdigest() == job["file"]["sha256"]
    # The file and its manifest, and nothing of the attempt that died.
    assert len(parts_in(storage / tenant_of(rig) / id)) == 2
