"""Which process sequences, and when: leadership by advisory lock, rounds when something was committed.

Invariants:
- A group of tenants is led by the session that holds its advisory lock; a session that ends gives the lock up, and another
  process takes it within `POLL_SECONDS`. (That two lead at once for a moment is harmless: see `rounds`.)
- A wake-up that is lost costs at most `POLL_SECONDS`.
- With nothing to do this is one cheap query a second.
"""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import psycopg
import redis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from redis.client import PubSub

from logs.integrity.anchor import Anchor
from logs.sequencer.rounds import Rounds
from logs.storage import connecting, locks, wakeups

logger = logging.getLogger(__name__)
POLL_SECONDS = 1.0
TEND_SECONDS = 5.0
STATEMENT_TIMEOUT_SECONDS = 120
# A leader whose machine is gone: the server ends its session after about so long, and with it the lock.
KEEPALIVE = "SET tcp_keepalives_idle = 3; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3"


class Sequencer:
    """Sequences until it is asked to stop, whoever dies meanwhile. `when_grown` is called after each round that gave positions."""

    def __init__(self, private_keys: Sequence[Ed25519PrivateKey], groups: Sequence[int], *, when_grown: Callable[[], None] = lambda: None) -> None:
        self._private_keys = private_keys
        self._when_grown = when_grown
        self._groups = list(groups)
        self._stop = threading.Event()
        self._redis = wakeups.client()
        self._subscription: PubSub | None = None

    def stop(self) -> None:
        """Finish the round under way, then end. From any thread, or a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Sequence until asked to stop."""
        while not self._stop.is_set():
            try:
                with connecting.connect("sequencer") as connection:
                    connection.execute(KEEPALIVE)
                    connection.execute(f"SET statement_timeout = '{STATEMENT_TIMEOUT_SECONDS}s'")
                    self._serve(connection)
            except psycopg.OperationalError as error:
                logger.error("the sequencer has no database: %s", error)
                self._stop.wait(POLL_SECONDS)
        if self._subscription is not None:
            self._subscription.close()

    def _serve(self, connection: psycopg.Connection[Any]) -> None:
        led: list[int] = []
        rounds: Rounds | None = None
        tended_at = float("-inf")
        while not self._stop.is_set():
            won = [group for group in self._groups if group not in led and _try_to_lead(connection, group)]
            if won:
                led += won
                logger.info("leading the tenants of %s", f"groups {sorted(led)}" if settings.AUDITLOG_SEQUENCER_GROUPS > 1 else "all groups")
                rounds = Rounds(connection, self._private_keys, Anchor, clock=_now, led_groups=led)
            if rounds is None:
                self._stop.wait(POLL_SECONDS)
                continue
            has_more = self._round(rounds)
            if time.monotonic() - tended_at >= TEND_SECONDS:
                tended_at = time.monotonic()
                rounds.tend()
            if has_more:
                # What is committed meanwhile shares the next round.
                self._stop.wait(settings.AUDITLOG_SEQUENCER_PAUSE_MS / 1000)
            else:
                self._wait_for_commit()

    def _round(self, rounds: Rounds) -> bool:
        """Was there something to do?"""
        self._drain()
        growths = rounds.sequence()
        if growths:
            wakeups.tell_sequenced(self._redis, growths)
            self._when_grown()
        return bool(growths)

    # -- wake-ups ------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Forget the wake-ups so far: the round that begins now sees what they told of."""
        with suppress(redis.RedisError, OSError):
            if self._subscription is not None:
                wakeups.drain(self._subscription)

    def _wait_for_commit(self) -> None:
        try:
            if self._subscription is None:
                self._subscription = wakeups.subscribe(self._redis, wakeups.committed_channel())
                # What was committed before this moment told nobody.
                return
            self._subscription.get_message(timeout=POLL_SECONDS)
        except (redis.RedisError, OSError) as error:
            logger.warning("no wake-ups, looking once a second: %s", error)
            self._subscription = None
            self._stop.wait(POLL_SECONDS)


def _try_to_lead(connection: psycopg.Connection[Any], group: int) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", [locks.LEAD_SEQUENCER, group]).fetchone()
    return bool(row and row[0])


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
