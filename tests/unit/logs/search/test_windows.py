"""Windows: together they are the whole range, in order, without a gap or an overlap; and when which way is gone."""

from __future__ import annotations

import datetime
import itertools
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs.search.qualifiers import Reader
from logs.search.tree import All, TimestampFrom
from logs.search.windows import HIGHEST, LOWEST, Window, bounds_of, days, entries, is_found_by_index, is_in_order, moment_of_id
from logs.storage.ids import floor_id

NOW = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
moments = st.datetimes(datetime.datetime(1971, 1, 1), datetime.datetime(2500, 1, 1), timezones=st.just(datetime.UTC))  # noqa: DTZ001  hypothesis adds the zone
ids = st.just(LOWEST) | st.just(HIGHEST) | st.uuids() | moments.map(floor_id)
bounds = st.builds(Window, ids, ids)


def assert_covers(windows: list[Window], whole: Window, *, goes_back: bool) -> None:
    if whole.low >= whole.high:
        assert windows == []
        return
    ordered = windows[::-1] if goes_back else windows
    assert (ordered[0].low, ordered[-1].high) == (whole.low, whole.high)
    assert all(window.low < window.high for window in ordered)
    assert all(one.high == other.low for one, other in itertools.pairwise(ordered))
    assert len(windows) < 30


@given(bounds, moments, st.booleans())
def test_days_cover_the_range(whole: Window, start: datetime.datetime, goes_back: bool) -> None:
    assert_covers(list(days(whole, start, goes_back=goes_back)), whole, goes_back=goes_back)


@given(bounds, ids, ids, st.integers(0, 400), st.integers(1, 1001), st.booleans())
def test_windows_by_entries_cover_what_was_not_probed(whole: Window, one: uuid.UUID, other: uuid.UUID, matches: int, missing: int, goes_back: bool) -> None:
    probed = Window(max(whole.low, min(one, other)), min(whole.high, max(one, other)))
    if probed.low >= probed.high:
        return
    rest = Window(whole.low, probed.low) if goes_back else Window(probed.high, whole.high)
    assert_covers(list(entries(whole, probed, matches=matches, missing=missing, goes_back=goes_back)), rest, goes_back=goes_back)


@pytest.mark.parametrize(("matches", "missing", "expected"), [(0, 51, 20_000), (1, 50, 20_000), (8, 43, 4_300), (40, 11, 400)])
def test_the_first_window_is_as_large_as_the_frequency_of_matches_asks_for(matches: int, missing: int, expected: int) -> None:
    probed = Window(floor_id(NOW - datetime.timedelta(seconds=400)), floor_id(NOW))
    first = next(entries(Window(LOWEST, HIGHEST), probed, matches=matches, missing=missing))
    assert moment_of_id(first.high) - moment_of_id(first.low) == datetime.timedelta(seconds=expected)


def test_the_first_window_is_the_day_and_they_grow() -> None:
    found = list(days(Window(LOWEST, HIGHEST), NOW))
    assert moment_of_id(found[0].low) == NOW.replace(hour=0)
    assert [(moment_of_id(window.high) - moment_of_id(window.low)).days for window in found[1:5]] == [1, 4, 16, 64]


def test_bounds_are_those_that_all_have_to_hold() -> None:
    tree = All((TimestampFrom(NOW), Reader(NOW).tree("after:-7d before:2026-02-01 (x before:2026-01-01 OR y)")))
    assert bounds_of(tree) == Window(floor_id(NOW), floor_id(datetime.datetime(2026, 2, 1, tzinfo=datetime.UTC)))


@pytest.mark.parametrize(
    "query",
    ["", "after:-7d", "user:a", "action:A after:-1d", "session:s", "request:r", "request:r x", "severity:CRITICAL", "resource_type:t resource:r",
     "-x", "outcome:success", "severity:INFO outcome:unknown", "x OR outcome:success"],
)  # fmt: skip
def test_read_in_order(query: str) -> None:
    assert is_in_order(Reader(NOW).tree(query))


@pytest.mark.parametrize(
    "query",
    ["x", "x y", '"x y"', "user:(a OR b)", "user:a action:B", "user:a x", "resource:r", "resource_type:t", "ip:10.0.0.0/8", "outcome:failure",
     "severity:>=ERROR", "metadata.a:b", "metadata.a:>1", "metadata.a:*", "changed:a", "x OR y", "x OR ip:::1", "source:key:a", "x -y outcome:success"],
)  # fmt: skip
def test_found_by_index(query: str) -> None:
    tree = Reader(NOW).tree(query)
    assert is_found_by_index(tree)
    assert not is_in_order(tree)
