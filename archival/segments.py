"""Segments as files: their schema, where they lie, and writing one.

A segment is Parquet of `logs.storage.parquet.ENTRY_SCHEMA` with the place of each entry in its batch beside it, sorted by id: whatever
reads an exported file reads a segment, and an entry goes back into PostgreSQL as it was. The layout is Hive's, so that DuckDB, Spark, Trino and
Athena find tenants and days without being told.
"""

from __future__ import annotations

import datetime
import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from logs.storage import objects
from logs.storage.parquet import ENTRY_SCHEMA, MAX_GROUP_BYTES, WRITER_OPTIONS, batch_of

PLACE_FIELDS = (pa.field("batch_id", pa.int64(), nullable=False), pa.field("batch_index", pa.int32(), nullable=False))
SEGMENT_SCHEMA = pa.schema([*ENTRY_SCHEMA, *PLACE_FIELDS])
# Small groups, so that few rows are unpacked for one match. Measured: 94 bytes an entry, and 84 with groups of 65,536, of which one takes eight
# times as long (docs/decisions/0033).
GROUP_ROWS = 4_096
# Each page carries a checksum: whoever reads some of them knows that these are what was written.
SEGMENT_OPTIONS: dict[str, Any] = {**WRITER_OPTIONS, "write_page_checksum": True, "sorting_columns": [pq.SortingColumn(0)]}
# The length of the footer, and Parquet's mark.
END_BYTES = 8


@dataclass(frozen=True)
class WrittenSegment:
    """A file that is whole, as the catalogue describes it. Hashes in hexadecimal."""

    path: str
    entry_count: int
    size_bytes: int
    sha256: str
    footer_sha256: str
    min_id: uuid.UUID
    max_id: uuid.UUID
    min_position: int
    max_position: int


def path_of(tenant_id: uuid.UUID, lower_at: datetime.datetime, upper_at: datetime.datetime, name: str) -> str:
    """Where a segment lies: `entries/tenant=<uuid>/year=YYYY/month=MM/day=DD/<name>.parquet`, without the day for longer partitions."""
    day = f"day={lower_at:%d}/" if upper_at - lower_at <= datetime.timedelta(days=1) else ""
    return f"entries/tenant={tenant_id}/year={lower_at:%Y}/month={lower_at:%m}/{day}{name}.parquet"


def batch_of_segment(rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    """Rows of ENTRY_SCHEMA, each with its batch and its place in it behind, as a record batch of SEGMENT_SCHEMA."""
    entries = batch_of([row[: len(ENTRY_SCHEMA)] for row in rows])
    places = [pa.array([row[len(ENTRY_SCHEMA) + number] for row in rows], field.type) for number, field in enumerate(PLACE_FIELDS)]
    return pa.RecordBatch.from_arrays([*entries.columns, *places], schema=SEGMENT_SCHEMA)


def write_segment(store: objects.ObjectStore, path: str, batches: Iterable[pa.RecordBatch], *, group_rows: int = GROUP_ROWS) -> WrittenSegment:
    """Write batches of SEGMENT_SCHEMA, sorted by id, as one file. At least one row. Memory: a row group, and the parts under way.

    Raises objects.StorageError; then there is no file. Raises ValueError for rows that are not in order.
    """
    sink = _HashedSink(objects.open_writer(store, path))
    count = 0
    bounds = _Bounds()
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), SEGMENT_SCHEMA, **SEGMENT_OPTIONS) as writer:
        waiting: list[pa.RecordBatch] = []
        for batch in batches:
            bounds.take(batch)
            count += batch.num_rows
            waiting.append(batch)
            # Entries may be large: whoever reads a group holds it in memory.
            if sum(one.num_rows for one in waiting) >= group_rows or sum(one.nbytes for one in waiting) >= MAX_GROUP_BYTES:
                writer.write_table(pa.Table.from_batches(waiting, SEGMENT_SCHEMA), row_group_size=group_rows)
                waiting = []
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting, SEGMENT_SCHEMA), row_group_size=group_rows)
    sink.finish()
    footer_sha256 = footer_hash(store, path, sink.size_bytes)
    return WrittenSegment(
        path, count, sink.size_bytes, sink.sha256, footer_sha256, bounds.min_id, bounds.max_id, bounds.min_position, bounds.max_position
    )  # fmt: skip


class _Bounds:
    """What the rows of a segment begin and end with."""

    def __init__(self) -> None:
        self._first: str | None = None
        self._last = ""
        self.min_position = self.max_position = -1

    def take(self, batch: pa.RecordBatch) -> None:
        ids, positions = batch.column("id").to_pylist(), batch.column("position").to_pylist()
        if any(one >= other for one, other in zip([self._last, *ids], ids, strict=False)):
            raise ValueError("the rows of a segment have to be sorted by id, each once")
        low, high = min(positions), max(positions)
        self.min_position = low if self._first is None else min(self.min_position, low)
        self.max_position = max(self.max_position, high)
        self._first, self._last = self._first or ids[0], ids[-1]

    @property
    def min_id(self) -> uuid.UUID:
        if self._first is None:
            raise ValueError("a segment has at least one row")
        return uuid.UUID(self._first)

    @property
    def max_id(self) -> uuid.UUID:
        return uuid.UUID(self._last)


class _HashedSink:
    """A file for pyarrow that is an object in the making, hashed on the way."""

    closed = False

    def __init__(self, writer: objects.ObjectWriter) -> None:
        self._writer = writer
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: Any) -> int:
        content = bytes(data)
        self._writer.write(content)
        self._hash.update(content)
        self.size_bytes += len(content)
        return len(content)

    def tell(self) -> int:
        return self.size_bytes

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True

    def finish(self) -> None:
        """Make it an object."""
        self._writer.close()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def footer_hash(store: objects.ObjectStore, path: str, size_bytes: int) -> str:
    """SHA-256, in hexadecimal, of a file's footer: its length and the mark at its end included. Raises objects.StorageError."""
    length = int.from_bytes(objects.read_range(store, path, size_bytes - END_BYTES, size_bytes - 4), "little") + END_BYTES
    return hashlib.sha256(objects.read_range(store, path, size_bytes - length, size_bytes)).hexdigest()
