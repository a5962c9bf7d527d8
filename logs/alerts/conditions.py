"""When a rule fires: pure functions from a state and matches, in the order of positions, to a state and firings.

Invariants:
- Time is the log's own: a match's moment is when the log received it, held so that it never goes back in the order of positions
  (docs/decisions/0027). What a client says of time moves nothing.
- However the matches are cut into pieces, and whether or not the state was stored between them, the same firings come out.
- A state is bounded: at most MAX_GROUPS groups of MAX_GROUP_CHARACTERS in all, and MAX_KEPT matches. Beyond that the groups are forgotten
  that have been without a match the longest; `State.forgotten` counts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

MAX_GROUPS = 10_000
MAX_GROUP_CHARACTERS = 1_000_000
MAX_KEPT = 50_000
# So many of the entries that made a firing are named in it, the last ones.
MAX_NAMED = 20
MAX_COUNT = 1_000
MAX_WINDOW_SECONDS = 7 * 86_400
MIN_ABSENCE_SECONDS, MAX_ABSENCE_SECONDS = 60, 31 * 86_400
MAX_LEARN_DAYS = 365
# The group of everything, where a rule does not group.
WHOLE = "[]"
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Match:
    """An entry that the rule's query finds. `group`: the values that it is grouped by, as a JSON array of texts."""

    position: int
    moment_us: int
    group: str = WHOLE


@dataclass(frozen=True, slots=True)
class Firing:
    """A condition that was met. `moment_us`: when; `count`: by how many matches (of an absence: none).

    `positions`: the last MAX_NAMED of them; of an absence the match before it, if there was one.
    """

    moment_us: int
    group: str
    count: int
    positions: tuple[int, ...]


class State(msgspec.Struct, frozen=True):
    """What a condition remembers. `groups`, the one with the newest match last: pairs of moment and position; what they mean is the condition's.

    `clock_us`: the latest moment that was taken or ticked.
    """

    clock_us: int
    groups: dict[str, list[tuple[int, int]]] = {}
    forgotten: int = 0


Step: TypeAlias = tuple[State, list[Firing]]


class EveryMatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="every_match"):
    """Fires at every match."""

    def start(self, moment_us: int, *, is_grouped: bool) -> State:
        return State(moment_us)

    def take(self, state: State, matches: Sequence[Match]) -> Step:
        clock, firings = state.clock_us, []
        for match in matches:
            clock = max(clock, match.moment_us)
            firings.append(Firing(clock, match.group, 1, (match.position,)))
        return State(clock), firings

    def tick(self, state: State, now_us: int) -> Step:
        return state, []


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="threshold"):
    """Fires when `count` matches of a group were received within less than `window_seconds`; they count for no other firing."""

    count: Annotated[int, Meta(ge=2, le=MAX_COUNT)]
    window_seconds: Annotated[int, Meta(ge=1, le=MAX_WINDOW_SECONDS)]

    def start(self, moment_us: int, *, is_grouped: bool) -> State:
        return State(moment_us)

    def take(self, state: State, matches: Sequence[Match]) -> Step:
        clock, groups, firings = state.clock_us, dict(state.groups), []
        window_us = self.window_seconds * _SECOND_US
        for match in matches:
            clock = max(clock, match.moment_us)
            kept = [pair for pair in groups.pop(match.group, ()) if pair[0] > clock - window_us]
            kept.append((clock, match.position))
            if len(kept) < self.count:
                groups[match.group] = kept
            else:
                firings.append(Firing(clock, match.group, len(kept), tuple(position for _, position in kept[-MAX_NAMED:])))
        return _bounded(clock, groups, state.forgotten, window_us), firings

    def tick(self, state: State, now_us: int) -> Step:
        # What is too old is told from the clock when it is looked at next.
        return state, []


class FirstSeen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="first_seen"):
    """Fires at the first match of a group. What matched in the `learn_days` before the rule was made is known already."""

    # Its state holds the known groups among those of the matches; the whole of them is a table (logs.alerts.learning).
    learn_days: Annotated[int, Meta(ge=0, le=MAX_LEARN_DAYS)] = 30

    def start(self, moment_us: int, *, is_grouped: bool) -> State:
        return State(moment_us)

    def take(self, state: State, matches: Sequence[Match]) -> Step:
        clock, groups, firings = state.clock_us, dict(state.groups), []
        for match in matches:
            clock = max(clock, match.moment_us)
            if match.group not in groups:
                groups[match.group] = []
                firings.append(Firing(clock, match.group, 1, (match.position,)))
        return State(clock, groups), firings

    def tick(self, state: State, now_us: int) -> Step:
        return state, []


class Absence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="absence"):
    """Fires when no match (of a group) was received for `window_seconds`; then not again until there was one.

    A group is known from its first match on; ungrouped, the time runs from when the rule began.
    """

    window_seconds: Annotated[int, Meta(ge=MIN_ABSENCE_SECONDS, le=MAX_ABSENCE_SECONDS)]

    def start(self, moment_us: int, *, is_grouped: bool) -> State:
        return State(moment_us, {} if is_grouped else {WHOLE: [(moment_us, -1)]})

    def take(self, state: State, matches: Sequence[Match]) -> Step:
        clock, groups, firings = state.clock_us, dict(state.groups), []
        for match in matches:
            clock = max(clock, match.moment_us)
            last = groups.pop(match.group, None)
            if last is not None and self._ends_us(last) <= clock:
                firings.append(self._firing(match.group, last))
            groups[match.group] = [(clock, match.position)]
        return _bounded(clock, groups, state.forgotten), firings

    def tick(self, state: State, now_us: int) -> Step:
        now_us = max(now_us, state.clock_us)
        over = {}
        # The one with the newest match is last: from the first that is not over on, none is.
        for group, last in state.groups.items():
            if self._ends_us(last) > now_us:
                break
            over[group] = last
        if not over:
            return state, []
        # A group that is told of needs no memory: with its next match it begins anew.
        left = {group: last for group, last in state.groups.items() if group not in over}
        return State(now_us, left, state.forgotten), [self._firing(group, last) for group, last in over.items()]

    def _ends_us(self, last: Sequence[tuple[int, int]]) -> int:
        return last[0][0] + self.window_seconds * _SECOND_US

    def _firing(self, group: str, last: Sequence[tuple[int, int]]) -> Firing:
        position = last[0][1]
        return Firing(self._ends_us(last), group, 0, (position,) if position >= 0 else ())


Condition: TypeAlias = EveryMatch | Threshold | FirstSeen | Absence


def _bounded(clock_us: int, groups: dict[str, list[tuple[int, int]]], forgotten: int, window_us: int | None = None) -> State:
    """The state without groups whose matches are all older than the window, and within the bounds. Takes `groups` over."""
    kept, characters = sum(map(len, groups.values())), sum(map(len, groups))
    for group in list(groups):
        is_over = window_us is not None and groups[group][-1][0] <= clock_us - window_us
        if not is_over and len(groups) <= MAX_GROUPS and kept <= MAX_KEPT and characters <= MAX_GROUP_CHARACTERS:
            break
        kept -= len(groups.pop(group))
        characters -= len(group)
        forgotten += not is_over
    return State(clock_us, groups, forgotten)
