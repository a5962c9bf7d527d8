"""Which bytes a Range header asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from logs.errors import RangeNotSatisfiable
from logs.export.ranges import range_in


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-0", (0, 1)),
        ("bytes=0-99", (0, 100)),
        ("bytes=10-", (10, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=99-1000000", (99, 100)),
        # Not understood, so ignored.
        ("bytes=5-4", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=" + "9" * 30 + "-", None),
        ("bytes=\N{ARABIC-INDIC DIGIT ONE}-", None),
    ],
)
def test_header_means_these_bytes(header: str | None, expected: tuple[int, int] | None) -> None:
    assert range_in(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_range_behind_the_end_is_refused(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as refused:
        range_in(header, 100)
    assert refused.value.headers["Content-Range"] == "bytes */100"


@given(some.text(max_size=20) | some.from_regex(r"bytes=\d{0,20}-\d{0,20}", fullmatch=True), some.integers(0, 2**40))
def test_any_header_stays_within_the_file(header: str, size: int) -> None:
    try:
        found = range_in(header, size)
    except RangeNotSatisfiable:
        return
    assert found is None or 0 <= found[0] < found[1] <= size
