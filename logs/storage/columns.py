"""The columns of `auditlog.logs_entry` in the order in which the writer sends them, with their SQL types."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence
from typing import Any, TypeAlias

from psycopg import sql

from auditlog_verify.canonical import canonical_json

# An entry's values in the order of ENTRY_COLUMNS, in the form in which the writer sends them.
Columns: TypeAlias = tuple[str | None, ...]

# What a checked entry brings. The writer appends BATCH_COLUMNS.
ENTRY_COLUMNS: dict[str, str] = {
    "id": "uuid",
    "tenant_id": "uuid",
    "timestamp": "timestamptz",
    "received_at": "timestamptz",
    "severity": "smallint",
    "outcome": "smallint",
    "is_imported": "boolean",
    "ip_address": "inet",
    "user_id": "text",
    "action": "text",
    "resource_type": "text",
    "resource_id": "text",
    "session_id": "text",
    "request_id": "text",
    "user_agent": "text",
    "source": "text",
    "message": "text",
    "idempotency_key": "text",
    "changed_fields": "text[]",
    "masked": "text[]",
    "metadata": "jsonb",
    "before": "jsonb",
    "after": "jsonb",
}
# Where an entry stands in its batch.
BATCH_COLUMNS: dict[str, str] = {"batch_id": "bigint", "batch_index": "integer"}
_ALL = ENTRY_COLUMNS | BATCH_COLUMNS
_NAMES = ", ".join(f'"{name}"' for name in _ALL)

COPY_ENTRIES = f"COPY auditlog.logs_entry ({_NAMES}) FROM STDIN"

# One array for each column. Every array is sent as text[]; a text[] column's own arrays come as array literals.
INSERT_KEYED_ENTRIES = (
    f"INSERT INTO auditlog.logs_entry ({_NAMES}) "
    "SELECT " + ", ".join(f'"{name}"::{kind}' for name, kind in _ALL.items()) + " "
    "FROM unnest(" + ", ".join("%s::text[]" for _ in _ALL) + f") AS t ({_NAMES}) "
    "ON CONFLICT DO NOTHING"
)
INSERT_BATCHES = (
    "INSERT INTO auditlog.logs_batch (id, tenant_id, entry_count, records, lowest_id, highest_id, kinds, users) "
    "SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::integer[], %s::bytea[], %s::uuid[], %s::uuid[], %s::text[], %s::text[])"
)
NEXT_BATCH_IDS = "SELECT nextval('auditlog.logs_batch_id_seq') FROM generate_series(1, %s)"


_ARRAYS = ("changed_fields", "masked")


def as_text(name: str) -> str:
    """The SQL that reads a column in the form in which the writer sends it; those of _ARRAYS come as arrays."""
    match name:
        case "timestamp" | "received_at":
            return f"""to_char("{name}" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
        case "ip_address":
            # With its mask, should somebody have given it one.
            return "abbrev(ip_address)"
        case "changed_fields" | "masked":
            return name
        case _:
            return f'"{name}"::text'


ENTRY_AS_TEXT = ", ".join(as_text(name) for name in ENTRY_COLUMNS)
# The same with the entry's place, as numbers.
STORED_WITH_BATCH = [*(sql.SQL(as_text(name)) for name in ENTRY_COLUMNS), *(sql.SQL(name) for name in BATCH_COLUMNS)]
SELECT_STORED_WITH_BATCH = sql.SQL("SELECT {} FROM auditlog.logs_entry_view WHERE id = ANY(%s::uuid[])").format(sql.SQL(", ").join(STORED_WITH_BATCH))
# What is stored under some ids, in the form in which it was sent. Plan: the key of each id's partition.
SELECT_STORED = sql.SQL("SELECT {} FROM auditlog.logs_entry_view WHERE id = ANY(%s::uuid[])").format(sql.SQL(ENTRY_AS_TEXT))

INDEX = {name: index for index, name in enumerate(ENTRY_COLUMNS)}


def stored_columns(row: Sequence[Any]) -> Columns:
    """A row of ENTRY_AS_TEXT in the form of `CheckedEntry.columns`: the two are equal for the same entry.

    Raises auditlog_verify.canonical.CanonicalError for JSON that ingest would not have let in.
    """
    values = list(row)
    for name in ("metadata", "before", "after"):
        text = values[INDEX[name]]
        values[INDEX[name]] = None if text is None else canonical_json(text.encode()).decode()
    address = values[INDEX["ip_address"]]
    values[INDEX["ip_address"]] = None if address is None else normal_address(address) or address
    for name in _ARRAYS:
        texts = values[INDEX[name]]
        values[INDEX[name]] = None if texts is None else array_literal(texts)
    values[INDEX["is_imported"]] = "t" if values[INDEX["is_imported"]] == "true" else "f"
    return tuple(values)


@functools.lru_cache(maxsize=65_536)
def normal_address(text: str) -> str | None:
    """The address as RFC 5952 writes it, or None if it is none. IPv4-mapped IPv6 becomes the IPv4 that it means."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return None
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
    return str(address)


def array_literal(texts: list[str]) -> str:
    """PostgreSQL's literal of a text array."""
    return "{" + ",".join('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts) + "}"
