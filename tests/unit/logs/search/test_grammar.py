"""The query language: what a query means, and at which column it is wrong."""

from __future__ import annotations

import datetime
import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.problems import Fault
from logs.errors import InvalidQuery
from logs.search.grammar import MAX_CHARACTERS, MAX_DEPTH, MAX_TERMS
from logs.search.qualifiers import NAMES, Reader
from logs.search.tree import (
    AddressWithin,
    All,
    AnyOf,
    Comparison,
    FieldChanged,
    HasPhrase,
    MetadataCompared,
    MetadataExists,
    MetadataIs,
    MetadataStarts,
    Node,
    Not,
    OutcomeIs,
    SeverityIs,
    TextIs,
    TextStarts,
    TimestampBefore,
    TimestampFrom,
)
from logs.search.words import Phrase

NOW = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


def tree(query: str) -> Node:
    found = Reader(NOW).tree(query)
    return found.nodes[0] if len(found.nodes) == 1 else found


def words(*several: str, is_prefix: bool = False) -> HasPhrase:
    return HasPhrase(Phrase(several, is_prefix))


MEANINGS: dict[str, Node] = {
    "": All(),
    "  \t\n ": All(),
    "paid": words("paid"),
    "Paid PAID": All((words("paid"), words("paid"))),
    '"wrong password"': words("wrong", "password"),
    '"say \\"hello\\" \\\\ there"': words("say", "hello", "there"),
    "pay*": words("pay", is_prefix=True),
    '"wrong pass"*': words("wrong", "pass", is_prefix=True),
    "ben@example.com": words("ben@example.com"),
    "/billing/invoices": words("billing", "invoices"),
    "10.0.3.17": words("10.0.3.17"),
    "a.b:c": words("a.b", "c"),
    "-paid": Not(words("paid")),
    "NOT paid": Not(words("paid")),
    "--paid": Not(Not(words("paid"))),
    '-"a b"': Not(words("a", "b")),
    "-(a b)": Not(All((words("a"), words("b")))),
    "one-two": words("one-two"),
    "a OR b": AnyOf((words("a"), words("b"))),
    "a b OR c d": AnyOf((All((words("a"), words("b"))), All((words("c"), words("d"))))),
    "a AND b": All((words("a"), words("b"))),
    "a (b OR c)": All((words("a"), AnyOf((words("b"), words("c"))))),
    "or and not": All((words("or"), words("and"), words("not"))),
    '"OR"': words("or"),
    "user:alice": TextIs("user_id", ("alice",)),
    "user_id:alice": TextIs("user_id", ("alice",)),
    'user:"alice smith"': TextIs("user_id", ("alice smith",)),
    "user:DOMAIN\\alice": TextIs("user_id", ("DOMAIN\\alice",)),
    "user:al*": TextStarts("user_id", "al"),
    'user:"al s"*': TextStarts("user_id", "al s"),
    "user:*": TextStarts("user_id", ""),
    'user:"a*"': TextIs("user_id", ("a*",)),
    "user:(alice OR bob carol)": TextIs("user_id", ("alice", "bob", "carol")),
    "-user:alice": Not(TextIs("user_id", ("alice",))),
    "source:key:abc": TextIs("source", ("key:abc",)),
    "action:login": TextIs("action", ("LOGIN",)),
    "action:Log*": TextStarts("action", "LOG"),
    "resource:inv-2041 resource_type:invoice": All((TextIs("resource_id", ("inv-2041",)), TextIs("resource_type", ("invoice",)))),
    "session:s1 request:r1": All((TextIs("session_id", ("s1",)), TextIs("request_id", ("r1",)))),
    "severity:error": SeverityIs((3,)),
    "severity:>=ERROR": SeverityIs((3, 4)),
    "severity:>ERROR": SeverityIs((4,)),
    "severity:<ERROR": SeverityIs((1, 2)),
    "severity:<=WARNING": SeverityIs((1, 2)),
    "severity:>CRITICAL": SeverityIs(()),
    "severity:(ERROR OR INFO)": SeverityIs((3, 1)),
    "outcome:failure": OutcomeIs((2,)),
    "ip:10.1.2.3/8": AddressWithin(("10.0.0.0/8",)),
    "ip:2001:db8::1": AddressWithin(("2001:db8::1/128",)),
    "ip:(10.0.0.1 OR ::1)": AnyOf((AddressWithin(("10.0.0.1/32",)), AddressWithin(("::1/128",)))),
    "changed:status": FieldChanged("status"),
    'changed:"a b"': FieldChanged("a b"),
    "after:2026-01-30": TimestampFrom(NOW - datetime.timedelta(days=1, hours=12)),
    "after:2026-01-31T13:00:00+01:00": TimestampFrom(NOW),
    "after:-7d": TimestampFrom(NOW - datetime.timedelta(days=7)),
    "before:-90m": TimestampBefore(NOW - datetime.timedelta(minutes=90)),
    "metadata.region:eu": MetadataIs(("region",), "eu"),
    "metadata.a.b:c": MetadataIs(("a", "b"), "c"),
    'metadata."a.b"."x \\"y\\"":c': MetadataIs(("a.b", 'x "y"'), "c"),
    '-metadata."a b":c': Not(MetadataIs(("a b",), "c")),
    'metadata.a:"b c"': MetadataIs(("a",), "b c"),
    'metadata.a:""': MetadataIs(("a",), ""),
    "metadata.a:-5": MetadataIs(("a",), "-5"),
    "metadata.a:(b OR c)": AnyOf((MetadataIs(("a",), "b"), MetadataIs(("a",), "c"))),
    "metadata.a:(-5 OR -6)": AnyOf((MetadataIs(("a",), "-5"), MetadataIs(("a",), "-6"))),
    "metadata.a:eu-*": MetadataStarts(("a",), "eu-"),
    "metadata.a:*": MetadataExists(("a",)),
    "metadata.amount:>100": MetadataCompared(("amount",), Comparison.MORE, Decimal(100)),
    "metadata.amount:<=-1.5e3": MetadataCompared(("amount",), Comparison.AT_MOST, Decimal(-1500)),
    'metadata.amount:>="7"': MetadataCompared(("amount",), Comparison.AT_LEAST, Decimal(7)),
}


@pytest.mark.parametrize(("query", "meaning"), MEANINGS.items(), ids=list(MEANINGS))
def test_a_query_has_one_meaning(query: str, meaning: Node) -> None:
    assert tree(query) == meaning


WRONG: dict[str, tuple[str, int]] = {
    "a*b": ("bad_wildcard", 2),
    "*a": ("bad_wildcard", 1),
    "paid a*": ("bad_wildcard", 6),
    "*": ("bad_wildcard", 1),
    '"a b" *': ("bad_wildcard", 7),
    "(a": ("unclosed_bracket", 1),
    "a (b (c)": ("unclosed_bracket", 3),
    "a)": ("unexpected", 2),
    ")": ("unexpected", 1),
    "()": ("unexpected", 2),
    'ab "c': ("unclosed_quote", 4),
    '"': ("unclosed_quote", 1),
    "a OR": ("unexpected", 5),
    "OR a": ("unexpected", 1),
    "a OR OR b": ("unexpected", 6),
    "a AND": ("unexpected", 6),
    "NOT": ("unexpected", 4),
    "-": ("no_word", 1),
    "...": ("no_word", 1),
    '""': ("no_word", 1),
    "user:": ("missing_value", 6),
    "user: alice": ("missing_value", 6),
    "user:()": ("missing_value", 6),
    "user:(a": ("unclosed_bracket", 6),
    "user:(OR a)": ("unexpected", 7),
    'user:""': ("missing_value", 6),
    "user:>a": ("bad_comparison", 7),
    "colour:red": ("unknown_qualifier", 1),
    "ok usr:x": ("unknown_qualifier", 4),
    "https://example.com": ("unknown_qualifier", 1),
    "metadata:x": ("unknown_qualifier", 1),
    "severity:LOUD": ("unknown_value", 10),
    "severity:ERR*": ("unknown_value", 10),
    "severity:>=": ("missing_value", 12),
    "outcome:maybe": ("unknown_value", 9),
    "action:a/b": ("bad_format", 8),
    "ip:10.0.0": ("bad_ip_address", 4),
    "ip:10.0.0.0/99": ("bad_ip_address", 4),
    "ip:fe80::1%eth0": ("bad_ip_address", 4),
    "ip:10.*": ("bad_wildcard", 7),
    "after:yesterday": ("bad_timestamp", 7),
    "after:2026-13-01": ("bad_timestamp", 7),
    "after:2026-01-31T12:00:00": ("bad_timestamp", 7),
    "after:-999999w": ("bad_timestamp", 7),
    "after:(-1d -2d)": ("repeated", 12),
    "metadata.a:>many": ("bad_number", 13),
    "metadata.a:>1e999": ("bad_number", 13),
    "metadata.a.b.c.d.e.f.g.h.i:x": ("too_deep", 1),
    "metadata.diagnosis.$encrypted:v1.7*": ("encrypted", 1),
    ">5": ("unexpected", 1),
    "a\x00b": ("nul_character", 2),
    "x" * (MAX_CHARACTERS + 1): ("query_too_long", MAX_CHARACTERS + 1),
    "x " * (MAX_TERMS + 1): ("too_many_terms", 2 * MAX_TERMS + 1),
    "(" * (MAX_DEPTH + 2): ("too_deep", MAX_DEPTH + 2),
    "-" * (MAX_DEPTH + 2) + "a": ("too_deep", MAX_DEPTH + 3),
}


def refusal(query: str) -> Fault:
    with pytest.raises(InvalidQuery) as refused:
        tree(query)
    [fault] = refused.value.faults
    return fault


@pytest.mark.parametrize(("query", "fault"), WRONG.items(), ids=[query[:30].replace("\x00", "NUL") for query in WRONG])
def test_a_wrong_query_is_refused_at_its_column(query: str, fault: tuple[str, int]) -> None:
    found = refusal(query)
    assert (found.pointer, found.code, found.column) == ("q", *fault)
    assert found.detail.startswith(f"Column {fault[1]}: ")


def test_a_misspelt_qualifier_is_answered_by_the_right_one() -> None:
    assert "Did you mean severity:?" in refusal("severty:ERROR").detail
    assert all(f"{name}:" in refusal("colour:red").detail for name in NAMES)


@pytest.mark.parametrize("query", ["(" * 10_000, "(" * 50_000 + ")" * 50_000, "a " * 50_000, '"' * 100_000, "-" * 100_000, "metadata" + ".a" * 50_000 + ":x"])
def test_a_huge_query_is_refused_quickly(query: str) -> None:
    begun = time.process_time()
    refusal(query)
    # Not a measurement: anything that is more than linear takes minutes here.
    assert time.process_time() - begun < 1


@given(st.text(st.sampled_from('ab1 "()-*:.\\ORANDuserafipmetd><='), max_size=40) | st.text(max_size=40))
def test_every_text_has_a_meaning_or_a_column(query: str) -> None:
    try:
        tree(query)
    except InvalidQuery as refused:
        [fault] = refused.faults
        assert fault.pointer == "q"
        assert fault.column is not None
        assert 1 <= fault.column <= len(query) + 1
