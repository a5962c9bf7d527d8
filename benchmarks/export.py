"""`export`: how many entries a second come as NDJSON over one connection, and how much the web processes grow by it.

Held against psql's COPY of the same columns to nowhere (the limit): the rows as they are, without being made into what search gives.
"""

from __future__ import annotations

import http.client
import subprocess
import time
from contextlib import ExitStack

from benchmarks.product import Installation, WebServer, installation, product_server
from benchmarks.report import BenchmarkFailed, Report, Target
from benchmarks.rows import application_entries
from benchmarks.sequenced import fill
from logs.storage.columns import ENTRY_AS_TEXT

SEED = 41
ENTRIES = 1_000_000
QUICK_ENTRIES = 100_000
POOL = 20_000
READ_BYTES = 256 * 1024
SAMPLE_SECONDS = 0.05
TARGETS = {"entries_per_s": Target(least=30_000), "rss_growth_mib": Target(below=64)}
OTHER_FORMATS = ("csv", "parquet", "ndjson&compression=gzip", "ndjson&compression=zstd")


def run(*, is_quick: bool) -> Report:
    count = QUICK_ENTRIES if is_quick else ENTRIES
    with ExitStack() as stack:
        installed = stack.enter_context(installation())
        fill(installed, application_entries(SEED, POOL), count)
        web = stack.enter_context(product_server(installed))
        # Every process has answered an export before its memory is taken for what it starts from.
        for _ in range(8):
            _export(installed, web, "ndjson&limit=1000")
        before = web.peak_rss_mib()
        seconds, received, lines = _export(installed, web, "ndjson")
        growth = web.peak_rss_mib() - before
        if lines != count:
            raise BenchmarkFailed(f"{count} entries are stored and {lines} were exported")
        others = {name: count / _export(installed, web, name)[0] for name in OTHER_FORMATS}
        copy_seconds = _copy(installed)
        postgresql = installed.postgresql_version
    return Report(
        benchmark="export",
        postgresql=postgresql,
        params={"entries": count, "bytes": received},
        figures={
            "entries_per_s": count / seconds,
            "mib_per_s": received / seconds / 2**20,
            "rss_growth_mib": growth,
            "other_formats_entries_per_s": {name.replace("ndjson&compression=", "ndjson_"): rate for name, rate in others.items()},
        },
        limits={"copy_entries_per_s": count / copy_seconds},
        ratios={"of_copy": copy_seconds / seconds},
        targets=TARGETS,
    )


def _export(installed: Installation, web: WebServer, format: str) -> tuple[float, int, int]:
    """Seconds, bytes and line ends of one export, read as fast as it comes."""
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=120)
    begun = time.perf_counter()
    connection.request("GET", f"/api/v1/logs/export?format={format}", headers={"Authorization": f"Bearer {installed.api_key}"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise BenchmarkFailed(f"the export was answered {answer.status}: {answer.read(1000)!r}")
    received = lines = 0
    while piece := answer.read(READ_BYTES):
        received += len(piece)
        lines += piece.count(b"\n")
    connection.close()
    return time.perf_counter() - begun, received, lines


def _copy(installed: Installation) -> float:
    """Seconds that psql takes for the same columns, newest first."""
    psql = str(installed.servers.postgres.programs / "psql")
    statement = f"COPY (SELECT {ENTRY_AS_TEXT}, batch_id, batch_index FROM auditlog.logs_entry_view AS e ORDER BY e.id DESC) TO STDOUT"
    program = f"SET auditlog.tenant = '{installed.tenant_id}'; {statement}"
    begun = time.perf_counter()
    done = subprocess.run([psql, "-q", "-v", "ON_ERROR_STOP=1", "-c", program, installed.environment["DATABASE_URL"]], stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise BenchmarkFailed("psql failed")
    return time.perf_counter() - begun
