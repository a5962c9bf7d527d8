"""The threshold that tells when nobody else can be among the busiest."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from logs.search.tree import All, TextIs
from logs.stats.users import candidates_of, first_of, names_of

SPANS = st.lists(st.dictionaries(st.sampled_from("abcdefghijkl"), st.integers(1, 20), max_size=12), max_size=6)


@given(spans=SPANS, most=st.integers(1, 6))
def test_nobody_outside_of_the_lists_has_more_than_the_bound(spans: list[dict[str, int]], most: int) -> None:
    lists = [sorted(span.items(), key=lambda one: -one[1])[:most] for span in spans]
    candidates, bound = candidates_of(lists, most)
    totals: Counter[str] = Counter()
    for span in spans:
        totals.update(span)
    assert all(count <= bound for name, count in totals.items() if name not in candidates)


def test_ties_go_by_name_and_nobody_without_entries_is_named() -> None:
    assert first_of({"b": 2, "a": 2, "c": 3, "d": 0, "e": -1}, 3) == [("c", 3), ("a", 2), ("b", 2)]
    assert first_of({"b": 2, "a": 2, "c": 3}, 2) == [("c", 3), ("a", 2)]


def test_users_of_several_conditions_are_those_in_all_of_them() -> None:
    both = All((TextIs("user_id", ("alice", "bob")), TextIs("user_id", ("bob", "carol"))))
    assert names_of(both) == ["bob"]
    assert names_of(All((TextIs("user_id", ("alice",)), TextIs("user_id", ("bob",))))) == []
