"""Periods, the buckets that they are shown in, and the spans of the roll-ups that make them up. Pure.

A period is covered by whole spans, coarse ones in the middle and fine ones at the ends. Where it begins or ends within an hour,
either the entries inside are counted and added, or those of the hour outside are counted and subtracted, whichever is shorter.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from logs.stats.levels import BLOCK, DAY, HOUR, SPAN, ceil, floor

AUTO_BUCKETS = 200
MAX_BUCKETS = 1000


@dataclass(frozen=True)
class Period:
    """`[begins_at, ends_at)`, aware, UTC."""

    begins_at: datetime.datetime
    ends_at: datetime.datetime

    @property
    def length(self) -> datetime.timedelta:
        return self.ends_at - self.begins_at

    @property
    def is_empty(self) -> bool:
        return self.begins_at >= self.ends_at

    def within(self, other: Period) -> Period:
        """The part that lies in `other`, too; empty if there is none."""
        begin = min(max(self.begins_at, other.begins_at), self.ends_at)
        return Period(begin, max(begin, min(self.ends_at, other.ends_at)))

    @property
    def before(self) -> Period:
        """The period of the same length that ends where this one begins."""
        return Period(self.begins_at - self.length, self.begins_at)


class Unit(enum.StrEnum):
    """What a bucket holds. Weeks begin on Monday; all of them in UTC."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def coarsest(self) -> int:
        """The coarsest level whose spans lie in one bucket each."""
        return HOUR if self is Unit.HOUR else DAY

    def begin(self, moment: datetime.datetime) -> datetime.datetime:
        """Where the bucket that holds `moment` begins."""
        if self is Unit.HOUR:
            return moment.replace(minute=0, second=0, microsecond=0)
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        if self is Unit.DAY:
            return day
        return day - datetime.timedelta(days=day.weekday()) if self is Unit.WEEK else day.replace(day=1)

    def after(self, begin: datetime.datetime) -> datetime.datetime:
        """Where the bucket that begins at `begin` ends."""
        if self is Unit.MONTH:
            return (begin + datetime.timedelta(days=31)).replace(day=1)
        return begin + _LENGTH[self]


_LENGTH = {Unit.HOUR: datetime.timedelta(hours=1), Unit.DAY: datetime.timedelta(days=1), Unit.WEEK: datetime.timedelta(days=7)}


def unit_for(period: Period) -> Unit:
    """The finest unit that comes to at most about 200 buckets; months if none does."""
    return next((unit for unit, length in _LENGTH.items() if period.length <= AUTO_BUCKETS * length), Unit.MONTH)


def bucket_count(period: Period, unit: Unit) -> int:
    """About how many buckets there will be; never less than there are."""
    return period.length // _LENGTH.get(unit, datetime.timedelta(days=28)) + 2


def buckets_of(period: Period, unit: Unit) -> Iterator[tuple[datetime.datetime, Period]]:
    """Each bucket: where its unit begins, and the part of it that lies in the period."""
    begin = period.ends_at if period.is_empty else unit.begin(period.begins_at)
    while begin < period.ends_at:
        end = unit.after(begin)
        yield begin, Period(max(begin, period.begins_at), min(end, period.ends_at))
        begin = end


@dataclass(frozen=True)
class Run:
    """Spans of one level in a row."""

    level: int
    begins_at: datetime.datetime
    ends_at: datetime.datetime

    @property
    def is_empty(self) -> bool:
        return self.begins_at >= self.ends_at

    @property
    def spans(self) -> list[datetime.datetime]:
        """Where each of them begins."""
        step = SPAN[self.level]
        return [self.begins_at + number * step for number in range((self.ends_at - self.begins_at) // step)]


@dataclass(frozen=True)
class Cover:
    """What a period's counts are made of: `runs`, and the entries of `added`, less those of `subtracted`."""

    runs: tuple[Run, ...]
    added: tuple[Period, ...] = ()
    subtracted: tuple[Period, ...] = ()


def cover_of(period: Period, marks: Sequence[datetime.datetime], horizon: datetime.datetime, *, coarsest: int = BLOCK) -> Cover:
    """The cover of a period by levels up to `coarsest`, of which spans before `marks[level]` are there.

    Nothing is after `horizon`, so that what reaches beyond it is no longer than what comes before it.
    """
    if period.is_empty:
        return Cover(())
    first, last = floor(period.begins_at, HOUR), ceil(period.ends_at, HOUR)
    added: list[Period] = []
    subtracted: list[Period] = []
    head, tail = Period(first, period.begins_at), Period(period.ends_at, last)
    if last - first == SPAN[HOUR]:
        ends = [(period, [head, tail], True, True)]
    else:
        second, last_but_one = first + SPAN[HOUR], last - SPAN[HOUR]
        ends = [(Period(period.begins_at, second), [head], True, False), (Period(last_but_one, period.ends_at), [tail], False, True)]
    for inside, outside, is_first, is_last in ends:
        if not any(part.length for part in outside):
            continue
        if _seconds(inside, horizon) <= sum(_seconds(part, horizon) for part in outside):
            added.append(inside)
            first += SPAN[HOUR] if is_first else datetime.timedelta()
            last -= SPAN[HOUR] if is_last and not is_first else datetime.timedelta()
        else:
            subtracted += [part for part in outside if part.length]
    return Cover(tuple(_runs(first, last, marks, coarsest)), tuple(added), tuple(subtracted))


def _seconds(period: Period, horizon: datetime.datetime) -> float:
    return max(0.0, (min(period.ends_at, horizon) - period.begins_at).total_seconds())


def _runs(begin: datetime.datetime, end: datetime.datetime, marks: Sequence[datetime.datetime], level: int) -> Iterator[Run]:
    if begin >= end:
        return
    if level == HOUR:
        yield Run(HOUR, begin, end)
        return
    inner_begin, inner_end = ceil(begin, level), floor(min(end, marks[level]), level)
    if inner_begin >= inner_end:
        yield from _runs(begin, end, marks, level - 1)
        return
    yield from _runs(begin, inner_begin, marks, level - 1)
    yield Run(level, inner_begin, inner_end)
    yield from _runs(inner_end, end, marks, level - 1)
