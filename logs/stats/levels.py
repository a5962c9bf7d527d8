"""The levels of the roll-ups, coarser and coarser, each a grid over time that begins at 1970-01-01 UTC. Pure.

A span of a level is made of whole spans of the level below: 24 hours are a day, 16 days are a block.
"""

from __future__ import annotations

import datetime

from logs.storage.ids import EPOCH

HOUR, DAY, BLOCK = 0, 1, 2
LEVELS = (HOUR, DAY, BLOCK)
SPAN = {HOUR: datetime.timedelta(hours=1), DAY: datetime.timedelta(days=1), BLOCK: datetime.timedelta(days=16)}


def floor(moment: datetime.datetime, level: int) -> datetime.datetime:
    """Where the span of `level` that holds `moment` (aware) begins."""
    return EPOCH + (moment - EPOCH) // SPAN[level] * SPAN[level]


def ceil(moment: datetime.datetime, level: int) -> datetime.datetime:
    """The first beginning of a span of `level` that is not before `moment`."""
    begins_at = floor(moment, level)
    return begins_at if begins_at == moment else begins_at + SPAN[level]
