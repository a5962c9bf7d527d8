"""An entry as one flat row for other programs (CSV, Parquet): which columns, in which order, and the SQL of each."""

from __future__ import annotations

from psycopg import sql

from logs.models import Outcome, Severity
from logs.storage.columns import as_text

# `position` is no column of an entry's: it is that of the batch plus the place in it, and absent while the entry is not sequenced.
TABLE_COLUMN_NAMES = (
    "id", "timestamp", "received_at", "user_id", "action", "resource_type", "resource_id", "severity", "outcome", "source", "session_id",
    "request_id", "ip_address", "user_agent", "message", "idempotency_key", "is_imported", "changed_fields", "masked", "metadata", "before", "after",
    "position",
)  # fmt: skip


def _labelled(column: str, choices: type[Severity | Outcome]) -> str:
    whens = " ".join(f"WHEN {choice.value} THEN '{choice.label}'" for choice in choices)
    return f"CASE {column} {whens} END"


_LABELLED: dict[str, type[Severity | Outcome]] = {"severity": Severity, "outcome": Outcome}
# One expression for each of the columns but `position`, over `auditlog.logs_entry_view`.
TABLE_COLUMNS: dict[str, sql.SQL] = {
    name: sql.SQL(_labelled(name, _LABELLED[name]) if name in _LABELLED else as_text(name)) for name in TABLE_COLUMN_NAMES if name != "position"
}
