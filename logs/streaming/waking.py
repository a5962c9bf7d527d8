"""Wake-ups for the feeds of this process: one subscription at Redis for all of them, in the event loop.

A wake-up says only "look". Redis away, stopped or flushed: feeds look by themselves until it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Iterator

import redis.asyncio as redis
from django.conf import settings
from redis.exceptions import RedisError

from logs.storage.wakeups import sequenced_channel

logger = logging.getLogger(__name__)
RETRY_SECONDS = 1.0


class Waker:
    """Sets the event of each tenant whose log has grown. Used from one event loop only."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}
        self._task: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def listening(self, tenant_id: uuid.UUID) -> Iterator[asyncio.Event]:
        """An event that is set whenever the tenant's log has grown."""
        event = asyncio.Event()
        self._events[sequenced_channel(tenant_id)] = event
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="stream waker")
        try:
            yield event
        finally:
            self._events.pop(sequenced_channel(tenant_id), None)

    async def _run(self) -> None:
        while self._events:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                logger.warning("no wake-ups from Redis: %s", error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self) -> None:
        client = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2)
        async with client, client.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.psubscribe(sequenced_channel("*"))
            # What was said before this subscription stood was not heard.
            for event in self._events.values():
                event.set()
            while self._events:
                message = await subscription.get_message(timeout=RETRY_SECONDS)
                if message is not None:
                    woken = self._events.get(message["channel"].decode())
                    if woken is not None:
                        woken.set()
