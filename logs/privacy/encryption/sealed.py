"""Secrets of ours in the database (addresses that are credentials, signing secrets), sealed by the master key.

A sealed value is bytes: the id of the master key (16 characters), then what it wrapped. It opens in the row and table it was made for and nowhere else.
Tables with sealed values are named in SEALED_TABLES, so that a rotation of the master key reaches them; each has the columns `seal_key`
(uuid, the row's own for ever) and `sealed` (bytea).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

import msgspec
from psycopg import sql

from logs.privacy.encryption.master_keys import KeyLost, MasterKeys, master_keys

_Value = TypeVar("_Value", bound=msgspec.Struct)
ID_CHARACTERS = 16
SEALED_TABLES = ("logs_deliverytarget", "logs_forwarder")
COUNT_BY_KEY = "SELECT convert_from(substring(sealed FROM 1 FOR 16), 'UTF8'), count(*) FROM {} GROUP BY 1 ORDER BY 1"
# Plan: the table's primary key, in order; such tables are small.
SELECT_OLD = "SELECT id, seal_key::text, sealed FROM {} WHERE substring(sealed FROM 1 FOR 16) <> %s AND id > %s ORDER BY id LIMIT %s"
# Only what still is what was read: whoever changed it meanwhile has sealed it with the current key.
UPDATE_ONE = "UPDATE {} SET sealed = %s WHERE id = %s AND sealed = %s"


class SealedRow(Protocol):
    """A row of a table in SEALED_TABLES."""

    seal_key: Any
    sealed: Any

    @property
    def _meta(self) -> Any: ...


def keep_sealed(row: SealedRow, value: msgspec.Struct) -> None:
    """Put a value into the row; it is not saved yet. Raises ImproperlyConfigured without a master key."""
    row.sealed = seal(msgspec.json.encode(value), row._meta.db_table, row.seal_key)


def kept_in(row: SealedRow, kind: type[_Value]) -> _Value:
    """What was put into the row. Raises KeyLost, or ImproperlyConfigured without a master key."""
    return msgspec.json.decode(unseal(row.sealed, row._meta.db_table, row.seal_key), type=kind)


def seal(plain: bytes, table: str, key: uuid.UUID, masters: MasterKeys | None = None) -> bytes:
    """Seal a value for the row of `table` with the `seal_key`. Raises ImproperlyConfigured without a master key."""
    id, wrapped = (masters or master_keys()).wrap(plain, _context(table, str(key)))
    return id.encode() + wrapped


def unseal(sealed: bytes, table: str, key: uuid.UUID, masters: MasterKeys | None = None) -> bytes:
    """What was sealed. Raises KeyLost, or ImproperlyConfigured without a master key."""
    return _unsealed(bytes(sealed), _context(table, str(key)), masters or master_keys())


def sealed_by(database: Any) -> dict[str, int]:
    """How many values each master key seals. `database`: a cursor of a role that may read the tables."""
    found: dict[str, int] = {}
    for table in SEALED_TABLES:
        database.execute(sql.SQL(COUNT_BY_KEY).format(sql.Identifier(table)))
        for id, count in database.fetchall():
            found[id] = found.get(id, 0) + count
    return found


def reseal(database: Any, masters: MasterKeys, batch: int) -> Iterator[tuple[int, int]]:
    """Seal anew with the current master key what older ones sealed. `database`: a cursor in autocommit.

    Gives, after each batch, how many values were sealed anew and how many do not open.
    """
    for table in SEALED_TABLES:
        after = 0
        while True:
            database.execute(sql.SQL(SELECT_OLD).format(sql.Identifier(table)), [masters.current_id.encode(), after, batch])
            rows = database.fetchall()
            if not rows:
                break
            after, done = rows[-1][0], 0
            for id, key, old in rows:
                context = _context(table, key)
                try:
                    plain = _unsealed(bytes(old), context, masters)
                except KeyLost:
                    continue
                current, wrapped = masters.wrap(plain, context)
                database.execute(sql.SQL(UPDATE_ONE).format(sql.Identifier(table)), [current.encode() + wrapped, id, bytes(old)])
                done += 1
            yield done, len(rows) - done


def _unsealed(sealed: bytes, context: bytes, masters: MasterKeys) -> bytes:
    try:
        id = sealed[:ID_CHARACTERS].decode("ascii")
    except UnicodeDecodeError:
        raise KeyLost("the bytes are no sealed value") from None
    return masters.unwrap(id, sealed[ID_CHARACTERS:], context)


def _context(table: str, key: str) -> bytes:
    return f"auditlog.sealed.v1|{table}|{key}".encode()
