"""What locked policies promise, against a model that tries every kind of entry over any number of changes."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.problems import Invalid
from archival.retention.comparing import MAX_KINDS, check_locked, keeps_less, kinds_told_apart
from archival.retention.policies import Kind, Policy, deciding, in_order
from logs.models import Severity
from tests.retaining import ACTIONS, TYPES, policies, sets

# Every kind that there is, and ones that no policy names.
EVERY_KIND = [Kind(*values) for values in itertools.product((*TYPES, None), (*ACTIONS, None), Severity.values)]


def kept(found: Sequence[Policy]) -> dict[Kind, Any]:
    return {kind: deciding(found, kind).kept for kind in EVERY_KIND}


@given(sets, sets)
def test_keeps_less_is_what_every_kind_of_entry_says(before: Sequence[Policy], after: Sequence[Policy]) -> None:
    was, would_be = kept(before), kept(after)
    assert keeps_less(before, after) == any(would_be[kind].total_days < was[kind].total_days for kind in EVERY_KIND)


@given(sets)
def test_kinds_that_policies_tell_apart_stand_for_all(found: Sequence[Policy]) -> None:
    def signature(kind: Kind) -> tuple[bool, ...]:
        return tuple(policy.matches(kind) for policy in found)

    assert {signature(kind) for kind in kinds_told_apart(found)} == {signature(kind) for kind in EVERY_KIND}


changes = st.lists(st.tuples(st.sampled_from(["add", "delete", "change"]), st.integers(0, 5), policies, st.booleans()), max_size=6)


@given(sets, st.integers(0, 4), changes)
def test_no_series_of_changes_takes_away_what_a_locked_policy_keeps(start: Sequence[Policy], chosen: int, changes: Any) -> None:
    place = chosen % len(start)
    locked = replace(start[place], is_locked=True)
    current = in_order([*start[:place], locked, *start[place + 1 :]])
    promised = {kind: [min(pair) for pair in zip(deciding(current, kind).kept, locked.kept, strict=True)] for kind in EVERY_KIND if locked.matches(kind)}
    for step, target, other, is_locked in changes:
        rows = list(current)
        index = target % len(rows)
        if step == "add":
            rows.append(replace(other, id=1000 + len(rows) + target, is_locked=is_locked))
        elif step == "delete":
            del rows[index]
        else:
            same: dict[str, Any] = {"id": rows[index].id, "is_default": rows[index].is_default, "is_locked": is_locked}
            same |= dict.fromkeys(("resource_types", "actions", "severities"), ()) if rows[index].is_default else {}
            rows[index] = replace(other, **same)
        after = in_order(rows)
        with contextlib.suppress(Invalid):
            check_locked(current, after)
            current = after
    for kind, (hot_days, total_days) in promised.items():
        now = deciding(current, kind).kept
        assert now.hot_days >= hot_days
        assert now.total_days >= total_days


LOCKED = Policy(1, "payments", 30, 100, resource_types=("payment",), is_locked=True, precedence=10)


@pytest.mark.parametrize(
    ("after", "pointer"),
    [
        ([], ""),
        ([replace(LOCKED, is_locked=False)], "/is_locked"),
        ([replace(LOCKED, hot_days=29, cold_days=101)], "/hot_days"),
        ([replace(LOCKED, cold_days=99)], "/cold_days"),
        ([replace(LOCKED, actions=("READ",))], ""),
        ([replace(LOCKED, resource_types=("invoice",))], ""),
        ([LOCKED, Policy(2, "short", 1, 0, precedence=5)], ""),
        ([LOCKED, Policy(2, "short", 30, 99, severities=(1,), precedence=5)], ""),
        ([replace(LOCKED, precedence=50), Policy(2, "short", 1, 0, precedence=20)], ""),
    ],
)
def test_what_would_break_the_promise_of_a_locked_policy_is_refused(after: list[Policy], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_locked(in_order([LOCKED]), in_order(after))
    assert {fault.code for fault in refused.value.faults} <= {"locked_policy", "locked_policy_overtaken"}
    assert pointer in {fault.pointer for fault in refused.value.faults}


@pytest.mark.parametrize(
    "after",
    [
        [replace(LOCKED, hot_days=31)],
        [replace(LOCKED, cold_days=None)],
        [replace(LOCKED, resource_types=())],
        [replace(LOCKED, precedence=999)],
        # Later ones, ones for other entries, and ones that keep as long.
        [LOCKED, Policy(2, "short", 1, 0, precedence=20)],
        [LOCKED, Policy(2, "short", 1, 0, resource_types=("note",), precedence=5)],
        [LOCKED, Policy(2, "long", 30, 100, precedence=5)],
    ],
)
def test_what_keeps_the_promise_of_a_locked_policy_is_allowed(after: list[Policy]) -> None:
    check_locked(in_order([LOCKED]), in_order(after))


def test_too_many_kinds_to_compare_are_refused() -> None:
    # Each value in other policies than every other: none stands for another.
    many = [
        Policy(n, str(n), 1, 0, resource_types=tuple(str(k) for k in range(128) if k >> n & 1), actions=tuple(f"A{k}" for k in range(128) if k >> n & 1))
        for n in range(7)
    ]
    assert 128 * 128 * 4 > MAX_KINDS
    with pytest.raises(Invalid):
        list(kinds_told_apart(many))
