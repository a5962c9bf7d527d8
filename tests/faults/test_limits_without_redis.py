"""Rate limits when Redis is stopped, hangs, or is shared by several processes: posting stays open, signing in does not."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import httpx
import pytest

from accounts.limits.leases import LOT
from logs.storage.kinds import OWN_SOURCE
from tests.faults.rig import Rig
from tests.web import Web, wait_until

pytestmark = pytest.mark.slow
LIMIT = 1_000
WORKERS = 2
# Waiting for Redis costs 0.3 s; the rest is a busy machine.
LONGEST_SECONDS = 2.0
TOLD = "Redis does not answer"


@pytest.fixture(scope="module")
def web(rig: Rig) -> Iterator[Web]:
    with rig.web(workers=WORKERS) as web:
        yield web


@pytest.fixture
def client(rig: Rig, web: Web) -> Iterator[httpx.Client]:
    with rig.client(web) as client:
        yield client


def entries(count: int) -> list[dict[str, str]]:
    return [{"user_id": "alice", "action": "LOGIN", "resource_type": "session", "request_id": uuid.uuid4().hex} for _ in range(count)]


def sign_in(client: httpx.Client) -> httpx.Response:
    return client.post("/api/v1/auth/token", json={"username": uuid.uuid4().hex, "password": "wrong"}, headers={"Authorization": ""})


@contextmanager
def redis_stopped(rig: Rig) -> Iterator[None]:
    rig.servers.redis.stop()
    try:
        yield
    finally:
        rig.servers.redis.start()


@contextmanager
def redis_hanging(rig: Rig) -> Iterator[None]:
    """The server takes connections (its kernel does), and answers nothing."""
    process_id = int(rig.servers.redis.client().info("server")["process_id"])
    os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process_id, signal.SIGCONT)


@pytest.mark.parametrize("away", [redis_stopped, redis_hanging])
def test_without_redis_posting_and_reading_go_on_and_nobody_signs_in(
    rig: Rig, web: Web, client: httpx.Client, away: Callable[[Rig], AbstractContextManager[None]]
) -> None:
    assert client.post("/api/v1/logs", json=entries(1)[0]).status_code == 201
    assert sign_in(client).status_code == 401
    told = web.output.count(TOLD)
    with away(rig):
        begun = time.monotonic()
        longest = 0.0
        is_counted = True
        # What a process holds already it gives out; then it counts no more.
        while is_counted or time.monotonic() < begun + 3:
            assert time.monotonic() < begun + 30
            for answer, status in (
                (client.post("/api/v1/logs", json=entries(1)[0]), 201),
                (client.post("/api/v1/logs/bulk", json=entries(3)), 201),
                (client.get("/api/v1/logs", params={"limit": 1}), 200),
            ):
                assert answer.status_code == status, answer.text
                is_counted = "RateLimit" in answer.headers
                longest = max(longest, answer.elapsed.total_seconds())
        for _ in range(3):
            refused = sign_in(client)
            assert refused.status_code == 503
            assert refused.json()["code"] == "unavailable"
            assert int(refused.headers["Retry-After"]) >= 1
            longest = max(longest, refused.elapsed.total_seconds())
        seconds = time.monotonic() - begun
    assert longest < LONGEST_SECONDS
    # Once a second in each process, however many requests there are.
    assert 1 <= web.output.count(TOLD) - told <= (seconds + 2) * WORKERS
    wait_until(lambda: sign_in(client).status_code == 401, "people can sign in again")
    wait_until(lambda: "RateLimit" in client.get("/api/v1/logs", params={"limit": 1}).headers, "requests are counted again")


def test_two_processes_let_through_the_limit_and_a_lot_each_at_most(rig: Rig, client: httpx.Client, web: Web) -> None:
    with rig.maintenance() as connection:
        connection.execute(
            "INSERT INTO accounts_ratelimit (endpoint_class, subject_kind, amount, window_seconds, is_active) VALUES ('ingest', 'tenant', %s, 120, true)",
            [LIMIT],
        )
    wait_until(lambda: f"q={LIMIT};w=120" in client.post("/api/v1/logs", json=entries(1)[0]).headers["RateLimit-Policy"], "the limit is known")
    time.sleep(3)
    before = count_entries(rig)
    statuses: Counter[int] = Counter()

    def post_until_refused() -> None:
        with rig.client(web) as own:
            refusals = 0
            while refusals < 20:
                # A new connection for each: the two processes share them out.
                status = own.post("/api/v1/logs/bulk", json=entries(4), headers={"Connection": "close"}).status_code
                statuses[status] += 1
                refusals += status == 429

    threads = [threading.Thread(target=post_until_refused) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {201, 429}
    lots = WORKERS * int(LIMIT * LOT)
    stored = count_entries(rig) - before
    assert stored == statuses[201] * 4
    # Before `before` at least one was counted; of each process that was asked last a lot may lie idle, and less than one bulk has no room.
    assert LIMIT - 2 * lots - 60 <= stored <= LIMIT + lots


def count_entries(rig: Rig) -> int:
    """Those that were posted; refusals are recorded, too."""
    with rig.maintenance() as connection:
        row = connection.execute("SELECT count(*) FROM auditlog.logs_entry WHERE source <> %s", [OWN_SOURCE]).fetchone()
    assert row
    return int(str(row[0]))
