"""Opening what is encrypted in the rows of an export, for whoever may decrypt: page by page, and only rows that have something."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec
import psycopg
from django.db import Error as DatabaseError
from django.db import connection

from logs.export.snapshot import Rows
from logs.privacy.encryption.opening import Fields, is_sealed, opened, read_keys
from logs.privacy.encryption.tokens import VALUE_MARK
from logs.storage.reading import tenant_transaction
from logs.storage.table import TABLE_COLUMN_NAMES

Opener: TypeAlias = Callable[[uuid.UUID, Rows], Rows]
_FIELDS = ("id", "message", "user_agent", "metadata", "before", "after")
_JSON = frozenset({"metadata", "before", "after"})
_AT = [TABLE_COLUMN_NAMES.index(name) for name in _FIELDS]
_decode_line = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


def open_columns(tenant_id: uuid.UUID, rows: Rows) -> Rows:
    """Rows of `storage.table`, opened."""
    found: list[Sequence[Any]] = list(rows)
    sealed = {number: fields for number, row in enumerate(rows) if is_sealed(fields := Fields(*(row[index] for index in _AT)))}
    for number, fields in _opened(tenant_id, sealed).items():
        row = list(rows[number])
        for index, value in zip(_AT, fields, strict=True):
            row[index] = value
        found[number] = row
    return found


def open_lines(tenant_id: uuid.UUID, rows: Rows) -> Rows:
    """Rows whose first column is an entry's JSON text, opened. What else there is of an entry stays letter by letter, in its order."""
    found: list[Sequence[Any]] = list(rows)
    lines: dict[int, dict[str, msgspec.Raw]] = {}
    sealed: dict[int, Fields] = {}
    for number, row in enumerate(rows):
        if VALUE_MARK in row[0] or '"[encrypted:' in row[0]:
            line = _decode_line(row[0])
            fields = Fields(*(_text_of(name, line.get(name)) for name in _FIELDS))
            if is_sealed(fields):
                lines[number], sealed[number] = line, fields
    for number, fields in _opened(tenant_id, sealed).items():
        line = lines[number]
        for name, value in zip(_FIELDS, fields, strict=True):
            if value is not None:
                line[name] = msgspec.Raw(value.encode() if name in _JSON else _encode(value))
        found[number] = [_encode(line).decode(), *rows[number][1:]]
    return found


def _text_of(name: str, raw: msgspec.Raw | None) -> Any:
    if raw is None:
        return None
    return bytes(raw).decode() if name in _JSON else _decode_text(bytes(raw))


def _opened(tenant_id: uuid.UUID, sealed: dict[int, Fields]) -> dict[int, Fields]:
    """The fields with what is sealed opened, by the keys of this moment, not of the snapshot. Raises psycopg.Error."""
    if not sealed:
        return {}
    is_anothers = connection.in_atomic_block
    try:
        with tenant_transaction(tenant_id) as database:
            keys = read_keys(database, tenant_id, list(sealed.values()))
    except DatabaseError as error:
        # Whoever carries an export on knows the driver's errors.
        raise (error.__cause__ if isinstance(error.__cause__, psycopg.Error) else psycopg.OperationalError(str(error))) from error
    finally:
        if not is_anothers:
            # Back to the pool: the next page may be another thread's.
            connection.close()
    return {number: opened(fields, str(tenant_id), keys) for number, fields in sealed.items()}
