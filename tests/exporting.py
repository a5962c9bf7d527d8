"""Exports as a caller gets them, and what brute force says that they are to hold."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pyarrow.parquet as pq

from logs.storage.parquet import rows_of
from logs.storage.table import TABLE_COLUMN_NAMES
from tests.api import LOGS, Api

EXPORT = f"{LOGS}/export"
EXPORTS = "/api/v1/exports"
# What has everything in it that a format may stumble over: quotes, separators, line ends, formulas, every kind of JSON number and text.
HOSTILE: list[dict[str, Any]] = [
    {"user_id": '=cmd|"/C calc"!A0', "message": "a,b;c\td\r\ne\nf\"g'h", "resource_id": "+1", "session_id": "-2", "request_id": "@SUM(A1)"},
    {"message": "a;=1+1\n@SUM(A1);\"-2;'=x\t\t+1; \"=\"\";'';", "resource_id": ' "=1', "session_id": "\xa0+1", "user_agent": "a;b\r\n\r\n- c"},
    {"message": "'already marked", "user_agent": "\tTab", "resource_id": "\rReturn", "session_id": "\N{FULLWIDTH EQUALS SIGN}1"},
    {"message": "", "user_agent": '"', "metadata": {}, "before": {"": None}, "after": {"a": [1, 2.5, -0.0, 1e300, True, None, "x\"\\\u2028\U0001f600"]}},
    {"metadata": {"n": 12345678901234567890, "nested": {"deep": [[], {}, [{}]]}, '"quoted"\n': "\u0001\u001f\u007f"}, "ip_address": "2001:db8::1"},
    {"ip_address": "203.0.113.7", "severity": "CRITICAL", "outcome": "failure", "before": {"a": 1, 'k,"\n': 2}, "after": {"a": 2, 'k,"\n': 3}},
    {"idempotency_key": "=key", "timestamp": "2026-01-31T12:00:00.123450Z", "user_id": "alice"},
    {"timestamp": "2025-06-30T23:59:59Z", "user_id": "bob", "action": "REFUND", "metadata": {"amount": 5, "note": 'say "hi"'}},
]  # fmt: skip


def body_of(answer: Any) -> bytes:
    """The whole of a streamed answer."""
    assert answer.status_code == 200, b"".join(answer) if answer.streaming else answer.content
    return b"".join(answer)


def searched(api: Api, **query: Any) -> list[dict[str, Any]]:
    """Every entry that search finds, newest first, page by page."""
    answer = api.get(LOGS, limit=1000, **query).json()
    found: list[dict[str, Any]] = answer["results"]
    while answer["next"]:
        answer = api.get(answer["next"]).json()
        found += answer["results"]
    return found


def lines_of(content: bytes) -> list[dict[str, Any]]:
    assert content == b"" or content.endswith(b"\n")
    return [json.loads(line) for line in content.splitlines()] if b"\r" not in content else [json.loads(line) for line in content.split(b"\n") if line]


def table_row(entry: dict[str, Any]) -> tuple[Any, ...]:
    """An entry of the API as one row of the table formats; JSON as values."""
    flat = entry | {"position": entry.get("integrity", {}).get("position"), "is_imported": entry.get("is_imported", False)}
    return tuple(flat.get(name) for name in TABLE_COLUMN_NAMES)


def read_csv(content: bytes) -> list[tuple[Any, ...]]:
    """The rows of a CSV export with the apostrophes removed, as `table_row` has them; an empty cell reads as None."""
    header, *rows = list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))
    assert tuple(header) == TABLE_COLUMN_NAMES
    for row in rows:
        assert not any(re.search(r"(?:\A|[;\t\r\n])[\"\x20\xa0]{0,16}[=+@\uff1d-]", cell) or cell[:1] in ("\t", "\r", "\n") for cell in row), row
    return [_row_of_texts([re.sub(r"(?:\A|(?<=[;\t\r\n]))'", "", cell) for cell in row]) for row in rows]


def read_parquet(content: bytes) -> list[tuple[Any, ...]]:
    table = pq.read_table(io.BytesIO(content))
    return [_row_of_texts(list(row)) for batch in table.to_batches() for row in rows_of(batch)]


def _row_of_texts(cells: list[Any]) -> tuple[Any, ...]:
    found: list[Any] = []
    for name, cell in zip(TABLE_COLUMN_NAMES, cells, strict=True):
        if cell is None or cell == "":
            found.append(cell or None)
        elif name == "is_imported":
            found.append(cell == "true")
        elif name == "position":
            found.append(int(cell))
        elif name in ("metadata", "before", "after", "changed_fields", "masked"):
            found.append(json.loads(cell) if isinstance(cell, str) else cell)
        else:
            found.append(cell)
    return tuple(found)
