"""The feed of one tenant in one process: follows the log's positions and offers each entry to every subscription, decoded once.

Invariants:
- A feed goes through positions without a gap; what it offers begins where the last offer ended.
- Its cursor never passes what was read from the database. A lost wake-up delays a look by POLL_SECONDS, nothing more.
- A subscription joins at the feed's own cursor, in one step of the event loop, so nothing falls between its replay and its first offer.
- A feed that nobody listens to ends itself.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import DatabaseError, close_old_connections

from logs.streaming.reading import read_after, tree_size_of
from logs.streaming.subscription import Subscription
from logs.streaming.waking import Waker

logger = logging.getLogger(__name__)
POLL_SECONDS = 1.0
MAX_READ = 1_000
RETRY_SECONDS = 1.0
# Database reads of all feeds and replays of a process: so many at once.
READERS = 4
Answer = TypeVar("Answer")

_readers = ThreadPoolExecutor(READERS, thread_name_prefix="stream-reader")


async def in_reader(function: Callable[[], Answer]) -> Answer:
    """What `function` answers, run in a thread that may use the database."""

    def run() -> Answer:
        try:
            return function()
        finally:
            close_old_connections()

    return await asyncio.get_running_loop().run_in_executor(_readers, run)


class Feed:
    """The feed of `tenant_id`. Used from one event loop only."""

    def __init__(self, tenant_id: uuid.UUID, waker: Waker, on_end: Callable[[], None]) -> None:
        self.tenant_id = tenant_id
        self.cursor = -1
        self.tree_size = 0
        self._waker = waker
        self._on_end = on_end
        self._subscriptions: set[Subscription] = set()
        self._ready = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"feed {tenant_id}")

    async def ready(self) -> None:
        """Come back once the feed knows where the log ends."""
        await self._ready.wait()

    def join(self, subscription: Subscription) -> bool:
        """Offer to `subscription` from now on; False if it has to catch up to the feed first."""
        if subscription.seen < self.cursor or self._task.done():
            return False
        self._subscriptions.add(subscription)
        return True

    def leave(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)
        if not self._subscriptions and not self._task.done():
            self._task.cancel()
            self._on_end()

    async def _run(self) -> None:
        try:
            await self._follow()
        finally:
            # Who waits for a feed that has ended asks for another one.
            self._ready.set()

    async def _follow(self) -> None:
        with self._waker.listening(self.tenant_id) as wake_up:
            while True:
                try:
                    await self._begin()
                    while True:
                        await self._advance()
                        wake_up.clear()
                        # Once more, for what came while the wake-up was set.
                        if not await self._advance():
                            await _wait(wake_up, POLL_SECONDS)
                except DatabaseError as error:
                    logger.warning("the live tail can't read the log: %s", error)
                    await asyncio.sleep(RETRY_SECONDS)

    async def _begin(self) -> None:
        if self._ready.is_set():
            return
        size = await in_reader(functools.partial(tree_size_of, self.tenant_id))
        self.cursor, self.tree_size = size - 1, size
        self._ready.set()

    async def _advance(self) -> bool:
        """Offer what there is beyond the cursor. False if there was nothing."""
        entries, upto, size = await in_reader(functools.partial(read_after, self.tenant_id, self.cursor, MAX_READ))
        self.tree_size = size
        if upto <= self.cursor:
            return False
        self.cursor = upto
        for subscription in tuple(self._subscriptions):
            subscription.offer(entries, upto)
        return True


async def _wait(event: asyncio.Event, timeout_seconds: float) -> None:
    try:
        async with asyncio.timeout(timeout_seconds):
            await event.wait()
    except TimeoutError:
        return


class Feeds:
    """The feeds of this process, each while somebody listens."""

    def __init__(self) -> None:
        self._feeds: dict[uuid.UUID, Feed] = {}
        self._waker = Waker()

    def of(self, tenant_id: uuid.UUID) -> Feed:
        """The tenant's feed, made if there is none."""
        feed = self._feeds.get(tenant_id)
        if feed is None:
            feed = Feed(tenant_id, self._waker, functools.partial(self._forget, tenant_id))
            self._feeds[tenant_id] = feed
        return feed

    def _forget(self, tenant_id: uuid.UUID) -> None:
        self._feeds.pop(tenant_id, None)
