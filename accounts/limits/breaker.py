"""Redis may be away. Who counts by it waits once, then not again for a while."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)
# A Redis that does not answer costs one thread its timeout (settings, CACHES["limits"]) once in this time, and the others nothing.
PAUSE_SECONDS = 1.0
Answer = TypeVar("Answer")


class Away(Exception):
    """Redis can't be asked at the moment."""


class Breaker:
    """Lets calls through until one fails; then one in `PAUSE_SECONDS`, until one succeeds. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._is_away = False
        self._next_try = 0.0
        self._quiet_until = float("-inf")

    def call(self, ask: Callable[[], Answer]) -> Answer:
        """`ask()`. Raises Away if that fails, or was not tried because the last try failed."""
        if self._is_away:
            with self._lock:
                now = self._clock()
                if now < self._next_try:
                    raise Away
                # This one tries; the others go on without an answer meanwhile.
                self._next_try = now + PAUSE_SECONDS
        try:
            answer = ask()
        except (ConnectionInterrupted, RedisError, OSError) as error:
            self._trip(error)
            raise Away from error
        if self._is_away:
            self._is_away = False
            logger.warning("Redis is back: rates are limited again")
        return answer

    def _trip(self, error: Exception) -> None:
        with self._lock:
            now = self._clock()
            self._is_away, self._next_try = True, now + PAUSE_SECONDS
            is_told = now < self._quiet_until
            if not is_told:
                self._quiet_until = now + PAUSE_SECONDS
        if not is_told:
            logger.warning("Redis does not answer; rates are not limited, and nobody can sign in: %s", error)
