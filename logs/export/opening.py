"""Opening what is encrypted in the rows of an export, for whoever may decrypt: page by page, and only rows that have something."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import msgspec
import psycopg
from django.db import Error as DatabaseError
from django.db import connection

from logs.export.snapshot import Rows
from logs.privacy.encryption.opening import Fields, is_sealed, opened, read_keys
from logs.privacy.encryption.pseudonyms import PSEUDONYM, users_behind
from logs.privacy.encryption.tokens import VALUE_MARK
from logs.storage.reading import tenant_transaction
from logs.storage.table import TABLE_COLUMN_NAMES

Opener: TypeAlias = Callable[[uuid.UUID, Rows], Rows]
_FIELDS = ("id", "message", "user_agent", "metadata", "before", "after")
_JSON = frozenset({"metadata", "before", "after"})
_AT = [TABLE_COLUMN_NAMES.index(name) for name in _FIELDS]
# What may have to be opened in a line.
_MARKS = (VALUE_MARK, '"[encrypted:', '"user_id":"p_')
_decode_line = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


def open_columns(tenant_id: uuid.UUID, rows: Rows) -> Rows:
    """Rows of `storage.table`, opened."""
    sealed = {number: fields for number, row in enumerate(rows) if is_sealed(fields := Fields(*(row[index] for index in _AT)))}
    if not sealed:
        return rows
    found: list[Sequence[Any]] = list(rows)
    with transaction_of_now(tenant_id) as database:
        keys = read_keys(database, tenant_id, list(sealed.values()))
    for number, fields in sealed.items():
        row = list(rows[number])
        for index, value in zip(_AT, opened(fields, str(tenant_id), keys), strict=True):
            row[index] = value
        found[number] = row
    return found


def open_lines(tenant_id: uuid.UUID, rows: Rows) -> Rows:
    """Rows whose first column is an entry's JSON text, opened, with the users behind pseudonyms. What else there is of an entry stays letter
    by letter, in its order."""
    lines = {number: _decode_line(row[0]) for number, row in enumerate(rows) if any(mark in row[0] for mark in _MARKS)}
    if not lines:
        return rows
    found: list[Sequence[Any]] = list(rows)
    stored = {number: Fields(*(_text_of(name, line.get(name)) for name in _FIELDS)) for number, line in lines.items()}
    with transaction_of_now(tenant_id) as database:
        keys = read_keys(database, tenant_id, list(stored.values()))
        users = users_behind(database, tenant_id, {_decode_text(line["user_id"]) for line in lines.values()})
    for number, line in lines.items():
        for name, value in zip(_FIELDS, opened(stored[number], str(tenant_id), keys), strict=True):
            if value is not None:
                line[name] = msgspec.Raw(value.encode() if name in _JSON else _encode(value))
        subject = users.get(_decode_text(line["user_id"]))
        if subject is not None:
            line["subject"] = msgspec.Raw(_encode(subject))
        found[number] = [_encode(line).decode(), *rows[number][1:]]
    return found


def users_of_log(tenant_id: uuid.UUID, user_ids: Collection[str]) -> Mapping[str, str]:
    """Who is behind those that are pseudonyms, whoever asks: for what must not be told. Raises psycopg.Error."""
    if not any(PSEUDONYM.fullmatch(user_id) for user_id in user_ids):
        return {}
    with transaction_of_now(tenant_id) as database:
        return users_behind(database, tenant_id, user_ids)


def _text_of(name: str, raw: msgspec.Raw | None) -> Any:
    if raw is None:
        return None
    return bytes(raw).decode() if name in _JSON else _decode_text(raw)


@contextmanager
def transaction_of_now(tenant_id: uuid.UUID) -> Iterator[Any]:
    """A transaction of this moment, not the snapshot's: what was erased since it began is not opened any more. Raises psycopg.Error."""
    is_anothers = connection.in_atomic_block
    try:
        with tenant_transaction(tenant_id) as database:
            yield database
    except DatabaseError as error:
        # Whoever carries an export on knows the driver's errors.
        raise (error.__cause__ if isinstance(error.__cause__, psycopg.Error) else psycopg.OperationalError(str(error))) from error
    finally:
        if not is_anothers:
            # Back to the pool: the next page may be another thread's.
            connection.close()
