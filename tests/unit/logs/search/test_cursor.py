"""Cursors: what goes in comes out, for the same question only, and nothing else is taken for one."""

from __future__ import annotations

import base64
import contextlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs.errors import InvalidQuery
from logs.search.cursor import Cursor, Direction, decode

CURSORS = st.builds(Cursor, st.sampled_from(Direction), st.uuids())
ONE = Cursor(Direction.OLDER, uuid.UUID("019c1435-d600-7abc-8000-000000000001"))


def refusal(text: str, question: bytes) -> str:
    with pytest.raises(InvalidQuery) as refused:
        decode(text, question)
    [fault] = refused.value.faults
    assert fault.pointer == "cursor"
    return fault.code


@given(CURSORS, st.binary())
def test_a_cursor_comes_back_as_it_was(cursor: Cursor, question: bytes) -> None:
    assert decode(cursor.encode(question), question) == cursor


@given(CURSORS, st.binary())
def test_a_cursor_needs_no_escaping_in_an_address(cursor: Cursor, question: bytes) -> None:
    assert set(cursor.encode(question)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(CURSORS, st.binary(), st.binary())
def test_a_cursor_of_another_question_is_refused(cursor: Cursor, question: bytes, other: bytes) -> None:
    if question != other:
        assert refusal(cursor.encode(question), other) == "cursor_of_other_query"


def test_any_changed_bit_is_refused() -> None:
    whole = base64.urlsafe_b64decode(ONE.encode(b"question") + "==")
    assert len(whole) == 49
    for place in range(len(whole) * 8):
        changed = bytearray(whole)
        changed[place // 8] ^= 1 << place % 8
        assert refusal(base64.urlsafe_b64encode(changed).rstrip(b"=").decode(), b"question") == "bad_cursor"


def test_a_changed_character_never_makes_another_cursor() -> None:
    text = ONE.encode(b"question")
    # Base64 can spell the same bytes in several ways: the last character has bits to spare, and - may be +.
    for place in range(len(text) - 1):
        for other in "AQgw_-9 é+/=":
            changed = text[:place] + other + text[place + 1 :]
            is_same = other == text[place] or {text[place], other} in ({"-", "+"}, {"_", "/"})
            with contextlib.nullcontext() if is_same else pytest.raises(InvalidQuery, match="damaged"):
                assert decode(changed, b"question") == ONE


@pytest.mark.parametrize("text", ["", "A", "AAAA", "=", "====", "\x00", "Ω", "🔑", ONE.encode(b"q")[:-1], ONE.encode(b"q") + "AAAA", ONE.encode(b"q") * 2])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    assert refusal(text, b"q") == "bad_cursor"


@given(st.text())
def test_no_text_does_more_than_be_refused(text: str) -> None:
    assert refusal(text, b"q") == "bad_cursor"
