"""The entries of a tenant one by one, as a predicate sees them: what searches and counts are held against."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings

from accounts.models import Tenant
from logs.search.facts import Facts
from logs.storage.reading import tenant_transaction
from tests.search_strategies import entries

COLUMNS = (
    "id", "severity", "outcome", "ip_address", "user_id", "action", "resource_type", "resource_id", "request_id", "session_id", "source",
    "message", "changed_fields", "metadata",
)  # fmt: skip
TEXTS = COLUMNS[4:11]


def example_entries(count: int) -> list[dict[str, Any]]:
    """The same entries in every run, of every kind."""
    found: list[dict[str, Any]] = []

    @settings(max_examples=count, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(entries)
    def collect(entry: dict[str, Any]) -> None:
        found.append(entry)

    collect()
    return found


def rows_of(tenant: Tenant) -> list[dict[str, Any]]:
    """Every entry of the tenant: COLUMNS, its timestamp, and its position (None: it has none yet)."""
    names = [f"e.{name}::text" if name in ("metadata", "ip_address") else f"e.{name}" for name in COLUMNS]
    position = "(SELECT b.first_position + e.batch_index FROM auditlog.logs_batch_view AS b WHERE b.id = e.batch_id)"
    with tenant_transaction(tenant.id) as cursor:
        cursor.execute(f'SELECT {", ".join(names)}, e."timestamp", {position} FROM auditlog.logs_entry_view AS e')
        return [dict(zip((*COLUMNS, "timestamp", "position"), row, strict=True)) for row in cursor.fetchall()]


def facts_of(row: dict[str, Any]) -> Facts:
    return Facts(
        id=row["id"],
        severity=row["severity"],
        outcome=row["outcome"],
        ip_address=row["ip_address"],
        texts={name: row[name] for name in TEXTS},
        message=row["message"],
        changed_fields=row["changed_fields"] or (),
        metadata=row["metadata"],
    )
