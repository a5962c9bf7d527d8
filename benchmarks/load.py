"""The load client: keep-alive connections in a closed loop, each sending its next request when it has its answer.

It shares the machine's cores with what it measures, so it does the least: requests are bytes made ahead of time, and
of an answer it reads the status and Content-Length only. One thread, one event loop (uvloop).
"""

from __future__ import annotations

import array
import asyncio
import gc
import itertools
import re
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import uvloop

from auditlog_project.embedded.signals import STOP_SIGNALS, Stop
from benchmarks.product import WebServer
from benchmarks.report import BenchmarkFailed, percentile
from benchmarks.rows import current_second, http_request, stamped

CONNECT_TIMEOUT_SECONDS = 10
# Longer than the product lets a request wait for its commit; then it has broken its word, and so says the benchmark.
DRAIN_TIMEOUT_SECONDS = 30
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """Whom to ask, what, and how: `requests` are sent in turn, over and over, with the clock put in."""

    port: int
    requests: Sequence[bytes]
    connections: int
    entries_per_request: int


@dataclass(frozen=True)
class Outcome:
    """What came of one load. `latencies_ms` has one figure an answered request, from send to complete answer."""

    latencies_ms: array.array[float]
    seconds: float
    entries: int

    @property
    def entries_per_s(self) -> float:
        return self.entries / self.seconds


class Client:
    """Whom the load goes to. `acknowledged` counts all entries that it was told are stored."""

    def __init__(self, server: WebServer, path: str, authorization: str) -> None:
        self._server = server
        self._path = path
        self._authorization = authorization
        self.acknowledged = 0

    def requests(self, bodies: Iterable[bytes]) -> list[bytes]:
        return [http_request(self._path, self._authorization, body) for body in bodies]

    def run(self, requests: Sequence[bytes], seconds: float, *, connections: int, entries_per_request: int = 1) -> Outcome:
        """Load for `seconds`, then wait for the answers under way. Raises BenchmarkFailed at an answer that is no 2xx."""
        try:
            outcome = run_load(Load(self._server.port, requests, connections, entries_per_request), seconds)
        except BenchmarkFailed as error:
            error.add_note(f"The end of the web server's log:\n{self._server.log_end()}")
            raise
        self.acknowledged += outcome.entries
        return outcome


def latency_figures(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """p50_ms and p99_ms over all requests of all rounds."""
    ordered = sorted(itertools.chain.from_iterable(outcome.latencies_ms for outcome in outcomes))
    return {"p50_ms": percentile(ordered, 0.5), "p99_ms": percentile(ordered, 0.99)}


def run_load(load: Load, seconds: float) -> Outcome:
    """Load for `seconds`, wait for the answers under way. Raises BenchmarkFailed at the first answer that is no 2xx."""
    # Collections would pause the client and be charged to the product; its requests make no cycles.
    gc.collect()
    gc.disable()
    # The event loop takes the signals' handlers for itself and does not give them back.
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(load, seconds))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        gc.enable()


async def _run(load: Load, seconds: float) -> Outcome:
    loop = asyncio.get_running_loop()
    course = _Course(load, loop)
    for number in STOP_SIGNALS:
        # An exception raised in a signal's handler would be lost among the loop's callbacks.
        loop.add_signal_handler(number, course.end, Stop(number))
    async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
        opened = [await loop.create_connection(lambda: _Connection(course), "127.0.0.1", load.port) for _ in range(load.connections)]
    connections = [connection for _, connection in opened]
    ticker = asyncio.create_task(course.keep_time())
    started = time.perf_counter()
    course.send_until = started + seconds
    try:
        for connection in connections:
            connection.send_next()
        async with asyncio.timeout(seconds + DRAIN_TIMEOUT_SECONDS):
            await course.finished
    except TimeoutError:
        raise BenchmarkFailed(f"{course.under_way} requests had no answer {DRAIN_TIMEOUT_SECONDS} s after the last was sent") from None
    finally:
        ticker.cancel()
        for connection in connections:
            connection.close()
    count = len(course.latencies_ms)
    return Outcome(course.latencies_ms, course.last_answer_at - started, count * load.entries_per_request)


class _Course:
    """What the connections of one load have in common."""

    def __init__(self, load: Load, loop: asyncio.AbstractEventLoop) -> None:
        self.requests: Iterator[bytes] = itertools.cycle(load.requests)
        self.second = current_second()
        self.send_until = 0.0
        self.last_answer_at = 0.0
        self.under_way = 0
        self.latencies_ms: array.array[float] = array.array("d")
        self.finished: asyncio.Future[None] = loop.create_future()

    async def keep_time(self) -> None:
        while True:
            self.second = current_second()
            await asyncio.sleep(0.5)

    def fail(self, reason: str) -> None:
        self.end(BenchmarkFailed(reason))

    def end(self, error: BaseException) -> None:
        if not self.finished.done():
            self.finished.set_exception(error)

    def rest(self) -> None:
        """One connection has sent its last request and has its answer."""
        if self.under_way == 0 and not self.finished.done():
            self.finished.set_result(None)


class _Connection(asyncio.Protocol):
    """One connection: one request under way at a time."""

    def __init__(self, course: _Course) -> None:
        self._course = course
        self._transport: asyncio.WriteTransport | None = None
        self._sent_at = 0.0
        self._received = b""
        self._expected = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a protocol of this kind is given no other

    def send_next(self) -> None:
        course = self._course
        request = stamped(next(course.requests), course.second)
        course.under_way += 1
        self._sent_at = time.perf_counter()
        if self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received = data = self._received + data if self._received else data
        if not self._expected:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(data, 0, end + 2)
            if length is None:
                self._course.fail(f"an answer without Content-Length: {data[:300]!r}")
                return
            self._expected = end + 4 + int(length[1])
        if len(data) < self._expected:
            return
        self._received = b""
        self._expected = 0
        self._answered(data)

    def _answered(self, answer: bytes) -> None:
        course = self._course
        now = time.perf_counter()
        course.under_way -= 1
        # "HTTP/1.1 201 Created": the ninth byte after the start is the first of the status.
        if answer[9:10] != b"2":
            course.fail(f"the server answered {answer[9:600].decode(errors='replace')}")
            return
        course.latencies_ms.append((now - self._sent_at) * 1000)
        course.last_answer_at = now
        if now < course.send_until:
            self.send_next()
        else:
            course.rest()

    def connection_lost(self, error: Exception | None) -> None:
        self._course.fail(f"the server closed a connection: {error or 'end of file'}")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
