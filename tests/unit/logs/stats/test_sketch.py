"""Sketches: the laws of a union, and the error that is promised."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs.stats.sketch import EMPTY, REGISTERS, STANDARD_ERROR, estimate, merge, sketch_of

SETS = st.frozensets(st.text(st.characters(exclude_categories=["Cs"])), max_size=40)


@given(left=SETS, right=SETS)
def test_merge_is_the_sketch_of_the_union(left: frozenset[str], right: frozenset[str]) -> None:
    assert merge([sketch_of(left), sketch_of(right)]) == sketch_of(left | right) == merge([sketch_of(right), sketch_of(left)])


@given(members=SETS)
def test_adding_again_changes_nothing(members: frozenset[str]) -> None:
    sketch = sketch_of(members)
    assert merge([sketch, sketch]) == merge([sketch, EMPTY]) == merge([sketch]) == sketch_of([*members, *members]) == sketch
    assert len(sketch) == REGISTERS


@given(registers=st.lists(st.binary(min_size=REGISTERS, max_size=REGISTERS).map(lambda raw: bytes(byte % 54 for byte in raw)), min_size=1, max_size=4))
def test_merge_takes_the_greatest_of_each_register(registers: list[bytes]) -> None:
    assert merge(registers) == bytes(map(max, *registers, registers[0]))


def test_nothing_is_estimated_as_nothing() -> None:
    assert estimate(EMPTY) == estimate(merge([])) == 0


@pytest.mark.parametrize("count", [1, 10, 100, 1_000, 10_000, 30_000])
def test_estimates_are_within_the_standard_error_over_many_sets(count: int) -> None:
    errors = [estimate(sketch_of(f"{seed}/{number}" for number in range(count))) / count - 1 for seed in range(30)]
    # Of thirty sets the root of the mean square is within a third of what it tends to; and none is off by five times that.
    assert statistics.fmean(error * error for error in errors) ** 0.5 < 1.35 * STANDARD_ERROR
    assert abs(statistics.fmean(errors)) < STANDARD_ERROR
    assert max(map(abs, errors)) < 5 * STANDARD_ERROR
