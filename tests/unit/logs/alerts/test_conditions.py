"""Conditions fire exactly when a brute-force evaluator over the whole stream says so, however the stream is cut."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs.alerts import conditions
from logs.alerts.conditions import WHOLE, Absence, Condition, EveryMatch, Firing, FirstSeen, Match, State, Threshold

SECOND = 1_000_000
GROUPS = [WHOLE, '["alice"]', '["bob"]', '["carol"]']


@st.composite
def streams(draw: st.DrawFn) -> list[Match]:
    """Matches in the order of positions. Their moments go forth, and sometimes back: what was received first may be committed last."""
    count = draw(st.integers(0, 40))
    moment, position, found = 0, 0, []
    for _ in range(count):
        moment = max(0, moment + draw(st.sampled_from([0, 1, SECOND, 7 * SECOND, 59 * SECOND, 61 * SECOND, 200 * SECOND, -SECOND, -90 * SECOND])))
        position += draw(st.integers(1, 3))
        found.append(Match(position, moment, draw(st.sampled_from(GROUPS))))
    return found


def in_pieces(condition: Condition, matches: Sequence[Match], cuts: Sequence[int], *, is_grouped: bool = True, ticks: bool = False) -> list[Firing]:
    """The firings of a stream that is evaluated piece by piece, each by a process that has just started."""
    stored, firings = msgspec.msgpack.encode(condition.start(0, is_grouped=is_grouped)), list[Firing]()
    edges = sorted({0, len(matches), *(cut for cut in cuts if cut < len(matches))})
    for low, high in itertools.pairwise(edges):
        state, found = condition.take(msgspec.msgpack.decode(stored, type=State), matches[low:high])
        firings += found
        if ticks:
            state, found = condition.tick(state, state.clock_us)
            firings += found
        stored = msgspec.msgpack.encode(state)
    return firings


def held(matches: Sequence[Match]) -> list[tuple[int, Match]]:
    """Each match with the log's clock at it."""
    clock, found = 0, []
    for match in matches:
        clock = max(clock, match.moment_us)
        found.append((clock, match))
    return found


@given(streams(), st.lists(st.integers(1, 40)), st.integers(2, 4), st.sampled_from([1, 7, 60]))
def test_threshold_fires_as_counting_anew_at_each_match_says(matches: list[Match], cuts: list[int], count: int, window: int) -> None:
    expected, used = [], set[int]()
    stream = held(matches)
    for index, (now, match) in enumerate(stream):
        near = [other for moment, other in stream[: index + 1] if other.group == match.group and other.position not in used and moment > now - window * SECOND]
        if len(near) >= count:
            used |= {other.position for other in near}
            expected.append((now, match.group, len(near), tuple(other.position for other in near)))
    assert [tuple_of(firing) for firing in in_pieces(Threshold(count, window), matches, cuts)] == expected


@given(streams(), st.lists(st.integers(1, 40)))
def test_first_seen_fires_at_the_first_of_each_group(matches: list[Match], cuts: list[int]) -> None:
    expected = {match.group: match.position for match in reversed(matches)}
    firings = in_pieces(FirstSeen(), matches, cuts)
    assert {firing.group: firing.positions[0] for firing in firings} == expected
    assert len(firings) == len(expected)


@given(streams(), st.lists(st.integers(1, 40)), st.booleans(), st.sampled_from([60, 61, 120]))
def test_absence_fires_once_for_each_gap(matches: list[Match], cuts: list[int], ticks: bool, window: int) -> None:
    moments: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for now, match in held(matches):
        moments[match.group].append((now, match.position))
    expected = []
    end = max((match.moment_us for match in matches), default=0)
    for group, found in moments.items():
        for (now, position), (after, _) in zip(found, [*found[1:], (end if ticks else -1, 0)], strict=True):
            if after - now >= window * SECOND:
                expected.append((now + window * SECOND, group, 0, (position,)))
    firings = in_pieces(Absence(window), matches, cuts, ticks=ticks)
    assert sorted(map(tuple_of, firings)) == sorted(expected)


@given(streams(), st.lists(st.integers(1, 40)))
def test_every_match_fires(matches: list[Match], cuts: list[int]) -> None:
    assert [firing.positions for firing in in_pieces(EveryMatch(), matches, cuts)] == [(match.position,) for match in matches]


def tuple_of(firing: Firing) -> tuple[int, str, int, tuple[int, ...]]:
    return firing.moment_us, firing.group, firing.count, firing.positions


def test_absence_without_groups_counts_from_the_beginning_and_is_told_once() -> None:
    absence = Absence(60)
    state = absence.start(0, is_grouped=False)
    for second in (59, 60, 61, 3600):
        state, firings = absence.tick(state, second * SECOND)
        assert [firing.moment_us for firing in firings] == ([60 * SECOND] if second == 60 else [])
    state, firings = absence.take(state, [Match(5, 4000 * SECOND)])
    assert firings == []
    assert absence.tick(state, 4060 * SECOND)[1] == [Firing(4060 * SECOND, WHOLE, 0, (5,))]


def test_matches_a_whole_window_apart_are_in_no_window_together() -> None:
    for second, count in ((59.999999, 1), (60, 0)):
        firings = in_pieces(Threshold(2, 60), [Match(0, 0), Match(1, math.floor(second * SECOND))], [])
        assert len(firings) == count


def test_state_is_bounded_and_counts_what_it_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "MAX_GROUPS", 10)
    monkeypatch.setattr(conditions, "MAX_KEPT", 25)
    threshold = Threshold(4, 60)
    state, _ = threshold.take(threshold.start(0, is_grouped=True), [Match(index, index, f'["{index}"]') for index in range(12)])
    assert (list(state.groups), state.forgotten) == ([f'["{index}"]' for index in range(2, 12)], 2)
    state, _ = threshold.take(state, [Match(20 + index, 20 + index, f'["{2 + index % 10}"]') for index in range(20)])
    assert sum(map(len, state.groups.values())) <= 25
    assert state.forgotten == 2 + 2
    long = [Match(50, 50, '["' + "x" * 600_000 + '"]'), Match(51, 51, '["' + "y" * 600_000 + '"]')]
    forgotten = state.forgotten
    state, _ = threshold.take(state, long)
    assert (list(state.groups), state.forgotten) == ([long[1].group], forgotten + 9)
    state = State(state.clock_us, state.groups, 4)
    # What is older than the window is no loss.
    state, _ = threshold.take(state, [Match(99, 100 * SECOND, '["new"]')])
    assert (list(state.groups), state.forgotten) == (['["new"]'], 4)
