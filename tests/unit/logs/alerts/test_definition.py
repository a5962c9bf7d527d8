"""What a rule says: checked whoever made it, and what it is shown of the log."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import pytest

from accounts.problems import Invalid
from logs.alerts.conditions import Absence, Threshold
from logs.alerts.definition import NewRule, check_rule, compiled_of, group_of, values_of
from logs.alerts.quieting import Schedule

NOW = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
RIGHT = NewRule(name="rule", query="action:LOGIN_FAILED")


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"name": "a\x00b"}, "/name", "nul_character"),
        ({"name": "x" * 201}, "/name", "too_long"),
        ({"description": "x" * 2001}, "/description", "too_long"),
        ({"condition": Threshold(1, 60)}, "/condition", "out_of_range"),
        ({"condition": Threshold(2, 10**9)}, "/condition", "out_of_range"),
        ({"condition": Absence(59)}, "/condition", "out_of_range"),
        ({"schedule": Schedule(())}, "/schedule", "out_of_range"),
        ({"schedule": Schedule(start="24:00")}, "/schedule", "out_of_range"),
        ({"schedule": Schedule(time_zone="Europe")}, "/schedule/time_zone", "unknown_value"),
        ({"cool_down_seconds": 10**9}, "/cool_down_seconds", "out_of_range"),
        ({"severity": "info"}, "/severity", "unknown_value"),
        ({"group_by": ("user_id", "before")}, "/group_by/1", "unknown_value"),
    ],
)
def test_rule_made_in_python_is_checked_as_one_that_was_sent(changes: dict[str, Any], pointer: str, code: str) -> None:
    check_rule(RIGHT, NOW)
    with pytest.raises(Invalid) as caught:
        check_rule(replace(RIGHT, **changes), NOW)
    assert (pointer, code) in [(fault.pointer, fault.code) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("query", "actions"),
    [
        ("", None),
        ("user:bob", None),
        ("action:A", {"A"}),
        ("action:(A OR B) user:bob", {"A", "B"}),
        ("action:(A OR B) (action:B OR (action:C user:bob))", {"B"}),
        ("action:A action:B", set()),
        ("action:A OR user:bob", None),
        ("-action:A", None),
        ("action:LOGIN*", None),
    ],
)
def test_rule_is_shown_the_actions_that_it_could_find(query: str, actions: set[str] | None) -> None:
    assert compiled_of(query, (), NOW).actions == actions


@pytest.mark.parametrize(
    ("query", "is_named"),
    [
        ("", False),
        ("auditlog", False),
        ("source:auditlog", True),
        ("source:(key:x OR auditlog) action:READ", True),
        ("action:READ OR source:auditlog", True),
        ("-source:auditlog", False),
        ("source:audit*", False),
    ],
)
def test_own_entries_are_for_rules_that_name_them(query: str, is_named: bool) -> None:
    assert compiled_of(query, (), NOW).sees_own_entries is is_named


def test_group_tells_values_apart_and_gives_them_back() -> None:
    pairs = [("a", 'b"]'), ('a","b', ""), ("a", "b"), ("\u2028", "é")]
    groups = [group_of(pair) for pair in pairs]
    assert len(set(groups)) == len(pairs)
    assert [values_of(group or "", ("user_id", "action")) for group in groups] == [{"user_id": one, "action": two} for one, two in pairs]
    assert group_of(("a", None)) is None
