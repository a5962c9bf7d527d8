"""Canonical JSON: one encoding for one meaning."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlog_verify import CanonicalError, NumberOutOfRange, canonical_json

VECTORS = [
    (b"{}", b"{}"),
    (b' { "b" : 1 , "a" : [ true , null ] } ', b'{"a":[true,null],"b":1}'),
    (b'{"a":1,"a":2}', b'{"a":2}'),
    (b'"\\u0041\\n\\u001f\\/"', b'"A\\n\\u001f/"'),
    (b'"\\u00e9\\ud83d\\ude00"', '"é😀"'.encode()),
    ('{"é":1,"z":2,"😀":3,"\uffff":4}'.encode(), '{"z":2,"é":1,"\uffff":4,"😀":3}'.encode()),
    (b"-0", b"0"),
    (b"-0.0", b"0"),
    (b"0e999999", b"0"),
    (b"1.10", b"1.1"),
    (b"1.0E+22", b"10000000000000000000000"),
    (b"1e22", b"10000000000000000000000"),
    (b"0.000001", b"0.000001"),
    (b"0.0000001", b"1E-7"),
    (b"123456789012345678901234567890.5", b"123456789012345678901234567890.5"),
    (b"1e308", b"1" + b"0" * 308),
]


@pytest.mark.parametrize(("text", "canonical"), VECTORS)
def test_canonical_form_is_as_written_down(text: bytes, canonical: bytes) -> None:
    assert canonical_json(text) == canonical


@pytest.mark.parametrize("text", [b"1e309", b"-1e309", b"1e-309", b"9" * 310, b"-" + b"9" * 310, b"1." + b"1" * 400, b'[{"a":1e400}]', b"1e99999999999"])
def test_number_that_can_not_be_kept_is_refused(text: bytes) -> None:
    with pytest.raises(NumberOutOfRange):
        canonical_json(text)


@pytest.mark.parametrize("text", [b"", b"{", b"[1,]", b"NaN", b"Infinity", b"01", b"'a'", b'"\\ud800"', b'"\xff"', b"[" * 100_000])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(CanonicalError):
        canonical_json(text)


texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers(-(10**300), 10**300) | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=12)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)


def dump(value: Any, *, ascii_only: bool = False, indent: int | None = None) -> bytes:
    """JSON text of a value, with decimals written out."""
    marks: dict[str, str] = {}

    def mark(number: Decimal) -> str:
        marks[f"decimal-{len(marks)}-decimal"] = format(number, "f")
        return f"decimal-{len(marks) - 1}-decimal"

    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent, default=mark)
    for name, written in marks.items():
        text = text.replace(f'"{name}"', written)
    return text.encode()


@given(values)
def test_canonical_form_of_the_canonical_form_is_itself(value: Any) -> None:
    once = canonical_json(dump(value))
    assert canonical_json(once) == once


@given(values)
def test_spelling_does_not_matter(value: Any) -> None:
    assert canonical_json(dump(value)) == canonical_json(dump(value, ascii_only=True, indent=3))


@given(st.dictionaries(texts, values, max_size=5), st.randoms())
def test_order_of_keys_does_not_matter(value: dict[str, Any], random: Any) -> None:
    shuffled = list(value.items())
    random.shuffle(shuffled)
    assert canonical_json(dump(value)) == canonical_json(dump(dict(shuffled)))


@given(st.integers(-(10**20), 10**20), st.integers(-30, 30))
def test_equal_numbers_are_equal_bytes(mantissa: int, exponent: int) -> None:
    written_out = format(Decimal(mantissa).scaleb(exponent), "f").encode()
    assert canonical_json(f"{mantissa}e{exponent}".encode()) == canonical_json(written_out) == canonical_json(f"{mantissa * 1000}E{exponent - 3}".encode())


@given(values, values)
def test_different_values_are_different_bytes(one: Any, other: Any) -> None:
    if canonical_json(dump(one)) == canonical_json(dump(other)):
        assert json.loads(dump(one), parse_float=Decimal, parse_int=Decimal) == json.loads(dump(other), parse_float=Decimal, parse_int=Decimal)
