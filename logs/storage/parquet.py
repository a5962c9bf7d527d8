"""Entries as Parquet: the one schema that exports and the archive write, and the way from rows to a record batch and back.

A row is a tuple in the order of ENTRY_SCHEMA, which is that of `storage.table`, with the values that its columns have in SQL: text as the
writer sends it, `changed_fields` and `masked` as lists, `position` as a number. Lossless: JSON stays the text that PostgreSQL prints for jsonb.

Importing this costs a process 50 MiB (pyarrow), so whoever needs it now and then imports it then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_MOMENT = pa.timestamp("us", tz="UTC")
ENTRY_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("timestamp", _MOMENT, nullable=False),
        pa.field("received_at", _MOMENT, nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("resource_type", pa.string(), nullable=False),
        pa.field("resource_id", pa.string()),
        pa.field("severity", pa.string(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("session_id", pa.string()),
        pa.field("request_id", pa.string()),
        pa.field("ip_address", pa.string()),
        pa.field("user_agent", pa.string()),
        pa.field("message", pa.string()),
        pa.field("idempotency_key", pa.string()),
        pa.field("is_imported", pa.bool_(), nullable=False),
        pa.field("changed_fields", pa.list_(pa.field("element", pa.string(), nullable=False))),
        pa.field("masked", pa.list_(pa.field("element", pa.string(), nullable=False))),
        pa.field("metadata", pa.string()),
        pa.field("before", pa.string()),
        pa.field("after", pa.string()),
        # NULL while the entry is not sequenced.
        pa.field("position", pa.int64()),
    ]
)
# What the writers of Parquet files are given, so that exports and the archive come out alike.
WRITER_OPTIONS: dict[str, Any] = {"compression": "zstd", "compression_level": 3, "version": "2.6", "write_statistics": True}
# A row group is closed at whichever comes first.
MAX_GROUP_ROWS = 65_536
MAX_GROUP_BYTES = 16 * 2**20
_MOMENT_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def batch_of(rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    """Rows as a record batch of ENTRY_SCHEMA. Raises pyarrow.ArrowInvalid for values that do not fit."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(ENTRY_SCHEMA)
    return pa.RecordBatch.from_arrays([_array(values, field.type) for values, field in zip(columns, ENTRY_SCHEMA, strict=True)], schema=ENTRY_SCHEMA)


def rows_of(batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
    """The rows of a record batch (or table) of ENTRY_SCHEMA, in the form in which `batch_of` takes them."""
    columns = [_values(column, field.type) for column, field in zip(batch.columns, ENTRY_SCHEMA, strict=True)]
    return list(zip(*columns, strict=True))


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if kind == _MOMENT or kind == pa.bool_():
        return pa.array(values, pa.string()).cast(kind)
    return pa.array(values, kind)


def _values(column: Any, kind: pa.DataType) -> list[Any]:
    if kind == _MOMENT:
        # %S prints the fraction, six digits for microseconds.
        return list(pc.strftime(column, _MOMENT_FORMAT).to_pylist())
    if kind == pa.bool_():
        return list(column.cast(pa.string()).to_pylist())
    return list(column.to_pylist())
