"""The SQL of each part of a question, word for word; values are its parameters and never its text."""

from __future__ import annotations

import datetime
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from logs.search.sql import Condition, condition_of, select_page
from logs.search.tree import AddressWithin, All, Node, OutcomeIs, SeverityIs, TextField, TextIs, TimestampBefore, TimestampFrom

MOMENT = datetime.datetime(2026, 1, 31, 12, 0, 0, tzinfo=datetime.UTC)
FLOOR = UUID("019c13ec-9e00-0000-0000-000000000000")
ID = UUID("019c1435-d600-7abc-8000-000000000001")
COLUMNS = [sql.SQL("id::text"), sql.SQL("user_id")]
PAGE = "SELECT id::text, user_id FROM auditlog.logs_entry_view AS e WHERE "

GOLDEN: list[tuple[Node, str, tuple[Any, ...]]] = [
    (TextIs("user_id", ("alice",)), '"user_id" = %s::text', ("alice",)),
    (TextIs("user_id", ("alice", "bob")), '"user_id" = ANY(%s::text[])', (["alice", "bob"],)),
    (SeverityIs((3,)), '"severity" = %s::smallint', (3,)),
    (SeverityIs((3, 4)), '"severity" = ANY(%s::smallint[])', ([3, 4],)),
    (OutcomeIs((2,)), '"outcome" = %s::smallint', (2,)),
    (OutcomeIs((0, 2)), '"outcome" = ANY(%s::smallint[])', ([0, 2],)),
    (AddressWithin(("10.0.0.0/8",)), "ip_address <<= %s::inet", ("10.0.0.0/8",)),
    (AddressWithin(("10.0.0.0/8", "::/0")), "(ip_address <<= %s::inet OR ip_address <<= %s::inet)", ("10.0.0.0/8", "::/0")),
    (TimestampFrom(MOMENT), "id >= %s::uuid", (FLOOR,)),
    (TimestampBefore(MOMENT), "id < %s::uuid", (FLOOR,)),
    (TimestampFrom(MOMENT + datetime.timedelta(microseconds=250)), "id >= %s::uuid", (UUID("019c13ec-9e00-7400-0000-000000000000"),)),
    (All(()), "true", ()),
    (All((OutcomeIs((2,)),)), '"outcome" = %s::smallint', (2,)),
    (
        All((TextIs("action", ("LOGIN",)), AddressWithin(("10.0.0.1/32", "::1/128")), OutcomeIs((2,)))),
        '("action" = %s::text AND (ip_address <<= %s::inet OR ip_address <<= %s::inet) AND "outcome" = %s::smallint)',
        ("LOGIN", "10.0.0.1/32", "::1/128", 2),
    ),
]


@pytest.mark.parametrize(("node", "text", "parameters"), GOLDEN, ids=[text for _, text, _ in GOLDEN])
def test_a_node_has_one_sql(node: Node, text: str, parameters: tuple[Any, ...]) -> None:
    found = condition_of(node)
    assert found.text.as_string(None) == text
    assert found.parameters == parameters


@pytest.mark.parametrize("field", get_args(TextField))
def test_every_text_field_is_compared_by_its_own_column(field: TextField) -> None:
    assert condition_of(TextIs(field, ("x",))).text.as_string(None) == f'"{field}" = %s::text'


def page(node: Node, **place: UUID | None) -> Condition:
    return select_page(COLUMNS, node, after=place.get("after"), before=place.get("before"), limit=51)


def test_the_first_page_is_the_newest() -> None:
    found = page(All(()))
    assert found.parameters == ()
    assert found.text.as_string(None) == PAGE + "true ORDER BY e.id DESC LIMIT 51"


def test_an_older_page_begins_below_its_cursor() -> None:
    found = page(All((TextIs("user_id", ("alice",)),)), after=ID)
    assert found.text.as_string(None) == PAGE + '("user_id" = %s::text AND id < %s::uuid) ORDER BY e.id DESC LIMIT 51'
    assert found.parameters == ("alice", ID)


def test_a_newer_page_is_read_upwards_from_its_cursor() -> None:
    found = page(All(()), before=ID)
    assert found.text.as_string(None) == PAGE + "id > %s::uuid ORDER BY e.id ASC LIMIT 51"
    assert found.parameters == (ID,)


NODES: st.SearchStrategy[Node] = st.recursive(
    st.one_of(
        st.builds(TextIs, st.sampled_from(get_args(TextField)), st.lists(st.text(), min_size=1, max_size=3).map(tuple)),
        st.builds(SeverityIs, st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)),
        st.builds(OutcomeIs, st.lists(st.integers(0, 2), min_size=1, max_size=3).map(tuple)),
        st.builds(AddressWithin, st.lists(st.ip_addresses().map(str), min_size=1, max_size=3).map(tuple)),
        st.builds(TimestampFrom, st.datetimes(datetime.datetime(1970, 1, 1), timezones=st.just(datetime.UTC))),  # noqa: DTZ001  hypothesis adds the zone
    ),
    lambda nodes: st.builds(All, st.lists(nodes, max_size=4).map(tuple)),
    max_leaves=8,
)
WORDS = {"id", "AND", "OR", "true", "ip_address", "severity", "outcome", "text", "smallint", "inet", "uuid", "ANY", "s", *get_args(TextField)}


def is_ours(text: str) -> bool:
    """Nothing but the words and signs of our own SQL."""
    bare = "".join(sign if sign.isalnum() or sign == "_" else " " for sign in text)
    return set(bare.split()) <= WORDS and set(text) <= set('abcdefghijklmnopqrstuvwxyzANDORY_ "%:<>=()[]')


@given(NODES)
def test_nothing_of_a_value_is_in_the_text(node: Node) -> None:
    found = condition_of(node)
    text = found.text.as_string(None)
    assert is_ours(text)
    assert text.count("%s") == len(found.parameters)
    assert text.count("(") == text.count(")")
