"""The process of the followers: leadership by advisory lock, discovery, a pool of threads, wake-ups.

Invariants:
- The session that holds the lock leads; a session that ends gives it up, and another process takes it within about `POLL_SECONDS`.
  (That two lead at once for a moment is harmless: a follower's cursor moves by compare-and-set.)
- A wake-up that is lost costs at most `POLL_SECONDS`.
- Neither PostgreSQL's nor Redis' absence ends the process.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.db import close_old_connections, connections

from logs.following import Follower
from logs.following.schedule import POLL_SECONDS, Schedule
from logs.storage import connecting, locks, wakeups

logger = logging.getLogger(__name__)
MAX_THREADS = 16
DISCOVER_SECONDS = 3.0
STOP_SECONDS = 10.0
# A burst of rounds of the sequencer wakes the followers once in this time.
GATHER_SECONDS = 0.1
# A leader whose machine is gone: the server ends its session after about so long, and with it the lock.
KEEPALIVE = "SET tcp_keepalives_idle = 3; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3"
Discover = Callable[[], Iterable[Follower]]


class Followers:
    """Steps what `discover` finds until it is asked to stop, whoever dies meanwhile."""

    def __init__(self, discover: Sequence[Discover]) -> None:
        self._discover = discover
        self._found: dict[Discover, list[Follower]] = {}
        self._schedule = Schedule(step=_step)
        # Each may hold a connection of the pool, and so may the thread that looks for followers.
        threads = min(MAX_THREADS, settings.AUDITLOG_DATABASE_POOL_SIZE - 1)
        self._stop = threading.Event()
        self._pool = [threading.Thread(target=self._work, name=f"follower-{number}", daemon=True) for number in range(threads)]
        self._waker = threading.Thread(target=self._listen, name="follower-waker", daemon=True)

    def stop(self) -> None:
        """End within seconds: a step that takes longer is left, and done again by the next process. From any thread, or a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Follow until asked to stop."""
        for thread in (*self._pool, self._waker):
            thread.start()
        try:
            while not self._stop.is_set():
                try:
                    with connecting.connect("default") as connection:
                        connection.execute(KEEPALIVE)
                        self._serve(connection)
                except psycopg.OperationalError as error:
                    logger.error("the followers have no database: %s", error)
                finally:
                    self._schedule.open(False)
                self._stop.wait(POLL_SECONDS)
        finally:
            self._schedule.end()
            deadline = time.monotonic() + STOP_SECONDS
            for thread in self._pool:
                thread.join(max(0.0, deadline - time.monotonic()))
            connections.close_all()

    def _serve(self, connection: psycopg.Connection[Any]) -> None:
        """Stand by, then lead for as long as the connection lives."""
        while not _try_to_lead(connection):
            if self._stop.wait(POLL_SECONDS):
                return
        logger.info("leading the followers")
        discovered_at = float("-inf")
        while not self._stop.is_set():
            if time.monotonic() - discovered_at >= DISCOVER_SECONDS:
                discovered_at = time.monotonic()
                self._find()
                self._schedule.open(True)
            # The lock is held by this session: is it there still?
            connection.execute("SELECT 1")
            self._stop.wait(POLL_SECONDS)

    def _find(self) -> None:
        for discover in self._discover:
            try:
                self._found[discover] = list(discover())
            except Exception:
                # One that fails keeps neither the others' from being found nor its own, found before, from going on.
                logger.exception("can't look for followers, those known go on")
        close_old_connections()
        self._schedule.set_followers([follower for found in self._found.values() for follower in found])

    def _work(self) -> None:
        try:
            self._schedule.run()
        finally:
            connections.close_all()

    # -- wake-ups ------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        redis_client = wakeups.client()
        while not self._stop.is_set():
            try:
                subscription = wakeups.subscribe_to_growth(redis_client)
                # What was said before this subscription stood was not heard.
                self._schedule.wake()
                while not self._stop.is_set():
                    if subscription.get_message(timeout=POLL_SECONDS) is not None:
                        wakeups.drain(subscription)
                        self._schedule.wake()
                        self._stop.wait(GATHER_SECONDS)
            except (redis.RedisError, OSError) as error:
                logger.warning("no wake-ups, followers look once a second: %s", error)
                self._stop.wait(POLL_SECONDS)


def _step(follower: Follower) -> bool:
    """A step on a connection that works: Django keeps a broken one until it is told that its use is over."""
    try:
        return follower.step()
    finally:
        close_old_connections()


def _try_to_lead(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [locks.LEAD_FOLLOWERS]).fetchone()
    return bool(row and row[0])
