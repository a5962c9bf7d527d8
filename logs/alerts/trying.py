"""What a rule would have done, by the same conditions over the stored entries of a time: nothing is kept of it, and nobody is told.

Entries are found by their timestamps, through the indexes of search, and then counted in the order in which they were received.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from logs.alerts.conditions import Absence, Condition, Firing, FirstSeen, Match, Threshold
from logs.alerts.definition import NewRule, check_rule, compiled_of, values_of
from logs.alerts.learning import find_matches
from logs.alerts.quieting import Quiet, QuietState, admit, moment_of
from logs.storage.ids import microseconds

MAX_ENTRIES = 50_000
MAX_SECONDS = 8.0
MAX_SHOWN = 50
MAX_DAYS = 31


@dataclass(frozen=True)
class TriedAlert:
    """An alert that there would have been. `entry_ids`: the last of the entries that made it."""

    occurred_at: datetime.datetime
    group: dict[str, str]
    count: int
    suppressed_count: int
    entry_ids: list[uuid.UUID]


@dataclass(frozen=True)
class Trial:
    """What a rule would have done between `since` and `until`. `searched_to`: how far back was looked, if that took too long to be done.

    `fire_count`: how often the condition was met; `alert_count`: how often there would have been an alert, after cool-down and schedule;
    `alerts`: the last MAX_SHOWN of these.
    """

    since: datetime.datetime
    until: datetime.datetime
    searched_to: datetime.datetime | None
    match_count: int
    fire_count: int
    alert_count: int
    alerts: list[TriedAlert]


def try_rule(tenant_id: uuid.UUID, new: NewRule, since: datetime.datetime, now: datetime.datetime) -> Trial:
    """What the rule would have done from `since` until `now`. Raises Invalid."""
    check_rule(new, now)
    compiled = compiled_of(new.query, new.group_by, now)
    asked_from = since - _looks_back(new.condition)
    found = find_matches(tenant_id, compiled, asked_from, now, max_entries=MAX_ENTRIES, max_seconds=MAX_SECONDS)
    entries = sorted((entry for entry in found.entries if not entry.is_imported), key=lambda entry: (entry.moment_us, entry.id))
    matches, ids = list[Match](), list[uuid.UUID]()
    for entry in entries:
        group = entry.group(new.group_by)
        if group is not None:
            matches.append(Match(len(ids), entry.moment_us, group))
            ids.append(entry.id)
    # What was met before is of the time that is looked back on.
    begins_us, ends_us = microseconds(max(since, found.since)), microseconds(now)
    firings = [firing for firing in _fired(new.condition, matches, found.since, ends_us, is_grouped=bool(new.group_by)) if firing.moment_us >= begins_us]
    _, admitted = admit(Quiet(new.cool_down_seconds, new.schedule), QuietState(), firings)
    return Trial(
        since=since,
        until=now,
        searched_to=found.since if found.since > asked_from else None,
        match_count=sum(match.moment_us >= begins_us for match in matches),
        fire_count=len(firings),
        alert_count=len(admitted),
        alerts=[
            TriedAlert(
                moment_of(one.firing.moment_us),
                values_of(one.firing.group, new.group_by),
                one.firing.count,
                one.suppressed,
                [ids[position] for position in one.firing.positions],
            )
            for one in admitted[-MAX_SHOWN:]
        ],
    )


def _fired(condition: Condition, matches: Sequence[Match], since: datetime.datetime, ends_us: int, *, is_grouped: bool) -> list[Firing]:
    state, firings = condition.take(condition.start(microseconds(since), is_grouped=is_grouped), matches)
    more = condition.tick(state, ends_us)[1]
    # An absence that is found at its end comes out of order.
    return sorted([*firings, *more], key=lambda firing: firing.moment_us)


def _looks_back(condition: Condition) -> datetime.timedelta:
    """The time before the beginning that says what is counted then."""
    match condition:
        case Threshold() | Absence():
            return datetime.timedelta(seconds=condition.window_seconds)
        case FirstSeen():
            return datetime.timedelta(days=condition.learn_days)
        case _:
            return datetime.timedelta(0)
