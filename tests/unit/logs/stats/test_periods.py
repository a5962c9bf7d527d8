"""Covers and buckets: every moment of a period is counted once, and none outside of it."""

from __future__ import annotations

import datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from logs.stats.levels import BLOCK, DAY, HOUR, LEVELS, SPAN, ceil, floor
from logs.stats.periods import AUTO_BUCKETS, Period, Unit, bucket_count, buckets_of, cover_of, unit_for
from logs.storage.ids import EPOCH

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)
# Some at whole hours and days.
MOMENTS = st.one_of(st.integers(0, 90 * 24 * 60), st.integers(0, 90 * 24).map(lambda hours: hours * 60), st.integers(0, 90).map(lambda days: days * 1440)).map(
    lambda minutes: START + minutes * MINUTE
)
PERIODS = st.tuples(MOMENTS, MOMENTS).map(sorted).map(lambda pair: Period(*pair))


@given(period=PERIODS, mark=MOMENTS, horizon=MOMENTS, coarsest=st.sampled_from(LEVELS))
def test_cover_counts_every_moment_once(period: Period, mark: datetime.datetime, horizon: datetime.datetime, coarsest: int) -> None:
    marks = [floor(mark, level) for level in LEVELS]
    cover = cover_of(period, marks, horizon, coarsest=coarsest)
    # Where the number of times that a moment is counted changes, and by how much.
    steps: dict[datetime.datetime, int] = {}
    parts = [(run.begins_at, run.ends_at, 1) for run in cover.runs] + [(part.begins_at, part.ends_at, 1) for part in cover.added]
    for begins_at, ends_at, sign in parts + [(part.begins_at, part.ends_at, -1) for part in cover.subtracted]:
        steps[begins_at] = steps.get(begins_at, 0) + sign
        steps[ends_at] = steps.get(ends_at, 0) - sign
    expected = {} if period.is_empty else {period.begins_at: 1, period.ends_at: -1}
    assert {moment: step for moment, step in steps.items() if step} == expected
    for run in cover.runs:
        assert run.level <= coarsest
        assert floor(run.begins_at, run.level) == run.begins_at < run.ends_at == floor(run.ends_at, run.level)
        assert run.level == HOUR or run.ends_at <= marks[run.level]
        assert run.spans[0] == run.begins_at
        assert run.spans[-1] + SPAN[run.level] == run.ends_at
    assert all(later.begins_at == earlier.ends_at for earlier, later in pairwise(cover.runs))
    for part in (*cover.added, *cover.subtracted):
        assert part.length < SPAN[HOUR]


def test_long_period_is_few_spans() -> None:
    begins_at = START + datetime.timedelta(hours=5, minutes=10)
    cover = cover_of(Period(begins_at, begins_at + datetime.timedelta(days=90)), [START + datetime.timedelta(days=200)] * 3, START)
    assert sum(len(run.spans) for run in cover.runs) <= 5 + 2 * 15 + 2 * 23
    assert {run.level for run in cover.runs} == {HOUR, DAY, BLOCK}


def test_shorter_side_of_an_hour_is_counted() -> None:
    now = START + 10 * SPAN[DAY]

    def cover(first: int, last: int, horizon: datetime.datetime = now) -> tuple[list[int], list[int]]:
        found = cover_of(Period(START + first * MINUTE, START + last * MINUTE), [EPOCH] * 3, horizon)
        return [part.length // MINUTE for part in found.added], [part.length // MINUTE for part in found.subtracted]

    assert cover(10, 120) == ([], [10])
    assert cover(50, 120) == ([10], [])
    assert cover(0, 190) == ([10], [])
    assert cover(0, 170) == ([], [10])
    assert cover(10, 20) == ([10], [])
    assert cover(5, 50) == ([], [5, 10])
    # Of the hour that is not over, nothing comes after the horizon.
    assert cover(0, 130, START + 132 * MINUTE) == ([], [50])


@given(period=PERIODS, unit=st.sampled_from(list(Unit)))
def test_buckets_make_up_the_period(period: Period, unit: Unit) -> None:
    parts = [part for _, part in buckets_of(period, unit)]
    assert len(parts) <= bucket_count(period, unit)
    if period.is_empty:
        assert parts == []
        return
    assert (parts[0].begins_at, parts[-1].ends_at) == (period.begins_at, period.ends_at)
    assert all(earlier.ends_at == later.begins_at for earlier, later in pairwise(parts))
    for begin, part in buckets_of(period, unit):
        assert unit.begin(part.begins_at) == begin == unit.begin(part.ends_at - datetime.timedelta(microseconds=1))
    assert len(list(buckets_of(period, unit_for(period)))) <= AUTO_BUCKETS + 2


def test_weeks_begin_on_monday_and_months_with_the_first() -> None:
    moment = datetime.datetime(2026, 3, 1, 13, 5, tzinfo=datetime.UTC)
    assert Unit.WEEK.begin(moment) == datetime.datetime(2026, 2, 23, tzinfo=datetime.UTC)
    assert Unit.MONTH.begin(moment) == datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
    assert Unit.MONTH.after(datetime.datetime(2026, 12, 1, tzinfo=datetime.UTC)) == datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)


def test_levels_begin_with_the_epoch() -> None:
    assert all(floor(EPOCH, level) == EPOCH == ceil(EPOCH, level) for level in LEVELS)
    assert ceil(EPOCH + MINUTE, HOUR) == EPOCH + SPAN[HOUR]
