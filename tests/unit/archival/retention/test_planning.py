"""What is due, against a model that goes through the entries one by one, day after day."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archival.due import Due
from archival.retention.planning import EVERYTHING, due_cold, due_hot
from archival.retention.policies import Policy, cutoff, in_order
from logs.search.predicate import predicate_of
from logs.search.tree import Node
from tests.retaining import DAY, START, Made, entries, fate_by_hand, holds, nows, sets

TENANT = uuid.UUID(int=1)


def fates(dues: Sequence[Due], entry: Made) -> list[str]:
    return [due.fate for due in dues if predicate_of(due.tree)(entry.facts())]


@given(sets, holds, entries, nows)
def test_due_is_what_each_entrys_own_policy_says(policies: Sequence[Policy], held: Sequence[Node], entries: list[Made], now: datetime.datetime) -> None:
    hot, cold = due_hot(TENANT, policies, held, now), due_cold(TENANT, policies, held, now)
    for entry in entries:
        by_hand = fate_by_hand(entry, policies, held, now)
        # At most one: the trees are disjoint.
        assert fates(hot, entry) == ([by_hand] if by_hand else [])
        assert fates(cold, entry) == (["purge"] if by_hand == "purge" else [])


@given(sets, holds, entries, nows, st.integers(0, 20), st.sampled_from([1, 7, 31]))
def test_partition_is_told_of_its_own_entries_what_the_whole_log_is(
    policies: Sequence[Policy], held: Sequence[Node], entries: list[Made], now: datetime.datetime, first_day: int, days: int
) -> None:
    lower_at, upper_at = START + first_day * DAY, START + (first_day + days) * DAY
    whole, part = due_hot(TENANT, policies, held, now), due_hot(TENANT, policies, held, now, lower_at, upper_at)
    for entry in entries:
        if lower_at <= entry.at < upper_at:
            assert fates(part, entry) == fates(whole, entry)


@given(sets, holds, entries, nows)
def test_nothing_is_ever_due_less_later_on(policies: Sequence[Policy], held: Sequence[Node], entries: list[Made], now: datetime.datetime) -> None:
    order = {None: 0, "archive": 1, "purge": 2}
    for entry in entries:
        earlier, later = (next(iter(fates(due_hot(TENANT, policies, held, moment), entry)), None) for moment in (now, now + DAY))
        assert order[earlier] <= order[later]


def test_partition_that_nothing_has_left_yet_has_nothing_due() -> None:
    now = START + 30 * DAY
    assert due_hot(TENANT, in_order([]), (), now, START, START + DAY) == []
    assert due_hot(TENANT, in_order([]), (), START + 91 * DAY, START, START + DAY)[0].fate == "archive"


def test_hold_on_the_whole_log_purges_nothing_and_still_archives() -> None:
    purging = in_order([Policy(1, "short", 1, 0)])
    assert [due.fate for due in due_hot(TENANT, purging, (EVERYTHING,), START + 30 * DAY)] == ["archive", "archive"]
    assert due_cold(TENANT, purging, (EVERYTHING,), START + 30 * DAY) == []


@pytest.mark.parametrize(
    ("now", "days", "expected"),
    [
        ("2026-03-31T00:00:00Z", 90, "2025-12-31T00:00:00Z"),
        ("2026-03-31T23:59:59.999999Z", 90, "2025-12-31T00:00:00Z"),
        ("2026-04-01T00:00:00Z", 90, "2026-01-01T00:00:00Z"),
        ("2026-01-02T00:00:00Z", 1, "2026-01-01T00:00:00Z"),
        # In another zone it is the next day already; days are days of UTC.
        ("2026-01-02T00:30:00+02:00", 1, "2025-12-31T00:00:00Z"),
        ("2026-01-02T00:00:00Z", 73_000, "1970-01-01T00:00:00Z"),
    ],
)
def test_age_counts_from_the_end_of_the_day(now: str, days: int, expected: str) -> None:
    moments = [datetime.datetime.fromisoformat(text) for text in (now, expected)]
    assert cutoff(moments[0], days) == moments[1]
