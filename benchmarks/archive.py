"""`archive`: how fast entries are written to segments, what they take there, and how soon a question over a year of them is answered.

What an entry takes in PostgreSQL is that of the same entries, with every index. Every question is over HTTP, and asks for another user, month,
id or word than the one before.
"""

from __future__ import annotations

import datetime
import http.client
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlencode

from benchmarks.archived import WORD
from benchmarks.product import Installation, WebServer, installation, product_server
from benchmarks.report import CHECKOUT, BenchmarkFailed, Report, Target, percentile
from benchmarks.rows import FIRST_NAMES, USERS, application_entries
from benchmarks.sequenced import fill

SEED = 46
POOL = 40_000
ENTRIES, QUICK_ENTRIES = 10_000_000, 100_000
STORED, QUICK_STORED = 400_000, 20_000
REQUESTS, QUICK_REQUESTS = 50, 5
# Measured on like rows: TimescaleDB's columnstore (DESIGN, "Archive").
TIMESCALEDB_BYTES_PER_ENTRY = 155.0
TARGETS = {
    "entries_per_s": Target(least=40_000),
    "cold_of_hot": Target(below=1 / 8),
    "cold_search_ms.user_and_month": Target(below=1_000),
    "cold_search_ms.common_user_and_month": Target(below=1_000),
    "cold_search_ms.by_id": Target(below=300),
    "cold_search_ms.rare_word_in_month": Target(below=3_000),
    "cold_search_ms.absent_word_in_month": Target(below=3_000),
    "cold_search_ms.common_word_in_month": Target(below=3_000),
}


def run(*, is_quick: bool) -> Report:
    entries, stored, requests = (QUICK_ENTRIES, QUICK_STORED, QUICK_REQUESTS) if is_quick else (ENTRIES, STORED, REQUESTS)
    with ExitStack() as stack:
        installed = stack.enter_context(installation())
        fill(installed, application_entries(SEED, POOL), stored)
        hot_bytes = installed.number("SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'auditlog.logs_entry'::regclass") / stored
        made = _archived(installed, entries)
        web = stack.enter_context(product_server(installed))
        _ask(installed, web, "/api/v1/logs?archived=only")
        first_day = datetime.datetime.fromisoformat(made["first_day"])
        classes = {name: _times(installed, web, question, requests) for name, question in _questions(first_day, made["ids"]).items()}
        peak_mib = web.peak_rss_mib()
        postgresql = installed.postgresql_version
    return Report(
        benchmark="archive",
        postgresql=postgresql,
        params={"archived_entries": entries, "stored_entries": stored, "requests_of_class": requests, "months": 12},
        figures={
            "entries_per_s": made["written_per_s"],
            "hot_bytes_per_entry": hot_bytes,
            "cold_bytes_per_entry": made["bytes_per_entry"],
            "cold_search_ms": {name: percentile(times, 0.95) for name, times in classes.items()},
            "cold_search_p50_ms": {name: percentile(times, 0.5) for name, times in classes.items()},
            "web_rss_mib": peak_mib,
        },
        limits={"timescaledb_bytes_per_entry": TIMESCALEDB_BYTES_PER_ENTRY},
        ratios={"cold_of_hot": made["bytes_per_entry"] / hot_bytes, "cold_of_timescaledb": made["bytes_per_entry"] / TIMESCALEDB_BYTES_PER_ENTRY},
        targets=TARGETS,
    )


def _archived(installed: Installation, entries: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.archived", "--tenant", installed.tenant_id, "--entries", str(entries)]
    done = subprocess.run(command, cwd=CHECKOUT, env=dict(installed.environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise BenchmarkFailed("the archive could not be filled")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _questions(first_day: datetime.datetime, ids: list[str]) -> Mapping[str, Callable[[random.Random], str]]:
    """A path for each class of question, another one each time."""

    def search(**parameters: str) -> str:
        return f"/api/v1/logs?{urlencode({'archived': 'only', **parameters})}"

    def month(chances: random.Random) -> dict[str, str]:
        begin = first_day + datetime.timedelta(days=30 * chances.randrange(12))
        return {"from": f"{begin:%Y-%m-%d}T00:00:00Z", "to": f"{begin + datetime.timedelta(days=30):%Y-%m-%d}T00:00:00Z"}

    def user(rank: int) -> str:
        return f"{FIRST_NAMES[rank % len(FIRST_NAMES)]}.{rank:04d}@example.com"

    return {
        "user_and_month": lambda chances: search(user_id=user(chances.randrange(USERS // 2, USERS)), **month(chances)),
        "common_user_and_month": lambda chances: search(user_id=user(chances.randrange(3)), **month(chances)),
        "by_id": lambda chances: f"/api/v1/logs/{chances.choice(ids)}",
        "rare_word_in_month": lambda chances: search(q=WORD, **month(chances)),
        "absent_word_in_month": lambda chances: search(q=f"xylophone{chances.randrange(10**6)}", **month(chances)),
        "common_word_in_month": lambda chances: search(q="billing", **month(chances)),
        "absent_request_in_month": lambda chances: search(request_id=f"absent-{chances.randrange(10**9)}", **month(chances)),
        "newest": lambda _: search(),
    }


def _times(installed: Installation, web: WebServer, question: Callable[[random.Random], str], requests: int) -> list[float]:
    """Milliseconds of each request, ascending."""
    chances = random.Random(SEED)
    return sorted(_ask(installed, web, question(chances)) for _ in range(requests))


def _ask(installed: Installation, web: WebServer, path: str) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
    begun = time.perf_counter()
    connection.request("GET", path, headers={"Authorization": f"Bearer {installed.api_key}"})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status != 200:
        raise BenchmarkFailed(f"{path} was answered {answer.status}: {content[:500]!r}")
    return (time.perf_counter() - begun) * 1000
