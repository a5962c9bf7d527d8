"""The columns of `auditlog.logs_entry` in the order in which the writer sends them, with their SQL types."""

from __future__ import annotations

from psycopg import sql

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
    "metadata": "jsonb",
    "before": "jsonb",
    "after": "jsonb",
}
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
    "INSERT INTO auditlog.logs_batch (id, tenant_id, entry_count, records, lowest_id, highest_id, kinds) "
    "SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::integer[], %s::bytea[], %s::uuid[], %s::uuid[], %s::text[])"
)
NEXT_BATCH_IDS = "SELECT nextval('auditlog.logs_batch_id_seq') FROM generate_series(1, %s)"


def as_text(name: str) -> str:
    """The SQL that reads a column in the form in which the writer sends it; `changed_fields` comes as an array."""
    match name:
        case "timestamp" | "received_at":
            return f"""to_char("{name}" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
        case "ip_address":
            return "host(ip_address)"
        case "changed_fields":
            return "changed_fields"
        case _:
            return f'"{name}"::text'


ENTRY_AS_TEXT = ", ".join(as_text(name) for name in ENTRY_COLUMNS)
# What is stored under some ids, in the form in which it was sent. Plan: the key of each id's partition.
SELECT_STORED = sql.SQL("SELECT {} FROM auditlog.logs_entry_view WHERE id = ANY(%s::uuid[])").format(sql.SQL(ENTRY_AS_TEXT))
