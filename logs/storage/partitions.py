"""Which partitions there are, and making the ones that are needed next."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from logs.storage.engines import Partition, engine

DAY = datetime.timedelta(days=1)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Coverage:
    """The days (since 1970-01-01, UTC) for which one writer knows a partition, so that it need not ask before every batch.

    Partitions begin and end at midnight UTC, so a day is covered as a whole. For one thread.
    """

    def __init__(self) -> None:
        self._days: set[int] = set()

    def forget(self) -> None:
        """Ask again before the next batch: a partition was dropped, or the database is another."""
        self._days.clear()

    def lacks(self, days: set[int]) -> bool:
        """Is there a day among `days` that is not known to have a partition?"""
        return not days <= self._days

    def ensure(self, cursor: Any, days: set[int]) -> None:
        """See to a partition for each of `days`, in the cursor's transaction."""
        chosen = engine()
        known = chosen.partitions(cursor)
        # Oldest first: every writer takes the same order, and the gap made for one day often covers the next.
        for day in sorted(days):
            moment = EPOCH + day * DAY
            if not _covers(known, moment):
                chosen.ensure_partition(cursor, moment)
                known = chosen.partitions(cursor)
        self._days |= days


def _covers(known: Sequence[Partition], moment: datetime.datetime) -> bool:
    return any(partition.lower_at <= moment < partition.upper_at for partition in known)


def prepare(now: datetime.datetime) -> None:
    """Make the partitions from yesterday to `AUDITLOG_DAYS_AHEAD` days ahead."""
    with transaction.atomic(), connection.cursor() as cursor:
        for day in range(-1, settings.AUDITLOG_DAYS_AHEAD + 1):
            engine().ensure_partition(cursor, now + day * DAY)


def is_covered(moment: datetime.datetime) -> bool:
    """Is there a partition for `moment`?"""
    with connection.cursor() as cursor:
        return _covers(engine().partitions(cursor), moment)
