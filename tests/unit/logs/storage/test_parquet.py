"""Rows come out of Parquet as they went in, whatever is in them."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as some

from logs.models import Entry
from logs.storage.parquet import ENTRY_SCHEMA, WRITER_OPTIONS, batch_of, rows_of
from logs.storage.table import TABLE_COLUMN_NAMES, TABLE_COLUMNS

TEXT = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
MAYBE = some.none() | TEXT
MOMENT = some.datetimes().map(lambda moment: moment.isoformat(timespec="microseconds") + "Z").filter(lambda text: text >= "1970")
ROW = some.tuples(
    some.uuids().map(str), MOMENT, MOMENT, TEXT, TEXT, TEXT, MAYBE, some.sampled_from(["INFO", "CRITICAL"]), some.sampled_from(["unknown", "success"]),
    TEXT, MAYBE, MAYBE, some.none() | some.ip_addresses().map(str), MAYBE, MAYBE, MAYBE, some.sampled_from(["true", "false"]),
    some.none() | some.lists(TEXT, max_size=3), some.none() | some.lists(TEXT, max_size=3), MAYBE, MAYBE, MAYBE, some.none() | some.integers(0, 2**63 - 1),
)  # fmt: skip


@given(some.lists(ROW, max_size=5))
def test_rows_survive_the_batch_and_the_file(rows: list[tuple[Any, ...]]) -> None:
    batch = batch_of(rows)
    assert rows_of(batch) == rows
    file = io.BytesIO()
    with pq.ParquetWriter(file, ENTRY_SCHEMA, **WRITER_OPTIONS) as writer:
        writer.write_batch(batch)
    table = pq.read_table(io.BytesIO(file.getvalue()))
    assert table.schema.equals(ENTRY_SCHEMA)
    assert [row for part in table.to_batches() for row in rows_of(part)] == rows


def test_columns_are_those_of_an_entry_and_its_position() -> None:
    of_the_model = {field.name for field in Entry._meta.get_fields()} - {"tenant_id", "batch_id", "batch_index"}
    assert set(TABLE_COLUMN_NAMES) == of_the_model | {"position"}
    assert tuple(ENTRY_SCHEMA.names) == (*TABLE_COLUMNS, "position") == TABLE_COLUMN_NAMES


@pytest.mark.parametrize("wrong", ["yesterday", "2026-13-01T00:00:00.000000Z"])
def test_value_that_does_not_fit_is_refused(wrong: str) -> None:
    row = ["x", wrong, wrong, "u", "A", "t", None, "INFO", "unknown", "s", *[None] * 6, "true", *[None] * 5]
    with pytest.raises(pa.ArrowInvalid):
        batch_of([row])
