"""Wake-ups by way of Redis: "something was committed" and "a tenant's log has grown". Published, never stored.

A wake-up may be lost, and nobody relies on one: what there is to do stands in the database, and whoever waits looks there
by himself from time to time. So publishing never delays or fails what it tells of.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Mapping

import msgspec
import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.client import PubSub
from redis.retry import Retry

logger = logging.getLogger(__name__)
TIMEOUT_SECONDS = 2.0
# At most so often a process tells of its commits: the sequencer gathers those of a round anyway.
PAUSE_SECONDS = 0.02


def client() -> redis.Redis:
    """A client that fails soon instead of trying again."""
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 0), health_check_interval=30
    )


def _prefix() -> str:
    # Channels are the same in all numbered databases of a Redis; installations that share one have different numbers.
    number = redis.ConnectionPool.from_url(settings.REDIS_URL).connection_kwargs.get("db", 0)
    return f"auditlog:{number}"


def committed_channel() -> str:
    return f"{_prefix()}:committed"


def sequenced_channel(tenant_id: uuid.UUID | str) -> str:
    """The channel of one tenant's growth; `*` for the pattern of all."""
    return f"{_prefix()}:sequenced:{tenant_id}"


def subscribe(redis_client: redis.Redis, channel: str) -> PubSub:
    """A subscription to one channel. Raises redis.RedisError."""
    subscription: PubSub = redis_client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]  # redis has it untyped
    subscription.subscribe(channel)
    return subscription


def subscribe_to_growth(redis_client: redis.Redis) -> PubSub:
    """A subscription to the growth of all tenants: one for the process. Raises redis.RedisError."""
    subscription: PubSub = redis_client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]  # redis has it untyped
    subscription.psubscribe(sequenced_channel("*"))
    return subscription


class Growth(msgspec.Struct):
    """A tenant's log has grown from `first_position` to `tree_size` entries."""

    first_position: int
    tree_size: int


def tell_sequenced(redis_client: redis.Redis, growths: Mapping[uuid.UUID, Growth]) -> None:
    """One message for each tenant."""
    try:
        with redis_client.pipeline(transaction=False) as pipeline:
            for tenant_id, growth in growths.items():
                pipeline.publish(sequenced_channel(tenant_id), msgspec.json.encode(growth))
            pipeline.execute()
    except (redis.RedisError, OSError) as error:
        logger.warning("could not tell of %d tenants' new entries: %s", len(growths), error)


class _Teller:
    """A thread that publishes `committed`, once for all commits since it did so last."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._event = threading.Event()
        threading.Thread(target=self._run, name="commit-teller", daemon=True).start()

    def tell(self) -> None:
        self._event.set()

    def _run(self) -> None:
        redis_client, channel = client(), committed_channel()
        while True:
            self._event.wait()
            self._event.clear()
            try:
                redis_client.publish(channel, b"")
                time.sleep(PAUSE_SECONDS)
            except (redis.RedisError, OSError) as error:
                # The sequencer looks by itself every second meanwhile.
                logger.warning("could not wake the sequencer: %s", error)
                time.sleep(TIMEOUT_SECONDS)


_lock = threading.Lock()
_teller: _Teller | None = None


def tell_committed() -> None:
    """Wake the sequencer. Returns at once."""
    global _teller
    if _teller is None or _teller.pid != os.getpid():
        with _lock:
            if _teller is None or _teller.pid != os.getpid():
                _teller = _Teller()
    _teller.tell()


def drain(subscription: PubSub) -> None:
    """Take all messages that have arrived: one round answers them all."""
    while subscription.get_message(timeout=0) is not None:
        pass
