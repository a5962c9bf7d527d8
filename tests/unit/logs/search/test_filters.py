"""The filters of the query string: how each value is read, which tree it comes to, and what is refused by which code."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

import pytest
from django.http import QueryDict

from accounts.problems import Fault
from logs.errors import InvalidQuery
from logs.search.filters import MAX_VALUES, EntryFilterSet, filters_of
from logs.search.tree import AddressWithin, All, Node, OutcomeIs, SeverityIs, TextIs, TimestampBefore, TimestampFrom


def tree(query: str) -> All:
    return filters_of(QueryDict(query), "limit", "cursor").tree()


def faults(query: str) -> list[tuple[str, str]]:
    with pytest.raises(InvalidQuery) as refusal:
        tree(query)
    return [(fault.pointer, fault.code) for fault in refusal.value.faults]


def only_fault(query: str) -> Fault:
    with pytest.raises(InvalidQuery) as refusal:
        tree(query)
    [fault] = refusal.value.faults
    return fault


def utc(*parts: int) -> datetime.datetime:
    year, month, day, *rest = parts
    return datetime.datetime(year, month, day, *rest, tzinfo=datetime.UTC)  # type: ignore[arg-type,misc]  # mypy counts tzinfo among `rest`


GOOD: list[tuple[str, Node]] = [
    ("from=2026-01-31T12:00:00Z", TimestampFrom(utc(2026, 1, 31, 12))),
    ("from=2026-01-31T12:00:00.123456Z", TimestampFrom(utc(2026, 1, 31, 12, 0, 0, 123456))),
    ("from=2026-01-31T12:00:00%2B05:30", TimestampFrom(utc(2026, 1, 31, 6, 30))),
    ("to=2026-01-31T00:00:00-01:00", TimestampBefore(utc(2026, 1, 31, 1))),
    ("user_id=alice", TextIs("user_id", ("alice",))),
    ("user_id=%20alice%20", TextIs("user_id", (" alice ",))),
    ("user_id=a%25_'%22%5C%0A", TextIs("user_id", ("a%_'\"\\\n",))),
    ("user_id=bob&user_id=alice&user_id=bob", TextIs("user_id", ("bob", "alice"))),
    ("action=LOGIN", TextIs("action", ("LOGIN",))),
    ("action=LOGIN&action=A.B:C-D_9", TextIs("action", ("LOGIN", "A.B:C-D_9"))),
    ("resource_type=invoice", TextIs("resource_type", ("invoice",))),
    ("resource_id=" + "x" * 512, TextIs("resource_id", ("x" * 512,))),
    ("request_id=r1", TextIs("request_id", ("r1",))),
    ("session_id=s1&session_id=s2", TextIs("session_id", ("s1", "s2"))),
    ("severity=INFO", SeverityIs((1,))),
    ("severity=CRITICAL&severity=WARNING", SeverityIs((4, 2))),
    ("severity_min=INFO", SeverityIs((1, 2, 3, 4))),
    ("severity_min=ERROR", SeverityIs((3, 4))),
    ("severity_min=CRITICAL", SeverityIs((4,))),
    ("outcome=unknown", OutcomeIs((0,))),
    ("outcome=failure&outcome=success", OutcomeIs((2, 1))),
    ("ip_address=203.0.113.7", AddressWithin(("203.0.113.7/32",))),
    ("ip_address=10.1.2.3/8", AddressWithin(("10.0.0.0/8",))),
    ("ip_address=2001:DB8::1", AddressWithin(("2001:db8::1/128",))),
    ("ip_address=2001:db8::/32&ip_address=10.0.0.1", AddressWithin(("2001:db8::/32", "10.0.0.1/32"))),
    ("ip_address=::ffff:10.1.2.3", AddressWithin(("10.1.2.3/32",))),
    ("ip_address=::ffff:10.1.0.0/112", AddressWithin(("10.1.0.0/16",))),
    ("ip_address=::ffff:0:0/96", AddressWithin(("0.0.0.0/0",))),
    ("ip_address=::/0", AddressWithin(("::/0",))),
]

BAD = [
    ("from=2026-01-31", "from", "bad_timestamp"),
    ("from=2026-01-31T12:00:00", "from", "bad_timestamp"),
    ("from=2026-02-30T12:00:00Z", "from", "bad_timestamp"),
    ("from=0001-01-01T00:00:00%2B01:00", "from", "bad_timestamp"),
    ("to=1700000000", "to", "bad_timestamp"),
    ("to=now", "to", "bad_timestamp"),
    ("user_id=" + "x" * 513, "user_id", "max_length"),
    ("user_id=a%00b", "user_id", "null_characters_not_allowed"),
    ("action=login", "action", "bad_format"),
    ("action=LOGIN%0A", "action", "bad_format"),
    ("action=A%20B", "action", "bad_format"),
    ("severity=info", "severity", "unknown_value"),
    ("severity=1", "severity", "unknown_value"),
    ("severity_min=HIGH", "severity_min", "unknown_value"),
    ("outcome=SUCCESS", "outcome", "unknown_value"),
    ("ip_address=10.0.0", "ip_address", "bad_ip_address"),
    ("ip_address=10.0.0.0/33", "ip_address", "bad_ip_address"),
    ("ip_address=010.0.0.1", "ip_address", "bad_ip_address"),
    ("ip_address=fe80::1%25eth0", "ip_address", "bad_ip_address"),
    ("ip_address=10.0.0.1&ip_address=localhost", "ip_address", "bad_ip_address"),
    ("ip_address=4294967295", "ip_address", "bad_ip_address"),
]


@pytest.mark.parametrize(("query", "node"), GOOD, ids=[query[:60] for query, _ in GOOD])
def test_a_value_comes_to_its_part_of_the_tree(query: str, node: Node) -> None:
    assert tree(query) == All((node,))


@pytest.mark.parametrize(("query", "parameter", "code"), BAD, ids=[query[:60] for query, _, _ in BAD])
def test_a_value_that_can_t_be_read_is_refused_by_its_code(query: str, parameter: str, code: str) -> None:
    assert faults(query) == [(parameter, code)]


def test_no_filter_asks_for_everything() -> None:
    assert tree("") == tree("limit=5&cursor=abc") == All(())


def test_several_filters_all_have_to_hold() -> None:
    query = "user_id=alice&outcome=failure&severity_min=ERROR&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z"
    assert set(tree(query).nodes) == {
        TextIs("user_id", ("alice",)),
        OutcomeIs((2,)),
        SeverityIs((3, 4)),
        TimestampFrom(utc(2026, 1, 1)),
        TimestampBefore(utc(2026, 2, 1)),
    }


def test_one_question_has_one_tree_whatever_the_order_of_its_parameters() -> None:
    assert tree("action=LOGIN&user_id=alice") == tree("user_id=alice&action=LOGIN")


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("user", "user_id"), ("usr_id", "user_id"), ("severty", "severity"), ("ip_adress", "ip_address"), ("form", "from"), ("limits", "limit")],
)
def test_an_unknown_parameter_is_refused_with_the_one_that_was_meant(name: str, suggestion: str) -> None:
    fault = only_fault(f"{name}=x")
    assert (fault.pointer, fault.code) == (name, "unknown_parameter")
    assert f"Did you mean {suggestion}?" in fault.detail


def test_an_unknown_parameter_like_no_other_is_refused_with_a_list_of_all() -> None:
    fault = only_fault("zzz=1")
    assert all(name in fault.detail for name in [*EntryFilterSet.base_filters, "limit", "cursor"])


@pytest.mark.parametrize("name", ["from", "to", "severity_min", "limit", "cursor"])
def test_a_single_parameter_that_is_repeated_is_refused(name: str) -> None:
    assert (name, "repeated") in faults(f"{name}=INFO&{name}=INFO")


def names(kinds: Iterable[bool]) -> list[str]:
    return [name for name, found in EntryFilterSet.base_filters.items() if getattr(found, "is_repeated", False) in kinds]


@pytest.mark.parametrize("name", [*names([True, False]), "limit", "cursor"])
def test_an_empty_value_is_refused_for_every_parameter(name: str) -> None:
    assert faults(f"{name}=") == [(name, "empty")]


@pytest.mark.parametrize("name", names([True]))
def test_one_empty_value_among_several_is_refused(name: str) -> None:
    assert faults(f"{name}=LOGIN&{name}=") == [(name, "empty")]


def test_at_most_a_hundred_values_may_be_given() -> None:
    values = [f"user_id=u{number}" for number in range(MAX_VALUES + 1)]
    assert faults("&".join(values)) == [("user_id", "too_many_values")]
    assert tree("&".join(values[:-1])) == All((TextIs("user_id", tuple(f"u{number}" for number in range(MAX_VALUES))),))


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    assert faults("from=2026-01-01T00:00:00.000001Z&to=2026-01-01T00:00:00Z") == [("to", "bad_range")]
    # The same moment in two offsets: an empty range, and a right one.
    assert len(tree("from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00%2B01:00").nodes) == 2


def test_a_plus_that_became_a_space_is_explained() -> None:
    assert "%2B" in only_fault("from=2026-01-31T12:00:00+01:00").detail


def test_every_parameter_that_is_wrong_is_named() -> None:
    assert set(faults("from=x&severity=y&ip_address=z")) == {("from", "bad_timestamp"), ("severity", "unknown_value"), ("ip_address", "bad_ip_address")}
    assert set(faults("zzz=1&limit=")) == {("zzz", "unknown_parameter"), ("limit", "empty")}
