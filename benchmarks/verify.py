"""`verify`: how soon entries have their positions at a steady 2,000 a second, and how many leaves a second a verification checks.

Verification is held against merely reading the same rows, in the same form, over one connection (the limit).
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx
import psycopg
from psycopg import sql

from benchmarks.load import Client
from benchmarks.product import WEB_WORKERS, Installation, check_that_all_are_stored, installation, product_server, run_program, sequencer
from benchmarks.report import CHECKOUT, BenchmarkFailed, Report, Target, percentile
from benchmarks.rows import application_entries, bulk_bodies, current_second, stamped
from logs.storage.columns import ENTRY_AS_TEXT

SEED = 22
STEADY_ENTRIES_PER_S = 2_000
STEADY_BATCH = 100
SAMPLE_SECONDS = 0.05
BATCH = 1000
TARGETS = {
    "lag_max_s": Target(below=2),
    # Three hundred thousand a minute.
    "leaves_per_s": Target(least=5_000),
}


@dataclass(frozen=True)
class Scale:
    """Seconds at the steady rate, and seconds of filling at full speed."""

    steady_seconds: float
    fill_seconds: float
    pool: int


FULL = Scale(steady_seconds=60, fill_seconds=15, pool=40_000)
QUICK = Scale(steady_seconds=5, fill_seconds=1.5, pool=10_000)


def run(*, is_quick: bool) -> Report:
    scale = QUICK if is_quick else FULL
    bodies = bulk_bodies(application_entries(SEED, scale.pool), BATCH)
    small = bulk_bodies(application_entries(SEED, scale.pool), STEADY_BATCH)
    with ExitStack() as stack:
        installed = stack.enter_context(installation())
        web = stack.enter_context(product_server(installed))
        sequencing = stack.enter_context(sequencer(installed))
        client = Client(web, "/api/v1/logs/bulk", f"Bearer {installed.api_key}")
        client.run(client.requests(bodies), 1, connections=2, entries_per_request=BATCH)
        sequencing.wait_until_all_is_sequenced()
        with sampled_lag(installed) as lags:
            posted = _post_steadily(f"http://127.0.0.1:{web.port}", installed.api_key, small, scale.steady_seconds)
        client.acknowledged += posted
        client.run(client.requests(bodies), scale.fill_seconds, connections=4, entries_per_request=BATCH)
        sequencing.wait_until_all_is_sequenced()
        check_that_all_are_stored(installed, client.acknowledged)
        seconds = _verify(installed)
        reading_seconds = _read(installed)
        postgresql = installed.postgresql_version
    return Report(
        benchmark="verify",
        postgresql=postgresql,
        params={
            "entries": client.acknowledged,
            "steady_entries_per_s": STEADY_ENTRIES_PER_S,
            "steady_seconds": scale.steady_seconds,
            "steady_batch": STEADY_BATCH,
            "web_workers": WEB_WORKERS,
        },
        figures={
            "posted_entries_per_s": posted / scale.steady_seconds,
            "lag_p50_s": percentile(sorted(lags), 0.5),
            "lag_p99_s": percentile(sorted(lags), 0.99),
            "lag_max_s": max(lags),
            "leaves_per_s": client.acknowledged / seconds,
        },
        limits={"rows_read_per_s": client.acknowledged / reading_seconds},
        ratios={"of_reading": reading_seconds / seconds},
        targets=TARGETS,
    )


def _post_steadily(url: str, api_key: str, bodies: list[bytes], seconds: float) -> int:
    """Post at the steady rate, by the clock. Answers how many entries were stored. Raises BenchmarkFailed if the rate was not kept."""
    pause = STEADY_BATCH / STEADY_ENTRIES_PER_S
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
    count = round(seconds / pause)
    with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
        begun = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, begun + number * pause - time.monotonic()))
            client.post("/api/v1/logs/bulk", content=stamped(bodies[number % len(bodies)], current_second())).raise_for_status()
        if time.monotonic() - begun > seconds * 1.05 + 1:
            raise BenchmarkFailed(f"{STEADY_ENTRIES_PER_S} entries a second were not reached")
    return count * STEADY_BATCH


@contextmanager
def sampled_lag(installed: Installation) -> Iterator[list[float]]:
    """The sequencer's lag (seconds), looked at all the time during the block."""
    found: list[float] = []
    stop = threading.Event()

    def sample() -> None:
        with psycopg.connect(installed.environment["DATABASE_URL"], autocommit=True) as connection:
            while not stop.wait(SAMPLE_SECONDS):
                row = connection.execute("SELECT seconds FROM auditlog.logs_waiting").fetchone()
                found.append(float(row[0]) if row else 0.0)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def _verify(installed: Installation) -> float:
    """Seconds of a verification of the whole log, as it is on record."""
    run_program([sys.executable, str(CHECKOUT / "manage.py"), "verify_log"], installed.environment)
    milliseconds = "SELECT (extract(epoch FROM finished_at - started_at) * 1000)::bigint FROM logs_verificationrun WHERE result = 'clean'"
    return installed.number(milliseconds) / 1000


def _read(installed: Installation) -> float:
    """Seconds to read every row as verification does, and do nothing with it."""
    with psycopg.connect(installed.environment["DATABASE_URL"]) as connection:
        connection.execute("SELECT set_config('auditlog.tenant', %s, true)", [installed.tenant_id])
        begun = time.monotonic()
        with connection.cursor(name="rows") as cursor:
            cursor.execute(sql.SQL("SELECT {}, batch_id, batch_index FROM auditlog.logs_entry_view").format(sql.SQL(ENTRY_AS_TEXT)))
            while cursor.fetchmany(500):
                pass
        return time.monotonic() - begun
