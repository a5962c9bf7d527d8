"""Entries and questions for the tests of the search: few words, many collisions, and every kind of text."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from logs.models import Outcome, Severity
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
from logs.search.words import phrase_of

# The characters of which the rules of words speak, and some of every other kind.
CHARACTERS = "abAB1 @.-_+/:,\"\\\n\t'(){}=~*É\u0130ΣσςßÄ\u00a0“日\U0001f600\x01\x1f"  # noqa: RUF001  # the Greek letters
texts = st.text(st.sampled_from(CHARACTERS), max_size=12) | st.text(st.characters(exclude_categories=["Cs", "Cn"], exclude_characters="\x00"), max_size=12)
WORDS = [
    "alice",
    "Bob",
    "inv-2041",
    "ben@example.com",
    "10.0.3.17",
    "user_id",
    "paid",
    "paid.",
    "Ärger",
    "a b",
    "x/y",
    "AB",
    "ab",
    "a.b",
    "a.",
    ".",
    "7",
    "7.5",
    "-7",
]
words = st.sampled_from(WORDS)
phrases = st.lists(words | texts, min_size=1, max_size=4).map(" ".join)
required = (words | texts).filter(bool)
KEYS = ["region", "a", "amount", "a.b", "x y", "n\\o"]
keys = st.sampled_from(KEYS)
numbers = st.sampled_from([0, 1, -7, 7, 7.5, 1e22, 1e-7, 2**60, 100])
scalars = words | texts | numbers | st.booleans() | st.none()
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6)
objects = st.dictionaries(keys | words, values, max_size=4)
START = datetime.datetime(2026, 1, 10, tzinfo=datetime.UTC)
moments = st.integers(0, 40).map(lambda step: START + datetime.timedelta(hours=step * 3, microseconds=step))
ADDRESSES = ["10.0.3.17", "10.0.3.18", "10.1.0.1", "192.0.2.1", "2001:db8::1", "::1"]

entries: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "timestamp": moments.map(lambda moment: moment.isoformat()),
        "user_id": required,
        "resource_type": required,
        "action": st.sampled_from(["LOGIN", "LOGOUT", "A.B"]),
    },
    optional={
        "resource_id": required,
        "request_id": words,
        "session_id": words,
        "message": phrases | texts,
        "metadata": objects,
        "before": objects,
        "after": objects,
        "ip_address": st.sampled_from(ADDRESSES),
        "severity": st.sampled_from(Severity.labels),
        "outcome": st.sampled_from(Outcome.labels),
    },
)

fields = st.sampled_from(["user_id", "action", "resource_type", "resource_id", "request_id", "session_id", "source"])
paths = st.lists(keys, min_size=1, max_size=2).map(tuple)
leaves: st.SearchStrategy[Node] = st.one_of(
    st.builds(TextIs, fields, st.lists(words | texts, min_size=1, max_size=2).map(tuple)),
    st.builds(TextStarts, fields, words | texts | st.sampled_from(["LOG", "key:", "al"])),
    st.builds(SeverityIs, st.lists(st.sampled_from(Severity.values), min_size=1, max_size=3).map(tuple)),
    st.builds(OutcomeIs, st.lists(st.sampled_from(Outcome.values), min_size=1, max_size=2).map(tuple)),
    st.builds(
        AddressWithin, st.lists(st.sampled_from(["10.0.3.17/32", "10.0.0.0/16", "::/0", "2001:db8::/32", "0.0.0.0/0"]), min_size=1, max_size=2).map(tuple)
    ),
    st.builds(TimestampFrom, moments),
    st.builds(TimestampBefore, moments),
    st.builds(FieldChanged, keys | words),
    st.builds(MetadataIs, paths, words | texts | st.sampled_from(["true", "null", "7.50", "1e22", "100"])),
    st.builds(MetadataStarts, paths, words | st.just("")),
    st.builds(MetadataExists, paths),
    st.builds(MetadataCompared, paths, st.sampled_from(Comparison), st.sampled_from(["0", "7", "7.5", "1E+22", "-1"]).map(Decimal)),
    st.builds(lambda text, goes_on: phrase_of(text, is_prefix=goes_on), phrases | texts, st.booleans()).filter(bool).map(HasPhrase),  # type: ignore[arg-type]
)
trees: st.SearchStrategy[Node] = st.recursive(
    leaves,
    lambda inner: (
        st.builds(Not, inner) | st.builds(All, st.lists(inner, max_size=3).map(tuple)) | st.builds(AnyOf, st.lists(inner, min_size=1, max_size=3).map(tuple))
    ),
    max_leaves=5,
)
