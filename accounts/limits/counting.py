"""Counts in Redis: a sliding window of slices for each bucket, charged by one script in one round trip.

Why slices and not two weighted windows: docs/decisions/0023.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from django_redis import get_redis_connection

from accounts.limits.policies import Bucket

# Of one window. More of them forget sooner and cost more: a hash of eleven fields is read in one piece (a listpack).
SLICES = 10
CACHE = "limits"
KEY_PREFIX = "auditlog:limits:"
SCRIPT = Path(__file__).with_name("charge.lua").read_text()


class Charge(NamedTuple):
    """What a process asks of a bucket: `cost` at least, up to `lot` if there is enough. `given_back` was charged in `given_back_slice`, and not used."""

    bucket: Bucket
    cost: int
    lot: int
    given_back: int = 0
    given_back_slice: int = 0


class Reply(NamedTuple):
    """What Redis said. `granted` 0: refused. `retry_ms` -1: the cost is more than the whole limit."""

    granted: int
    remaining: int
    reset_ms: int
    retry_ms: int
    slice: int


def slice_ms_of(window_seconds: int) -> int:
    return window_seconds * 1000 // SLICES


class Counter:
    """The counts, for all processes of an installation. `now_ms` is for tests: 0 is the clock of Redis."""

    def __init__(self) -> None:
        self._script: Any = None

    def charge(self, charges: Sequence[Charge], *, now_ms: int = 0) -> list[Reply]:
        """Charge all. Raises RedisError or ConnectionInterrupted when Redis is away; then nothing is known of the counts."""
        if self._script is None:
            self._script = get_redis_connection(CACHE).register_script(SCRIPT)
        arguments: list[int] = [now_ms, SLICES]
        for charge in charges:
            policy = charge.bucket.policy
            arguments += [policy.amount, slice_ms_of(policy.window_seconds), charge.cost, charge.lot, charge.given_back, charge.given_back_slice]
        found = self._script(keys=[KEY_PREFIX + charge.bucket.key for charge in charges], args=arguments)
        return [Reply(*(int(number) for number in one)) for one in found]
