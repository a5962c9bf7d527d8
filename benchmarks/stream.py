"""`stream`: 200 WebSocket clients with different questions, beside 20 that never read, while 1,000 entries a second are posted.

Held against the database: every client has to end with exactly the positions that its question finds there, each once. The time of
an entry is from its batch's commit (the database's clock) to the moment when the client has its message (the same machine's clock).
"""

from __future__ import annotations

import array
import itertools
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import psycopg

from benchmarks.listeners import Heard, Task
from benchmarks.product import Installation, SequencerProcess, WebServer, installation, product_server, sequencer
from benchmarks.report import CHECKOUT, BenchmarkFailed, Report, Target, percentile
from benchmarks.rows import ACTIONS, RESOURCES, application_entries

CLIENTS, DEAF = 200, 20
ENTRIES_PER_S = 1_000
# As benchmarks.steady posts them.
SEED, SAMPLE = 43, 5_000
TARGETS = {"commit_to_client_p99_ms": Target(below=500), "missed": Target(below=1), "repeated": Target(below=1)}
HEARTBEAT_SECONDS = 2


@dataclass(frozen=True)
class Question:
    """`text` for the stream, `condition` for the database."""

    text: str
    condition: str


def run(*, is_quick: bool) -> Report:
    seconds = 10 if is_quick else 60
    questions = _questions(CLIENTS)
    with ExitStack() as stack:
        installed = stack.enter_context(installation())
        settings = {"AUDITLOG_STREAM_CONNECTIONS": str(CLIENTS + DEAF), "AUDITLOG_STREAM_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS)}
        installed = replace(installed, environment=dict(installed.environment) | settings)
        web = stack.enter_context(product_server(installed))
        sequencing = stack.enter_context(sequencer(installed))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        before_mib = web.peak_rss_mib()
        heard, stored = _listen(installed, web, sequencing, questions, seconds, folder / "heard")
        after_mib = web.peak_rss_mib()
        postgresql = installed.postgresql_version
        missed, repeated, delays = _compare(installed, questions, heard)
    return Report(
        benchmark="stream",
        postgresql=postgresql,
        params={"clients": CLIENTS, "deaf_clients": DEAF, "entries_per_s": ENTRIES_PER_S, "seconds": seconds},
        figures={
            "clients": CLIENTS,
            "entries": stored,
            "messages_entries": len(delays),
            "missed": missed,
            "repeated": repeated,
            "gaps": sum(one.gaps for one in heard),
            "commit_to_client_p50_ms": percentile(delays, 0.5) * 1000,
            "commit_to_client_p99_ms": percentile(delays, 0.99) * 1000,
            "commit_to_client_max_ms": delays[-1] * 1000,
            "ingest_entries_per_s": stored / seconds,
            "web_rss_growth_mib": after_mib - before_mib,
        },
        limits={},
        ratios={},
        targets=TARGETS,
    )


def _listen(
    installed: Installation, web: WebServer, sequencing: SequencerProcess, questions: list[Question], seconds: int, file: Path
) -> tuple[list[Heard], int]:
    """What each client heard while entries were posted for `seconds`, and how many entries there were."""
    task = Task(f"ws://127.0.0.1:{web.port}/api/v1/logs/stream", installed.api_key, [question.text for question in questions], DEAF)
    listeners = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.listeners", str(file)], cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    assert listeners.stdin is not None
    assert listeners.stdout is not None
    try:
        print(msgspec.json.encode(task).decode(), file=listeners.stdin, flush=True)
        if listeners.stdout.readline().strip() != "ready":
            raise BenchmarkFailed(f"the listeners did not start\n{web.log_end()}")
        _post(installed, web, seconds)
        sequencing.wait_until_all_is_sequenced()
        tree_size = installed.number("SELECT coalesce(max(tree_size), 0) FROM auditlog.logs_head WHERE tenant_id = %s", installed.tenant_id)
        print(f"end {tree_size}", file=listeners.stdin, flush=True)
        if listeners.wait(180) != 0:
            raise BenchmarkFailed(f"the listeners failed\n{web.log_end()}")
    finally:
        listeners.kill()
        listeners.wait()
    return msgspec.msgpack.decode(file.read_bytes(), type=list[Heard]), tree_size


def _post(installed: Installation, web: WebServer, seconds: int) -> None:
    poster = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.steady", f"http://127.0.0.1:{web.port}", str(ENTRIES_PER_S)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert poster.stdin is not None
    try:
        print(installed.api_key, file=poster.stdin, flush=True)
        time.sleep(seconds)
        if poster.poll() is not None:
            raise BenchmarkFailed(f"the posting failed\n{web.log_end()}")
    finally:
        poster.kill()
        poster.wait()


def _compare(installed: Installation, questions: list[Question], heard: list[Heard]) -> tuple[int, int, list[float]]:
    """How many entries clients missed and got twice, and the delays of all, ascending, in seconds."""
    statement = (
        "SELECT b.first_position + e.batch_index, extract(epoch FROM b.committed_at)::float8 "
        "FROM auditlog.logs_entry AS e JOIN auditlog.logs_batch AS b ON b.id = e.batch_id "
        "WHERE b.tenant_id = %s AND b.first_position IS NOT NULL AND "
    )
    missed = repeated = 0
    delays: list[float] = []
    with psycopg.connect(installed.superuser_url) as connection:
        for question, one in zip(questions, heard, strict=True):
            positions, times = array.array("q", one.positions), array.array("d", one.times)
            committed: dict[int, float] = dict(connection.execute((statement + question.condition).encode(), [installed.tenant_id]).fetchall())
            if set(positions) - committed.keys():
                raise BenchmarkFailed(f"{question.text!r} was sent entries that it does not ask for")
            missed += len(committed.keys() - set(positions))
            repeated += len(positions) - len(set(positions)) + sum(later < earlier for earlier, later in itertools.pairwise(positions))
            delays += [moment - committed[position] for position, moment in zip(positions, times, strict=True)]
    return missed, repeated, sorted(delays)


def _questions(count: int) -> list[Question]:
    """Different questions: users, actions, kinds of resource, severities, and their like together."""
    users = sorted({entry["user_id"] for entry in application_entries(SEED, SAMPLE)})
    actions, resources = list(ACTIONS), list(RESOURCES)
    found = []
    for number in range(count):
        user, action, resource = users[number * 7 % len(users)], actions[number % len(actions)], resources[number % len(resources)]
        kinds = [
            Question(f"user:{user}", f"user_id = '{user}'"),
            Question(f"action:{action} resource_type:{resource}", f"action = '{action}' AND resource_type = '{resource}'"),
            Question("severity:>=WARNING", "severity >= 2"),
            Question(f"action:{action}", f"action = '{action}'"),
            Question(f"resource_type:{resource} -action:VIEW", f"resource_type = '{resource}' AND action <> 'VIEW'"),
        ]
        found.append(kinds[number % len(kinds)])
    return found
