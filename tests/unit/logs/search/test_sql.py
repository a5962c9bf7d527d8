"""The SQL of each part of a question, word for word; values are its parameters and never its text."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import given
from psycopg import sql

from logs.search.sql import Condition, condition_of, necessary_of, select_page, select_page_by_index
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
    TextField,
    TextIs,
    TextStarts,
    TimestampBefore,
    TimestampFrom,
)
from logs.search.words import Phrase
from logs.storage.ids import floor_id
from tests.search_strategies import trees

MOMENT = datetime.datetime(2026, 1, 31, 12, 0, 0, tzinfo=datetime.UTC)
FLOOR = UUID("019c13ec-9e00-0000-0000-000000000000")
ID = UUID("019c1435-d600-7abc-8000-000000000001")
TENANT = UUID("00000000-0000-4000-8000-0000000abcde")
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
    (TextStarts("user_id", "al"), 'starts_with("user_id", %s::text)', ("al",)),
    (FieldChanged("status"), "changed_fields @> ARRAY[%s]::text[]", ("status",)),
    (HasPhrase(Phrase(("paid",))), "words @@ %s::tsquery", ("'0abcdepaid'",)),
    (HasPhrase(Phrase(("it's\\",), is_prefix=True)), "words @@ %s::tsquery", ("'0abcdeit''s\\\\':*",)),
    (
        HasPhrase(Phrase(("wrong", "password"))),
        "(words @@ %s::tsquery AND strpos(auditlog.spaced_words(auditlog.entry_text(user_id, resource_type, resource_id, message, metadata), %s), %s) > 0)",
        ("('0abcdewrong' & '0abcdepassword')", False, " wrong password "),
    ),
    (
        All((HasPhrase(Phrase(("a",))), Not(HasPhrase(Phrase(("b",)))), OutcomeIs((2,)))),
        '("outcome" = %s::smallint AND words @@ %s::tsquery)',
        (2, "('0abcdea' & !'0abcdeb')"),
    ),
    (AnyOf((HasPhrase(Phrase(("a",))), HasPhrase(Phrase(("b",), is_prefix=True)))), "words @@ %s::tsquery", ("('0abcdea' | '0abcdeb':*)",)),
    (Not(All((HasPhrase(Phrase(("a",))), HasPhrase(Phrase(("b",)))))), "words @@ %s::tsquery", ("!('0abcdea' & '0abcdeb')",)),
    (MetadataIs(("a", "b"), "x"), "(metadata @> %s::jsonb OR metadata @> %s::jsonb)", ('{"a":{"b":"x"}}', '{"a":{"b":["x"]}}')),
    (
        MetadataIs(("n",), "1.50"),
        "(metadata @> %s::jsonb OR metadata @> %s::jsonb OR metadata @> %s::jsonb OR metadata @> %s::jsonb)",
        ('{"n":"1.50"}', '{"n":["1.50"]}', '{"n":1.50}', '{"n":[1.50]}'),
    ),
    (
        MetadataStarts(("a",), "x"),
        "(jsonb_typeof((metadata -> %s::text)) = 'string' AND starts_with((metadata -> %s::text) #>> '{}', %s::text))",
        ("a", "a", "x"),
    ),
    (MetadataExists(("a", "b")), "(metadata -> %s::text -> %s::text) IS NOT NULL", ("a", "b")),
    (
        MetadataCompared(("a",), Comparison.AT_LEAST, Decimal("1.5")),
        "CASE WHEN jsonb_typeof((metadata -> %s::text)) = 'number' THEN ((metadata -> %s::text))::numeric >= %s::numeric ELSE false END",
        ("a", "a", Decimal("1.5")),
    ),
    (Not(TextIs("user_id", ("alice",))), '("user_id" = %s::text) IS NOT TRUE', ("alice",)),
    (AnyOf((OutcomeIs((2,)), SeverityIs((4,)))), '("outcome" = %s::smallint OR "severity" = %s::smallint)', (2, 4)),
    (AnyOf(()), "false", ()),
]
# What the index of words is asked for it.
LEXEMES: list[tuple[Node, str | None]] = [
    (All((TextIs("action", ("LOGIN",)), SeverityIs((3, 4)), OutcomeIs((2,)))), "('0abcde=LOGIN' & ('0abcde=3' | '0abcde=4') & '0abcde=failure')"),
    (TextIs("user_id", ("Ben@Example.com",)), "'0abcdeben@example.com'"),
    (TextIs("user_id", ("a", "/")), None),
    (TextStarts("source", "key:a b"), "'0abcde=@key:a_b':*"),
    (FieldChanged("a b"), "'0abcde~a_b'"),
    (MetadataIs(("a b",), "x.y"), "(('0abcdea' & '0abcdeb' & '0abcdex.y') | '0abcde=long')"),
    (MetadataIs(("n",), "1.50"), "(('0abcden' & ('0abcde1.50' | '0abcde1.5')) | '0abcde=long')"),
    (MetadataExists(("n", "m")), "(('0abcden' & '0abcdem') | '0abcde=long')"),
    (MetadataExists(("/",)), None),
    (AnyOf((TextIs("action", ("A",)), TextIs("request_id", ("r",)))), None),
    (AnyOf((TextIs("action", ("A",)), TextIs("action", ("B",)))), "('0abcde=A' | '0abcde=B')"),
    (Not(TextIs("action", ("A",))), None),
    (SeverityIs((1, 4)), None),
    (All(), None),
]


@pytest.mark.parametrize(("node", "text", "parameters"), GOLDEN, ids=[text for _, text, _ in GOLDEN])
def test_a_node_has_one_sql(node: Node, text: str, parameters: tuple[Any, ...]) -> None:
    found = condition_of(node, TENANT)
    assert found.text.as_string(None) == text
    assert found.parameters == parameters


@pytest.mark.parametrize(("node", "lexemes"), LEXEMES, ids=repr)
def test_the_index_of_words_is_asked_what_an_answer_has(node: Node, lexemes: str | None) -> None:
    found = necessary_of(node, TENANT)
    assert (found.parameters[0] if found else None) == lexemes


def test_a_window_is_read_by_index_behind_a_fence() -> None:
    midnight, next_midnight = floor_id(MOMENT.replace(hour=0)), floor_id(MOMENT.replace(hour=0) + datetime.timedelta(days=1))
    found = select_page_by_index(COLUMNS, TextIs("action", ("A",)), TENANT, low=FLOOR, high=ID, limit=51, is_ascending=False)
    assert found.text.as_string(None) == (
        'SELECT id::text, user_id FROM (SELECT * FROM auditlog.logs_entry_view WHERE ("action" = %s::text AND words @@ %s::tsquery AND '
        "id >= %s::uuid AND id < %s::uuid AND id >= (SELECT %s::uuid) AND id < (SELECT %s::uuid)) OFFSET 0) AS e ORDER BY e.id DESC LIMIT 51"
    )
    assert found.parameters == ("A", "'0abcde=A'", midnight, next_midnight, FLOOR, ID)
    found = select_page_by_index(COLUMNS, OutcomeIs((2,)), TENANT, low=midnight, high=next_midnight, limit=51, is_ascending=True)
    assert found.parameters == (2, "'0abcde=failure'", midnight, next_midnight)
    # Of several days nothing is hidden: whole partitions are what statistics are good at.
    found = select_page_by_index(COLUMNS, OutcomeIs((2,)), TENANT, low=FLOOR, high=UUID(int=next_midnight.int + 1), limit=51, is_ascending=True)
    assert found.parameters == (2, "'0abcde=failure'", FLOOR, UUID(int=next_midnight.int + 1))


@pytest.mark.parametrize("field", get_args(TextField))
def test_every_text_field_is_compared_by_its_own_column(field: TextField) -> None:
    assert condition_of(TextIs(field, ("x",)), TENANT).text.as_string(None) == f'"{field}" = %s::text'


def page(node: Node, **place: UUID | None) -> Condition:
    return select_page(COLUMNS, node, TENANT, after=place.get("after"), before=place.get("before"), limit=51)


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


WORDS = {
    "id", "AND", "OR", "NOT", "IS", "TRUE", "NULL", "CASE", "WHEN", "THEN", "ELSE", "END", "true", "false", "ip_address", "severity", "outcome",
    "text", "smallint", "inet", "uuid", "jsonb", "numeric", "tsquery", "ANY", "ARRAY", "s", "metadata", "jsonb_typeof", "starts_with", "string", "number",
    "changed_fields", "words", "strpos", "auditlog", "spaced_words", "entry_text", "message", "0", *get_args(TextField),
}  # fmt: skip


def is_ours(text: str) -> bool:
    """Nothing but the words and signs of our own SQL."""
    bare = "".join(sign if sign.isalnum() or sign == "_" else " " for sign in text)
    return set(bare.split()) <= WORDS and set(text) <= {*"abcdefghijklmnopqrstuvwxyz", *"ACDEHILNORSTUWY", *"0_ \"%:<>=()[]@-#{}'.,"}


@given(trees)
def test_nothing_of_a_value_is_in_the_text(node: Node) -> None:
    found = condition_of(node, TENANT)
    text = found.text.as_string(None)
    assert is_ours(text)
    assert text.count("%s") == len(found.parameters)
    assert text.count("(") == text.count(")")
