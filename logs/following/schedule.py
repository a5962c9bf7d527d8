"""Whose turn it is: followers, when each is due, and a bounded number of threads that take them. No database, no network.

Invariants:
- A follower is stepped by one thread at a time.
- The one that has been due for longest is next, so that a busy follower goes behind all others that wait.
- A wake-up during a step is not lost: the follower is due again at once. A wake-up does not shorten the pause after a failure.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from logs.following import Follower

logger = logging.getLogger(__name__)
POLL_SECONDS = 1.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0


@dataclass(eq=False)
class _Turn:
    """Where one follower stands. `due_at`: as the clock counts."""

    follower: Follower
    due_at: float
    failures: int = 0
    is_running: bool = False
    is_woken: bool = False


def pause_seconds(failures: int) -> float:
    """How long a follower rests after so many failures in a row (at least one)."""
    # The exponent is bounded: a follower may fail for years.
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10))


class Schedule:
    """The turns of all followers. Used by any number of threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, step: Callable[[Follower], bool] = lambda follower: follower.step()) -> None:
        self._clock = clock
        self._step = step
        self._condition = threading.Condition()
        self._turns: dict[str, _Turn] = {}
        self._is_open = False
        self._is_over = False

    def set_followers(self, followers: Iterable[Follower]) -> None:
        """From now on these. Who is known by name stays as it is, with its pause; who is missing is not stepped again."""
        with self._condition:
            now = self._clock()
            known = self._turns
            self._turns = {one.name: known.get(one.name) or _Turn(one, now) for one in followers}
            self._condition.notify_all()

    def open(self, is_open: bool) -> None:
        """Are turns given at all? A step under way ends by itself."""
        with self._condition:
            self._is_open = is_open
            self._condition.notify_all()

    def end(self) -> None:
        """Give no more turns, for good: `take` returns None."""
        with self._condition:
            self._is_over = True
            self._condition.notify_all()

    def wake(self) -> None:
        """A log has grown: everybody who rests is due, but for those who rest after a failure."""
        with self._condition:
            now = self._clock()
            for turn in self._turns.values():
                if turn.is_running:
                    turn.is_woken = True
                elif not turn.failures:
                    turn.due_at = min(turn.due_at, now)
            self._condition.notify_all()

    def run(self) -> None:
        """Step followers until the end. What each thread of the pool does."""
        while (turn := self._take()) is not None:
            try:
                has_more, failure = self._step(turn.follower), None
            except Exception as error:
                has_more, failure = False, error
            self._give_back(turn, has_more, failure)

    def _take(self) -> _Turn | None:
        with self._condition:
            while not self._is_over:
                idle = [turn for turn in self._turns.values() if not turn.is_running] if self._is_open else []
                first = min(idle, key=lambda turn: turn.due_at, default=None)
                wait = POLL_SECONDS if first is None else first.due_at - self._clock()
                if first is not None and wait <= 0:
                    first.is_running, first.is_woken = True, False
                    return first
                self._condition.wait(min(wait, POLL_SECONDS))
            return None

    def _give_back(self, turn: _Turn, has_more: bool, failure: Exception | None) -> None:
        with self._condition:
            now = self._clock()
            turn.is_running = False
            if failure is not None:
                turn.failures += 1
                pause = pause_seconds(turn.failures)
                turn.due_at = now + pause
            else:
                turn.failures = 0
                turn.due_at = now if has_more or turn.is_woken else now + POLL_SECONDS
            self._condition.notify()
        if failure is not None:
            # The traceback once: a destination that is away for a day would fill the log.
            logger.error("%s failed, again in %.0f s: %s", turn.follower.name, pause, failure, exc_info=failure if turn.failures == 1 else None)
