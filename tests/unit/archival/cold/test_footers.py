"""Footers that are kept: the last ones that were read, as many as fit."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from archival.cold.files import Footers


def footer(rows: int = 1) -> Any:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": ["x"] * rows}), sink, row_group_size=1)
    return pq.read_metadata(io.BytesIO(sink.getvalue()))


def test_the_least_lately_used_goes_first() -> None:
    one = footer()
    kept = Footers(3 * one.serialized_size)
    for name in ("a", "b", "c"):
        kept.keep(name, one)
    assert kept.get("a") is one
    kept.keep("d", one)
    assert [kept.get(name) is not None for name in ("a", "b", "c", "d")] == [True, False, True, True]


def test_one_that_is_larger_than_all_may_be_is_not_kept_and_drives_out_none() -> None:
    small, large = footer(), footer(200)
    kept = Footers(2 * small.serialized_size)
    kept.keep("small", small)
    kept.keep("large", large)
    assert kept.get("large") is None
    assert kept.get("small") is small


def test_the_same_one_counts_once() -> None:
    one = footer()
    kept = Footers(2 * one.serialized_size)
    for _ in range(5):
        kept.keep("a", one)
    kept.keep("b", one)
    assert kept.get("a") is one
    assert kept.get("b") is one
