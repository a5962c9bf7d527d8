"""One client's question over the live tail, and the bounded queue of what it has found and not yet sent.

Invariants:
- Positions in the queue only grow, and none is at or below `after` when it is taken: nothing is given twice.
- The queue holds at most MAX_ENTRIES and MAX_BYTES. What would not fit ends the subscription with a `Gap`: from its first position on
  nothing more is queued, so what was sent before is whole.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from logs.search.predicate import predicate_of
from logs.search.tree import All
from logs.streaming.reading import Streamed

MAX_ENTRIES = 2_000
MAX_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Gap:
    """What a client was too slow for: matches from `first_position` on were not kept. It can go on after `after`."""

    first_position: int
    after: int


class Subscription:
    """Used from one event loop only. `after`: every match up to this position was taken from the queue."""

    def __init__(self, tree: All, after: int) -> None:
        self.tree = tree
        self.after = after
        self.gap: Gap | None = None
        self._seen = after
        self._matches = predicate_of(tree)
        self._queue: deque[Streamed] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()

    @property
    def seen(self) -> int:
        """The last position that this subscription has looked at."""
        return self._seen

    def offer(self, entries: Sequence[Streamed], upto: int) -> None:
        """Queue those of `entries` that match and were not looked at before; all positions up to `upto` have been looked at then."""
        if self.gap is not None or upto <= self._seen:
            return
        for streamed in entries:
            if streamed.position <= self._seen or not self._matches(streamed.facts):
                continue
            size = len(streamed.encoded)
            if self._queue and (len(self._queue) >= MAX_ENTRIES or self._bytes + size > MAX_BYTES):
                self.gap = Gap(streamed.position, streamed.position - 1)
                self._changed.set()
                return
            self._queue.append(streamed)
            self._bytes += size
        self._seen = upto
        self._changed.set()

    def skip_to(self, position: int) -> None:
        """All up to `position` was looked at and sent by another way."""
        self._seen = self.after = position

    def wake(self) -> None:
        """Have `wait` come back."""
        self._changed.set()

    async def wait(self, timeout_seconds: float) -> bool:
        """Come back when there is something new to look at. False if that took too long."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def take(self, limit: int) -> list[Streamed]:
        """The head of the queue, in order. Empty: `after` is then as far as was looked."""
        taken: list[Streamed] = []
        while self._queue and len(taken) < limit:
            streamed = self._queue.popleft()
            self._bytes -= len(streamed.encoded)
            taken.append(streamed)
        if self._queue:
            self.after = taken[-1].position
        elif self.gap is None:
            self._changed.clear()
            self.after = self._seen
        else:
            self.after = self.gap.after
        return taken
