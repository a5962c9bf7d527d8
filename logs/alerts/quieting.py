"""What keeps a firing from becoming an alert: mute, schedule, cool-down, and the flood limit. Pure.

The condition goes on meanwhile: what it counted stays counted. What was kept quiet is counted, and the group's next alert says how many.
"""

from __future__ import annotations

import datetime
import zoneinfo
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from logs.alerts.conditions import MAX_GROUP_CHARACTERS, MAX_GROUPS, Firing
from logs.storage.ids import EPOCH

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# In each hour of the clock, of one rule.
MAX_ALERTS_PER_HOUR = 100
MAX_COOL_DOWN_SECONDS = 7 * 86_400
_SECOND_US = 1_000_000
_HOUR_US = 3_600 * _SECOND_US
_Time = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a rule may alert: on these days, from `start` until before `end`, in `time_zone`.

    An `end` at or before `start` is on the day after; 00:00 to 00:00 is the whole day.
    """

    days: Annotated[tuple[Day, ...], Meta(min_length=1, max_length=7)] = DAYS
    start: _Time = "00:00"
    end: _Time = "00:00"
    time_zone: Annotated[str, Meta(max_length=64, description="A name of the IANA time zone database.")] = "UTC"

    def allows(self, moment: datetime.datetime) -> bool:
        """Raises zoneinfo.ZoneInfoNotFoundError for a time zone that there is not (`check_rule` refuses it)."""
        local = moment.astimezone(zoneinfo.ZoneInfo(self.time_zone))
        time = f"{local:%H:%M}"
        today, yesterday = DAYS[local.weekday()], DAYS[local.weekday() - 1]
        if self.start < self.end:
            return today in self.days and self.start <= time < self.end
        return (today in self.days and time >= self.start) or (yesterday in self.days and time < self.end)


@dataclass(frozen=True, slots=True)
class Quiet:
    """What a rule says of quiet. `muted_until`: until before this moment."""

    cool_down_seconds: int = 0
    schedule: Schedule | None = None
    muted_until: datetime.datetime | None = None


class QuietState(msgspec.Struct, frozen=True):
    """What is remembered of it. `groups`: until when each is cooling down (microseconds), and what was suppressed since its last alert."""

    groups: dict[str, tuple[int, int]] = {}
    hour: int = 0
    alerts_in_hour: int = 0


@dataclass(frozen=True, slots=True)
class Admitted:
    """A firing that becomes an alert. `suppressed`: firings of its group since the one before it that became none."""

    firing: Firing
    suppressed: int


def admit(quiet: Quiet, state: QuietState, firings: list[Firing]) -> tuple[QuietState, list[Admitted]]:
    """The state after firings, one after the other, and what is alerted of them."""
    if not firings:
        return state, []
    groups, hour, in_hour, admitted = dict(state.groups), state.hour, state.alerts_in_hour, list[Admitted]()
    for firing in firings:
        until_us, suppressed = groups.pop(firing.group, (0, 0))
        this_hour = firing.moment_us // _HOUR_US
        if this_hour > hour:
            hour, in_hour = this_hour, 0
        if firing.moment_us < until_us or in_hour >= MAX_ALERTS_PER_HOUR or _is_silenced(quiet, firing.moment_us):
            groups[firing.group] = (until_us, suppressed + 1)
            continue
        in_hour += 1
        admitted.append(Admitted(firing, suppressed))
        if quiet.cool_down_seconds:
            groups[firing.group] = (firing.moment_us + quiet.cool_down_seconds * _SECOND_US, 0)
    return QuietState(_bounded(groups, firings[-1].moment_us), hour, in_hour), admitted


def _bounded(groups: dict[str, tuple[int, int]], clock_us: int) -> dict[str, tuple[int, int]]:
    """Without groups of which there is nothing to know any more, and within the bounds of a condition's state."""
    left = {group: kept for group, kept in groups.items() if kept[1] or kept[0] > clock_us}
    characters = sum(map(len, left))
    for group in list(left):
        if len(left) <= MAX_GROUPS and characters <= MAX_GROUP_CHARACTERS:
            break
        # The one that fired longest ago: it may alert again before its time.
        del left[group]
        characters -= len(group)
    return left


def _is_silenced(quiet: Quiet, moment_us: int) -> bool:
    moment = moment_of(moment_us)
    is_muted = quiet.muted_until is not None and moment < quiet.muted_until
    return is_muted or (quiet.schedule is not None and not quiet.schedule.allows(moment))


def moment_of(moment_us: int) -> datetime.datetime:
    """The moment that so many microseconds since 1970 are."""
    return EPOCH + datetime.timedelta(microseconds=moment_us)
