"""Rows to the bytes of a file, format by format. Pure: no clock, no network, no database.

A writer is told to `begin`, given pages of rows, and told to `end`; whatever each answers is the next piece of the file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from logs.catalogue import TenantCatalogue
from logs.export.asking import ExportQuestion
from logs.export.manifest import Manifest
from logs.export.selecting import select_columns, select_lines
from logs.export.snapshot import Rows
from logs.search.sql import Condition
from logs.storage.parquet import COLUMN_NAMES, ENTRY_SCHEMA, MAX_GROUP_BYTES, MAX_GROUP_ROWS, WRITER_OPTIONS, batch_of

# What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection"), and the apostrophe that says that it is none.
# Its own kind is marked as well, so that whoever removes one apostrophe from each cell that begins with one has the value back.
RISKY_STARTS = frozenset("=+-@\t\r\n＝＋－＠'")
_encode = msgspec.json.Encoder().encode


class Writer(Protocol):
    """One file in the making."""

    def begin(self) -> bytes: ...
    def add(self, rows: Rows) -> bytes: ...
    def end(self, manifest: Manifest | None) -> bytes:
        """The end of the file. `manifest` is that of all before it, where the file is to hold it."""


class LinesWriter:
    """NDJSON: an entry a line, as search gives it; at the end, if asked for, a line with the manifest alone."""

    def __init__(self, catalogue: TenantCatalogue) -> None:
        self._catalogue = catalogue

    def begin(self) -> bytes:
        return b""

    def add(self, rows: Rows) -> bytes:
        return ("\n".join(_titled(rows, self._catalogue)) + "\n").encode()

    def end(self, manifest: Manifest | None) -> bytes:
        return b"" if manifest is None else _encode({"manifest": manifest}) + b"\n"


class DocumentWriter:
    """One JSON document: `{"entries": [...], "manifest": {...}}`."""

    def __init__(self, catalogue: TenantCatalogue) -> None:
        self._catalogue = catalogue
        self._between = ""

    def begin(self) -> bytes:
        return b'{"entries":[\n'

    def add(self, rows: Rows) -> bytes:
        text = self._between + ",\n".join(_titled(rows, self._catalogue))
        self._between = ",\n"
        return text.encode()

    def end(self, manifest: Manifest | None) -> bytes:
        return b'\n],"manifest":' + _encode(manifest) + b"}\n"


class CSVWriter:
    """RFC 4180: header, CRLF, UTF-8. Every cell is text that no spreadsheet takes for a formula."""

    def begin(self) -> bytes:
        return (",".join(COLUMN_NAMES) + "\r\n").encode()

    def add(self, rows: Rows) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\r\n").writerows([[_cell(value) for value in row] for row in rows])
        return text.getvalue().encode()

    def end(self, manifest: Manifest | None) -> bytes:
        return b""


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

    def end(self, manifest: Manifest | None) -> bytes:
        self._close_group()
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


@dataclass(frozen=True)
class Format:
    """How one format is selected, weighed, written and named. `describes_itself`: its file holds a manifest in any case."""

    select: Callable[[ExportQuestion, TenantCatalogue], Condition]
    weigh: Callable[[Sequence[Any]], int]
    writer: Callable[[TenantCatalogue], Writer]
    content_type: str
    describes_itself: bool = False


def _weigh_line(row: Sequence[Any]) -> int:
    return len(row[0])


def _weigh_columns(row: Sequence[Any]) -> int:
    return sum([len(value) for value in row if value.__class__ is str])


def _columns(question: ExportQuestion, catalogue: TenantCatalogue) -> Condition:
    return select_columns(question)


FORMATS: dict[str, Format] = {
    "json": Format(select_lines, _weigh_line, DocumentWriter, "application/json"),
    "ndjson": Format(select_lines, _weigh_line, LinesWriter, "application/x-ndjson"),
    "csv": Format(_columns, _weigh_columns, lambda _: CSVWriter(), "text/csv; charset=utf-8; header=present"),
    "parquet": Format(_columns, _weigh_columns, lambda _: ParquetWriter(), "application/vnd.apache.parquet", describes_itself=True),
}


def _titled(rows: Rows, catalogue: TenantCatalogue) -> list[str]:
    """The lines of rows, with their titles where the rows bring what these are made of."""
    if not rows or len(rows[0]) == 1:
        return [row[0] for row in rows]
    return [_with_title(line, catalogue.title_of(*parts)) for line, *parts in rows]


def _with_title(line: str, title: str | None) -> str:
    return line if title is None else f'{line[:-1]},"title":{_encode(title).decode()}}}'


def _cell(value: Any) -> Any:
    if value.__class__ is str:
        return "'" + value if value and value[0] in RISKY_STARTS else value
    return _encode(value).decode() if value.__class__ is list else value
