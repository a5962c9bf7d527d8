"""`search`: a page of every class of question over HTTP, while entries are being written, at a tenth of the size and at all of it.

The three slowest are explained (EXPLAIN) at the end.
"""

from __future__ import annotations

import http.client
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

from benchmarks.filling import RARE_WORD, TENANTS, fill
from benchmarks.product import WEB_WORKERS, Installation, installation, product_server, sequencer
from benchmarks.report import CHECKOUT, BenchmarkFailed, Report, Target, percentile, progress
from benchmarks.rows import FIRST_NAMES, USERS

SEED = 41
DAYS = 90
ENTRIES = 10_000_000
QUICK_ENTRIES = 100_000
INGEST_ENTRIES_PER_S = 1_000
SETTLE_SECONDS = 5
LIMIT = 50
TARGETS = {
    "worst_p99_ms": Target(below=100),
    "ingest_entries_per_s": Target(least=INGEST_ENTRIES_PER_S * 0.99),
    "growth_1m_to_10m": Target(below=1.5),
}
Parameters = Mapping[str, str]


def _user(rank: int) -> str:
    return f"{FIRST_NAMES[rank % len(FIRST_NAMES)]}.{rank:04d}@example.com"


# Each request asks anew, so that nobody answers from what the last one left.
CLASSES: dict[str, Callable[[random.Random], Parameters]] = {
    "newest": lambda _: {},
    "common_word": lambda _: {"q": "billing"},
    "rare_word": lambda _: {"q": RARE_WORD},
    "absent_word": lambda chances: {"q": f"xylophone{chances.randrange(10**6)}"},
    "two_common_words": lambda _: {"q": "billing phone"},
    "phrase": lambda _: {"q": '"wrong password"'},
    "prefix": lambda chances: {"q": f"inv-1{chances.randrange(100, 1000)}*"},
    "left_out": lambda _: {"q": "-billing -crm severity:>=WARNING"},
    "rare_user": lambda chances: {"user_id": _user(chances.randrange(USERS // 2, USERS))},
    "common_user": lambda chances: {"user_id": _user(chances.randrange(3))},
    "user_as_a_word": lambda chances: {"q": _user(chances.randrange(USERS // 2, USERS))},
    "absent_request": lambda chances: {"request_id": f"absent-{chances.randrange(10**9)}"},
    "narrow_network": lambda chances: {"ip_address": f"10.{chances.randrange(256)}.{chances.randrange(256)}.0/24"},
    "wide_network": lambda chances: {"ip_address": f"10.{chances.randrange(256)}.0.0/16"},
    "severity_and_action": lambda _: {"severity": "ERROR", "action": "DELETE"},
    "rare_together": lambda chances: {"q": f"user:{_user(chances.randrange(3))} action:APPROVE severity:ERROR"},
    "metadata_equals": lambda chances: {"q": f"metadata.duration_ms:{chances.randrange(2, 900)}"},
    "metadata_never_equals": lambda chances: {"q": f"metadata.service:absent{chances.randrange(10**6)}"},
    "ninety_days": lambda _: {"q": "after:-90d action:EXPORT"},
    "five_minutes": lambda chances: {"q": f"billing after:-{(minute := chances.randrange(5, 10_000))}m before:-{minute - 5}m"},
}

# Beyond the targets: what no index makes short. Four words that a quarter of all entries have, and none has together.
HARD_CLASSES: dict[str, Callable[[random.Random], Parameters]] = {"common_words_never_together": lambda _: {"q": "crm/invoices shop/orders"}}


@dataclass(frozen=True)
class Scale:
    """Requests of each class; how far down the deep page is, in entries."""

    requests: int
    depth: int


FULL = Scale(requests=200, depth=1_000_000)
QUICK = Scale(requests=20, depth=20_000)


def run(*, is_quick: bool, entries: int | None = None) -> Report:
    size = entries or (QUICK_ENTRIES if is_quick else ENTRIES)
    scale = QUICK if is_quick else FULL
    small = None if size < ENTRIES else _measure(size // 10, scale)
    whole = _measure(size, scale)
    worst = max(figures["p99_ms"] for name, figures in whole.classes.items() if name not in HARD_CLASSES)
    ratios = {}
    growth: dict[str, float] = {}
    if small is not None:
        growth = {name: whole.classes[name]["p50_ms"] / figures["p50_ms"] for name, figures in small.classes.items()}
        ratios["growth_1m_to_10m"] = statistics.median(growth.values())
    return Report(
        benchmark="search",
        postgresql=whole.postgresql,
        params={"entries": size, "days": DAYS, "tenants": TENANTS, "limit": LIMIT, "requests_a_class": scale.requests, "web_workers": WEB_WORKERS},
        figures={
            "classes": whole.classes,
            "worst_p99_ms": worst,
            "ingest_entries_per_s": whole.ingest_entries_per_s,
            **({"classes_at_a_tenth": small.classes, "growth_by_class": growth} if small else {}),
        },
        limits={},
        ratios=ratios,
        targets=TARGETS,
    )


@dataclass(frozen=True)
class Measured:
    """What one size came to."""

    classes: dict[str, dict[str, float]]
    ingest_entries_per_s: float
    postgresql: str


def _measure(entries: int, scale: Scale) -> Measured:
    with installation() as installed:
        fill(installed.superuser_url, installed.tenant_id, entries, DAYS)
        with product_server(installed) as web, sequencer(installed), _ingest(f"http://127.0.0.1:{web.port}", installed.api_key) as ingest:
            client = Client(web.port, installed.api_key)
            classes = CLASSES | HARD_CLASSES | {"deep_page": _deep_page(client, min(scale.depth, entries // 10))}
            time.sleep(SETTLE_SECONDS)
            begun, posted = time.monotonic(), ingest()
            latencies = measure(client, classes, scale.requests)
            rate = (ingest() - posted) / (time.monotonic() - begun)
        figures = {name: _percentiles(found) for name, found in latencies.items()}
        slowest = sorted(CLASSES, key=lambda name: figures[name]["p99_ms"])[-3:]
        for name in reversed(slowest):
            print(f"\n-- {name} at {entries:,} entries: p99 {figures[name]['p99_ms']:.1f} ms", file=sys.stderr)
            print(_explain(installed, CLASSES[name](random.Random(SEED))), file=sys.stderr, flush=True)
        return Measured(figures, rate, installed.postgresql_version)


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int, api_key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {api_key}"}

    def page(self, parameters: Parameters) -> bytes:
        """The answer's body. Raises BenchmarkFailed for anything but 200."""
        self._connection.request("GET", f"/api/v1/logs?{urlencode({'limit': str(LIMIT), **parameters})}", headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise BenchmarkFailed(f"{dict(parameters)} was answered by {answer.status}: {body[:500]!r}")
        return body


def measure(client: Client, classes: Mapping[str, Callable[[random.Random], Parameters]], requests: int) -> dict[str, list[float]]:
    """Milliseconds of each request, from send to the whole answer. The classes take turns."""
    chances = random.Random(SEED)
    found: dict[str, list[float]] = {name: [] for name in classes}
    for number in range(requests):
        for name, parameters_of in classes.items():
            parameters = parameters_of(chances)
            begun = time.perf_counter()
            client.page(parameters)
            found[name].append((time.perf_counter() - begun) * 1000)
        if number % 50 == 49:
            progress(number // 50, {"requests a class": float(number + 1)})
    return found


def _percentiles(milliseconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(milliseconds)
    return {f"p{percent}_ms": percentile(ordered, percent / 100) for percent in (50, 95, 99)}


def _deep_page(client: Client, depth: int) -> Callable[[random.Random], Parameters]:
    """The page below the first `depth` entries, come to as anybody would: page after page."""
    cursor: dict[str, str] = {}
    for _ in range(depth // 1000):
        following = json.loads(client.page({"limit": "1000", **cursor}))["next"]
        if following is None:
            raise BenchmarkFailed(f"the log has not {depth} entries")
        cursor = {"cursor": following.rpartition("cursor=")[2]}
    return lambda _: cursor


@contextmanager
def _ingest(url: str, api_key: str) -> Iterator[Callable[[], int]]:
    """Entries are posted at the steady rate, by a process of its own. Gives how many have been stored so far."""
    command = [sys.executable, "-m", "benchmarks.steady", url, str(INGEST_ENTRIES_PER_S)]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    process.stdin.write(api_key + "\n")
    process.stdin.flush()
    lines = process.stdout

    def stored() -> int:
        assert process.stdin
        try:
            process.stdin.write("\n")
            process.stdin.flush()
            return int(lines.readline())
        except (OSError, ValueError):
            raise BenchmarkFailed("the steady posting ended by itself") from None

    try:
        yield stored
    finally:
        process.terminate()
        process.wait(20)


def _explain(installed: Installation, parameters: Parameters) -> str:
    command = [sys.executable, "-m", "benchmarks.explaining", installed.tenant_id, urlencode(parameters)]
    done = subprocess.run(command, cwd=CHECKOUT, env=dict(installed.environment), capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
