"""Entry ids: UUIDv7 (RFC 9562 §5.7) made from the event's own timestamp.

48 bits of milliseconds; version 7; 12 bits of the millisecond's fraction (method 3 of §6.2: distinct microseconds give
distinct, ascending values); variant; 62 bits that are random, or an HMAC where the entry has an idempotency key.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import os
import uuid

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)
DAY_US = 86_400_000_000
DAY_MS = 86_400_000
_VARIANT = 1 << 63
_MASK_62 = (1 << 62) - 1


def microseconds(moment: datetime.datetime) -> int:
    """Microseconds since 1970-01-01 UTC of an aware datetime, exactly."""
    passed = moment - EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def entry_id(timestamp_us: int, random_62: int) -> str:
    """The id of an entry at `timestamp_us` (microseconds since 1970), as text."""
    ms, us = divmod(timestamp_us, 1000)
    head = f"{ms:012x}"
    tail = f"{_VARIANT | random_62:016x}"
    return f"{head[:8]}-{head[8:]}-7{us * 4096 // 1000:03x}-{tail[:4]}-{tail[4:]}"


class RandomBits:
    """Random parts of ids, from the operating system, for they salt the entries' records. For one thread.

    Drawn in growing amounts: each call to the system gives the interpreter's lock away.
    """

    MOST_AT_ONCE = 512

    def __init__(self) -> None:
        self._drawn = b""
        self._used = 0
        self._next_count = 1

    def next_62(self) -> int:
        """62 random bits."""
        if self._used == len(self._drawn):
            self._drawn, self._used = os.urandom(8 * self._next_count), 0
            self._next_count = min(self._next_count * 8, self.MOST_AT_ONCE)
        start, self._used = self._used, self._used + 8
        return int.from_bytes(self._drawn[start : self._used], "big") & _MASK_62


def keyed_62(id_secret: bytes, idempotency_key: str) -> int:
    """62 bits that follow from the tenant's secret and the key: the same key gives the same id."""
    digest = hmac.digest(id_secret, idempotency_key.encode(), hashlib.sha256)
    return int.from_bytes(digest[:8], "big") & _MASK_62


def floor_id(moment: datetime.datetime) -> uuid.UUID:
    """A bound between the ids of entries before `moment` and those at or after it: half-open time ranges.

    At a whole millisecond it has no version bits: then midnight is a partition's own bound, not a little above it, and a
    range that ends there leaves the next partition alone. Before 1970 there are no entries, and all bounds are one.
    """
    ms, us = divmod(max(microseconds(moment), 0), 1000)
    return uuid.UUID(int=(ms << 80) | ((0x7000 | us * 4096 // 1000) << 64 if us else 0))


def day_floor(id: uuid.UUID) -> uuid.UUID:
    """The bound of the day (UTC) that an id belongs to: the greatest midnight at or below it."""
    return uuid.UUID(int=((id.int >> 80) // DAY_MS * DAY_MS) << 80)


def day_ceiling(id: uuid.UUID) -> uuid.UUID:
    """The smallest midnight at or above an id; the greatest id beyond the last one."""
    floor = day_floor(id).int
    return id if floor == id.int else uuid.UUID(int=min(floor + (DAY_MS << 80), 2**128 - 1))
