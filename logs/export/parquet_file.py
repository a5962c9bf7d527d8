"""A Parquet file in the making, whose bytes are given out as they come: no temporary file."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from logs.export.manifest import Manifest
from logs.export.snapshot import Rows
from logs.storage.parquet import ENTRY_SCHEMA, MAX_GROUP_BYTES, MAX_GROUP_ROWS, WRITER_OPTIONS, batch_of

_encode = msgspec.json.Encoder().encode


class ParquetWriter:
    """Parquet of ENTRY_SCHEMA. A row group is held in memory until it is full; the manifest stands in the file's metadata."""

    MANIFEST_KEY: ClassVar[str] = "auditlog.manifest"

    def __init__(self) -> None:
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(pa.PythonFile(self._sink, mode="w"), ENTRY_SCHEMA, **WRITER_OPTIONS)
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = self._waiting_bytes = 0

    def begin(self) -> bytes:
        return self._sink.take()

    def add(self, rows: Rows) -> bytes:
        batch = batch_of(rows)
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        self._waiting_bytes += batch.nbytes
        if self._waiting_rows >= MAX_GROUP_ROWS or self._waiting_bytes >= MAX_GROUP_BYTES:
            self._close_group()
        return self._sink.take()

    def finish(self) -> bytes:
        self._close_group()
        return self._sink.take()

    def end(self, manifest: Manifest | None) -> bytes:
        if manifest is not None:
            self._writer.add_key_value_metadata({self.MANIFEST_KEY: _encode(manifest).decode()})
        self._writer.close()
        return self._sink.take()

    def _close_group(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, ENTRY_SCHEMA), row_group_size=self._waiting_rows)
            self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0


class _Sink:
    """A file for pyarrow, whose bytes are taken out as they come."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
