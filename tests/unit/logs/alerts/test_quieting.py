"""What keeps a firing quiet, by an injected clock."""

from __future__ import annotations

import datetime

import msgspec
import pytest

from logs.alerts.conditions import Firing
from logs.alerts.quieting import MAX_ALERTS_PER_HOUR, Admitted, Quiet, QuietState, Schedule, admit

NOON = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)  # A Saturday.


def at(moment: datetime.datetime, seconds: float = 0, group: str = '["alice"]') -> Firing:
    return Firing(round((moment.timestamp() + seconds) * 1_000_000), group, 1, (7,))


def outcomes(quiet: Quiet, firings: list[Firing]) -> list[int | None]:
    """For each firing how many the alert of it says were suppressed; None: it makes none. The state is stored each time."""
    state, found = QuietState(), list[int | None]()
    for firing in firings:
        state, admitted = admit(quiet, msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=QuietState), [firing])
        found.append(admitted[0].suppressed if admitted else None)
    return found


def test_cool_down_is_of_a_group_and_ends_at_its_moment() -> None:
    firings = [at(NOON), at(NOON, 1), at(NOON, 2, '["bob"]'), at(NOON, 59.9), at(NOON, 60), at(NOON, 61)]
    assert outcomes(Quiet(60), firings) == [0, None, 0, None, 2, None]


def test_mute_ends_at_its_moment_and_what_it_suppressed_is_told() -> None:
    quiet = Quiet(muted_until=NOON + datetime.timedelta(hours=1))
    assert outcomes(quiet, [at(NOON), at(NOON, 3599), at(NOON, 3600), at(NOON, 3601)]) == [None, None, 2, 0]


@pytest.mark.parametrize(
    ("schedule", "hours"),
    [
        (Schedule(), range(24)),
        (Schedule(("sat",)), range(24)),
        (Schedule(("sun",)), []),
        (Schedule(("sat",), "08:00", "18:00"), range(8, 18)),
        (Schedule(("sat",), "08:00", "18:00", "Europe/Berlin"), range(7, 17)),
        # Into the next day; of the night before, Friday's.
        (Schedule(("fri",), "22:00", "06:00"), range(6)),
        (Schedule(("sat",), "22:00", "06:00"), range(22, 24)),
    ],
)
def test_schedule_allows_its_hours(schedule: Schedule, hours: range) -> None:
    midnight = NOON.replace(hour=0)
    assert [hour for hour in range(24) if schedule.allows(midnight + datetime.timedelta(hours=hour))] == list(hours)


def test_flood_is_cut_off_hour_by_hour_and_counted() -> None:
    firings = [at(NOON, index) for index in range(MAX_ALERTS_PER_HOUR + 5)]
    state, admitted = admit(Quiet(), QuietState(), firings)
    assert [one.firing for one in admitted] == firings[:MAX_ALERTS_PER_HOUR]
    assert admit(Quiet(), state, [at(NOON, 3600)])[1] == [Admitted(at(NOON, 3600), 5)]


def test_state_is_bounded_and_forgets_what_is_over() -> None:
    state, _ = admit(Quiet(60), QuietState(), [at(NOON, 0, f'["{index}"]') for index in range(5)])
    assert len(state.groups) == 5
    state, _ = admit(Quiet(60), state, [at(NOON, 60, '["new"]')])
    assert list(state.groups) == ['["new"]']
    state, _ = admit(Quiet(60), state, [at(NOON, 61, '["' + "x" * 600_000 + '"]'), at(NOON, 62, '["' + "y" * 600_000 + '"]')])
    assert [group[2] for group in state.groups] == ["y"]
