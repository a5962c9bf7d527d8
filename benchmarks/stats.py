"""`stats`: statistics and facets over 90 days of 10 million entries, each question for the first time and again.

The roll-ups of the past are generated (`rollups`), their entries are not: nothing that is asked here reads an entry of a whole hour. They are
compacted by the product. Entries are posted all the time, so the live edge is there, and every question is asked while it moves. Held
against reading the hourly roll-ups alone, as there were nothing coarser (the limit).
"""

from __future__ import annotations

import datetime
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx
import psycopg

from benchmarks import rollups
from benchmarks.product import WEB_WORKERS, Installation, installation, product_server, sequencer
from benchmarks.report import BenchmarkFailed, Report, Target, percentile
from benchmarks.rows import application_entries, bulk_bodies, current_second, stamped

SEED = 24
STATS, FACETS = "/api/v1/logs/stats", "/api/v1/logs/facets"
WARM_UP = 20
POSTED_BATCH, POSTED_PAUSE_SECONDS = 10, 0.1
TARGETS = {"uncached_p99_ms": Target(below=100), "cached_p99_ms": Target(below=100)}
HOURLY = """
SELECT action, severity, outcome, resource_type, source, sum(entry_count) FROM auditlog.logs_rollup_view WHERE level = 0 GROUP BY 1, 2, 3, 4, 5
"""


@dataclass(frozen=True)
class Scale:
    """Days and entries of the log; how often each class of question is asked."""

    days: int
    entries: int
    questions: int


FULL = Scale(days=90, entries=10_000_000, questions=60)
QUICK = Scale(days=10, entries=1_000_000, questions=10)


def run(*, is_quick: bool) -> Report:
    scale = QUICK if is_quick else FULL
    bodies = bulk_bodies(application_entries(SEED, 1_000), POSTED_BATCH)
    with ExitStack() as stack:
        installed = stack.enter_context(installation())
        compaction_seconds = rollups.fill(installed, scale.entries, scale.days)
        sizes = _sizes(installed)
        web = stack.enter_context(product_server(installed))
        stack.enter_context(sequencer(installed))
        url, headers = f"http://127.0.0.1:{web.port}", {"Authorization": f"Bearer {installed.api_key}"}
        client = stack.enter_context(httpx.Client(base_url=url, headers=headers, timeout=30))
        # Each web process with its connections has been asked before, if nothing like what is measured.
        for number in range(WARM_UP):
            _ask(client, STATS, _parameters(scale.days // 2, number) | {"action": "ACTION_2", "compare": "previous"})
            _ask(client, STATS, _parameters(scale.days // 2, number))
        with _posting(url, headers, bodies):
            uncached = {name: _measure(client, path, of, scale.questions) for name, (path, of) in _classes(scale.days).items()}
        # Nothing is posted any more, so what was asked once is known.
        fixed = _parameters(scale.days, 0)
        cached = _measure(client, STATS, lambda _: fixed, scale.questions * 5)[1:]
        hourly_ms = _hourly_ms(installed)
        postgresql = installed.postgresql_version
    everything = sorted(itertools.chain.from_iterable(uncached.values()))
    over_all = sorted(uncached["all"])
    return Report(
        benchmark="stats",
        postgresql=postgresql,
        params={
            "days": scale.days,
            "entries_in_rollups": scale.entries,
            "entries_themselves": "generated roll-ups only",
            "users": rollups.USERS,
            "kinds": rollups.KINDS,
            "posted_entries_per_s": round(POSTED_BATCH / POSTED_PAUSE_SECONDS),
            "questions": len(everything),
            "web_workers": WEB_WORKERS,
        },
        figures={
            "uncached_p50_ms": percentile(everything, 0.5),
            "uncached_p99_ms": percentile(everything, 0.99),
            "classes": {name: {"p50_ms": percentile(sorted(found), 0.5), "p99_ms": percentile(sorted(found), 0.99)} for name, found in uncached.items()},
            "cached_p50_ms": percentile(sorted(cached), 0.5),
            "cached_p99_ms": percentile(sorted(cached), 0.99),
            "compaction_s": compaction_seconds,
            "rollup_bytes_per_entry": sizes / scale.entries,
        },
        limits={"hourly_rows_alone_ms": hourly_ms},
        ratios={"hourly_rows_alone_over_all": hourly_ms / percentile(over_all, 0.5)},
        targets=TARGETS,
    )


def _classes(days: int) -> dict[str, tuple[str, Callable[[int], dict[str, str]]]]:
    """Each class of question: its path, and the parameters of its n-th instance, of which no two are alike."""

    def asking(**more: str) -> Callable[[int], dict[str, str]]:
        return lambda number: _parameters(days, number) | more

    return {
        "all": (STATS, asking()),
        "action": (STATS, asking(action="ACTION_1")),
        "severity": (STATS, asking(severity_min="WARNING")),
        "user": (STATS, asking(user_id="user-1@example.com")),
        "weeks": (STATS, asking(bucket="week")),
        "compared": (STATS, lambda number: _parameters(days // 2, number) | {"compare": "previous"}),
        "seven_days": (STATS, lambda number: _parameters(7, number)),
        "facets": (FACETS, asking()),
    }


def _parameters(days: int, number: int) -> dict[str, str]:
    """A period that begins `number` hours after so many days ago, and ends now."""
    hour = datetime.datetime.now(datetime.UTC).replace(minute=0, second=0, microsecond=0)
    return {"from": (hour - datetime.timedelta(days=days) + datetime.timedelta(hours=number)).isoformat().replace("+00:00", "Z")}


def _measure(client: httpx.Client, path: str, parameters: Callable[[int], dict[str, str]], count: int) -> list[float]:
    """Milliseconds of each answer."""
    order = list(range(count))
    random.Random(SEED).shuffle(order)
    found = []
    for number in order:
        begun = time.perf_counter()
        _ask(client, path, parameters(number))
        found.append((time.perf_counter() - begun) * 1000)
    return found


def _ask(client: httpx.Client, path: str, parameters: dict[str, str]) -> None:
    answer = client.get(path, params=parameters)
    if answer.status_code != 200:
        raise BenchmarkFailed(f"{path} {parameters} was answered {answer.status_code}: {answer.text}")


@contextmanager
def _posting(url: str, headers: dict[str, str], bodies: list[bytes]) -> Iterator[None]:
    """Entries are posted at a steady rate during the block."""
    stop = threading.Event()

    def post() -> None:
        with httpx.Client(base_url=url, headers=headers | {"Content-Type": "application/json"}, timeout=30) as client:
            for body in itertools.cycle(bodies):
                if stop.wait(POSTED_PAUSE_SECONDS):
                    return
                client.post("/api/v1/logs/bulk", content=stamped(body, current_second())).raise_for_status()

    thread = threading.Thread(target=post)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _sizes(installed: Installation) -> float:
    """Bytes of the roll-ups with their indexes, after what compaction has left behind is cleared away."""
    with psycopg.connect(installed.superuser_url, autocommit=True) as connection:
        connection.execute("VACUUM FULL auditlog.logs_rollup_user")
        connection.execute("VACUUM ANALYZE")
    tables = ("logs_rollup", "logs_rollup_total", "logs_rollup_user", "logs_rollup_seen")
    return sum(installed.number(f"SELECT pg_total_relation_size('auditlog.{name}')") for name in tables)


def _hourly_ms(installed: Installation) -> float:
    """Milliseconds to add up the kinds of every hour."""
    with psycopg.connect(installed.environment["DATABASE_URL"]) as connection:
        connection.execute("SELECT set_config('auditlog.tenant', %s, true)", [installed.tenant_id])
        found = []
        for _ in range(3):
            begun = time.perf_counter()
            connection.execute(HOURLY).fetchall()
            found.append((time.perf_counter() - begun) * 1000)
    return min(found)
