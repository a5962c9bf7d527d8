"""Counts of kinds, made by the writer and added up by the sequencer."""

from __future__ import annotations

from logs.storage.columns import ENTRY_COLUMNS
from logs.storage.kinds import Kind, count_kinds, count_users, sum_kinds, sum_users

ROW = {"timestamp": "2026-01-31T12:59:59.999999Z", "action": "LOGIN", "severity": "1", "outcome": "2", "resource_type": "session", "source": "key:a"}
KIND = Kind("2026-01-31T12", "LOGIN", 1, 2, "session", "key:a")


def columns(**values: str) -> tuple[str | None, ...]:
    return tuple((ROW | values).get(name) for name in ENTRY_COLUMNS)


def test_kinds_are_counted_by_the_hour_and_added_up() -> None:
    one = count_kinds([columns(), columns(timestamp="2026-01-31T12:00:00.000000Z"), columns(timestamp="2026-01-31T13:00:00.000000Z")])
    two = count_kinds([columns(), columns(severity="4")])
    assert sum_kinds([one, two]) == {KIND: 3, KIND._replace(hour="2026-01-31T13"): 1, KIND._replace(severity=4): 1}


def test_nothing_is_counted_for_nothing() -> None:
    assert sum_kinds([count_kinds([])]) == {}


def test_users_are_counted_by_the_hour_and_added_up() -> None:
    alice, bob = columns(user_id="alice"), columns(user_id="Ζωή")
    later = columns(user_id="alice", timestamp="2026-01-31T13:00:00.000000Z")
    total = sum_users([count_users([alice, bob, alice]), count_users([alice, later]), count_users([later])])
    assert total == {"2026-01-31T12": {"alice": 3, "Ζωή": 1}, "2026-01-31T13": {"alice": 2}}
    assert sum_users([count_users([])]) == {}
