"""Rows to the bytes of a file, format by format. Pure: no clock, no network, no database.

A writer is told to `begin`, given pages of rows, told that these were all, and told to `end`; whatever each answers is the next piece of
the file.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from logs.catalogue import TenantCatalogue
from logs.export.asking import ExportQuestion
from logs.export.manifest import Manifest
from logs.export.opening import Opener, open_columns, open_lines
from logs.export.pseudonyms import Pseudonymiser
from logs.export.selecting import Selection, select_columns, select_lines
from logs.export.snapshot import Rows
from logs.privacy.encryption.opening import metadata_of_title
from logs.storage.table import TABLE_COLUMN_NAMES

# What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection"), and the apostrophe that says that it is none.
# Its own kind is marked as well, so that whoever removes one apostrophe from each cell that begins with one has the value back.
# Quotes and blanks before it change nothing. A spreadsheet of a country that separates cells by semicolons (or one that is told to by tabs) cuts
# our cells anew, so what follows such a separator within a value is a beginning, too; so is what follows a line end.
RISKY_STARTS = frozenset("=+-@\t\r\n'\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}")
_SIGNS = "=+\\-@'\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
_HIDDEN_START = re.compile(rf'["\x20\xa0]{{1,16}}[{_SIGNS}]')
_AFTER_SEPARATOR = re.compile(rf'(?<=[;\t\r\n])(?=["\x20\xa0]{{0,16}}[{_SIGNS}])')
_SEPARATORS = re.compile(r"[;\t\r\n]")
_encode = msgspec.json.Encoder().encode


class Writer(Protocol):
    """One file in the making."""

    def begin(self) -> bytes: ...
    def add(self, rows: Rows) -> bytes: ...
    def finish(self) -> bytes:
        """What belongs to the rows and is still to come."""

    def end(self, manifest: Manifest | None) -> bytes:
        """The end of the file. `manifest` is that of all before it, where the file is to hold it."""


class LinesWriter:
    """NDJSON: an entry a line, as search gives it; at the end, if asked for, a line with the manifest alone."""

    def __init__(self, catalogue: TenantCatalogue) -> None:
        self._catalogue = catalogue

    def begin(self) -> bytes:
        return b""

    def add(self, rows: Rows) -> bytes:
        return ("\n".join(titled(rows, self._catalogue)) + "\n").encode()

    def finish(self) -> bytes:
        return b""

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
        text = self._between + ",\n".join(titled(rows, self._catalogue))
        self._between = ",\n"
        return text.encode()

    def finish(self) -> bytes:
        return b"\n]"

    def end(self, manifest: Manifest | None) -> bytes:
        return b',"manifest":' + _encode(manifest) + b"}\n"


class CSVWriter:
    """RFC 4180: header, CRLF, UTF-8. Every cell is text that no spreadsheet takes for a formula."""

    def begin(self) -> bytes:
        return (",".join(TABLE_COLUMN_NAMES) + "\r\n").encode()

    def add(self, rows: Rows) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\r\n").writerows([[_cell(value) for value in row] for row in rows])
        return text.getvalue().encode()

    def finish(self) -> bytes:
        return b""

    def end(self, manifest: Manifest | None) -> bytes:
        return b""


@dataclass(frozen=True)
class Format:
    """How one format is selected, opened, pseudonymised, weighed, written and named. `describes_itself`: its file holds a manifest in any case."""

    select: Callable[[ExportQuestion, TenantCatalogue], Selection]
    open: Opener
    pseudonymise: Callable[[Pseudonymiser, Rows], Rows]
    weigh: Callable[[Sequence[Any]], int]
    writer: Callable[[TenantCatalogue], Writer]
    content_type: str
    describes_itself: bool = False


def _weigh_line(row: Sequence[Any]) -> int:
    return len(row[0])


def _weigh_columns(row: Sequence[Any]) -> int:
    return sum([len(value) for value in row if value.__class__ is str])


def _parquet_writer(catalogue: TenantCatalogue) -> Writer:
    # 50 MiB of pyarrow, for processes that are asked for Parquet.
    from logs.export.parquet_file import ParquetWriter

    return ParquetWriter()


def _columns(question: ExportQuestion, catalogue: TenantCatalogue) -> Selection:
    return select_columns(question)


FORMATS: dict[str, Format] = {
    "json": Format(select_lines, open_lines, Pseudonymiser.lines, _weigh_line, DocumentWriter, "application/json"),
    "ndjson": Format(select_lines, open_lines, Pseudonymiser.lines, _weigh_line, LinesWriter, "application/x-ndjson"),
    "csv": Format(_columns, open_columns, Pseudonymiser.columns, _weigh_columns, lambda _: CSVWriter(), "text/csv; charset=utf-8; header=present"),
    "parquet": Format(_columns, open_columns, Pseudonymiser.columns, _weigh_columns, _parquet_writer, "application/vnd.apache.parquet", describes_itself=True),
}


def titled(rows: Rows, catalogue: TenantCatalogue) -> list[str]:
    """The lines of rows, with their titles where the rows bring what these are made of."""
    if not rows or len(rows[0]) == 1:
        return [row[0] for row in rows]
    return [_with_title(line, catalogue.title_of(user_id, action, kind, id, metadata_of_title(metadata))) for line, user_id, action, kind, id, metadata in rows]


def _with_title(line: str, title: str | None) -> str:
    return line if title is None else f'{line[:-1]},"title":{_encode(title).decode()}}}'


def _cell(value: Any) -> Any:
    if value.__class__ is list:
        value = _encode(value).decode()
    if value.__class__ is not str or not value:
        return value
    if _SEPARATORS.search(value):
        value = _AFTER_SEPARATOR.sub("'", value)
    return "'" + value if value[0] in RISKY_STARTS or _HIDDEN_START.match(value) else value
