"""Two years of a log, through the planner alone, against a model that knows of each entry where it has to be on each day.

Three policies, a hold that is placed and released, and entries that come in late. (An erasure moves no row: tests/integration has one.)
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from archival.due import Due
from archival.retention.planning import due_cold, due_hot
from archival.retention.policies import Policy, in_order
from logs.search.predicate import predicate_of
from logs.search.tree import TextIs
from tests.retaining import ACTIONS, DAY, START, TYPES, Made, Place, place_by_hand, policies

TENANT = uuid.UUID(int=1)
DAYS = 365
made = st.builds(
    Made,
    number=st.integers(0, 2**40),
    at=st.integers(0, DAYS * 24 * 60).map(lambda minutes: START + datetime.timedelta(minutes=minutes)),
    resource_type=st.sampled_from(TYPES),
    action=st.sampled_from(ACTIONS),
    severity=st.integers(1, 4),
)
# An entry, and how many days after its timestamp it comes in.
arrivals = st.lists(st.tuples(made, st.just(0) | st.integers(0, 100)), min_size=1, max_size=12, unique_by=lambda found: found[0])
longer = st.builds(
    lambda policy, hot_days, cold_days: Policy(policy.id, policy.name, hot_days, cold_days, policy.resource_types, policy.actions),
    policies,
    st.integers(1, 200),
    st.none() | st.integers(0, 200),
)
days = st.integers(0, DAYS)


def run_once(hot_dues: Sequence[Due], cold_dues: Sequence[Due], places: dict[Made, Place]) -> None:
    """What the archiver does with what the planner says: archive, purge from the database, purge from the archive."""
    hot_tests = [(due.fate, predicate_of(due.tree)) for due in hot_dues]
    cold_tests = [predicate_of(due.tree) for due in cold_dues]
    for entry, place in places.items():
        facts = entry.facts()
        if place == "hot":
            places[entry] = next(("cold" if fate == "archive" else "purged" for fate, holds in hot_tests if holds(facts)), "hot")
        elif place == "cold" and any(holds(facts) for holds in cold_tests):
            places[entry] = "purged"


@settings(max_examples=15, deadline=None)
@given(arrivals, st.lists(longer, min_size=3, max_size=3, unique_by=lambda policy: policy.id), days, days)
def test_every_entry_is_each_day_where_the_model_says(arrivals: list[tuple[Made, int]], three: list[Policy], held_from: int, held_until: int) -> None:
    rules, hold = in_order(three), (TextIs("resource_type", ("invoice",)),)
    places: dict[Made, Place] = {}
    expected: dict[Made, Place] = {}
    for day in range(0, 2 * DAYS, 3):
        now = START + day * DAY + datetime.timedelta(hours=3)
        held = hold if held_from <= day < held_until else ()
        for entry, late in arrivals:
            if entry.at + late * DAY < now:
                places.setdefault(entry, "hot")
        run_once(due_hot(TENANT, rules, held, now), due_cold(TENANT, rules, held, now), places)
        expected = {entry: place_by_hand(entry, expected.get(entry), rules, held, now) for entry in places}
        assert places == expected
