"""From rows to entries as the API gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from psycopg import sql

from logs.catalogue import TenantCatalogue
from logs.entry_types import JSONObject, OutcomeName, SeverityName
from logs.integrity.proving import EntryIntegrity, integrity_of
from logs.integrity.storage import read_places
from logs.models import Outcome, Severity
from logs.storage.columns import as_text


class EntryOutput(msgspec.Struct, omit_defaults=True):
    """One stored entry. Absent fields were not given."""

    id: str
    timestamp: str
    received_at: str
    user_id: str
    action: str
    resource_type: str
    severity: SeverityName
    outcome: OutcomeName
    source: Annotated[str, Meta(description="Who posted it: key:<prefix> or user:<name>.")]
    title: Annotated[str, Meta(description="How it reads, where the tenant described the action.")] | None = None
    resource_id: str | None = None
    session_id: str | None = None
    request_id: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    message: str | None = None
    idempotency_key: str | None = None
    is_imported: bool = False
    changed_fields: Annotated[list[str], Meta(description="Top-level keys in which `before` and `after` differ.")] | None = None
    masked: Annotated[list[str], Meta(description="JSON Pointers of what was masked before the entry was stored.")] | None = None
    metadata: JSONObject | msgspec.UnsetType = msgspec.UNSET
    before: JSONObject | msgspec.UnsetType = msgspec.UNSET
    after: JSONObject | msgspec.UnsetType = msgspec.UNSET
    integrity: Annotated[EntryIntegrity, Meta(description="Where it stands in the tenant's log; absent for the second or two until it does.")] | None = None
    highlights: (
        Annotated[
            dict[str, list[tuple[int, int]]],
            Meta(
                description="With `highlight=true`: where the words of `q` stand, as ranges of characters by field; `metadata/<key>` for texts in the metadata."
            ),
        ]
        | None
    ) = None


SELECTED = (
    "id",
    "timestamp",
    "received_at",
    "user_id",
    "action",
    "resource_type",
    "severity",
    "outcome",
    "source",
    "resource_id",
    "session_id",
    "request_id",
    "ip_address",
    "user_agent",
    "message",
    "idempotency_key",
    "is_imported",
    "changed_fields",
    "masked",
    "metadata",
    "before",
    "after",
)
# The last two, as numbers, say where the entry stands in its batch.
COLUMNS = [*(sql.SQL(as_text(name)) for name in SELECTED), sql.SQL("batch_id"), sql.SQL("batch_index")]
_SEVERITIES: dict[str, Any] = {str(choice.value): choice.label for choice in Severity}
_OUTCOMES: dict[str, Any] = {str(choice.value): choice.label for choice in Outcome}


def entries_of(cursor: Any, rows: Sequence[Sequence[Any]], catalogue: TenantCatalogue) -> list[EntryOutput]:
    """Rows of `COLUMNS` as entries, with their places in the log as the cursor's transaction sees them."""
    places = integrity_of(read_places(cursor, [(row[-2], row[-1]) for row in rows]) if rows else [])
    return [_entry_of(row, place, catalogue) for row, place in zip(rows, places, strict=True)]


def _entry_of(row: Sequence[Any], integrity: EntryIntegrity | None, catalogue: TenantCatalogue) -> EntryOutput:
    (id, timestamp, received_at, user_id, action, resource_type, severity, outcome, source, resource_id, session_id, request_id,
     ip_address, user_agent, message, idempotency_key, is_imported, changed_fields, masked, metadata, before, after, *_) = row  # fmt: skip
    return EntryOutput(
        id=id,
        timestamp=timestamp,
        received_at=received_at,
        user_id=user_id,
        action=action,
        resource_type=resource_type,
        severity=_SEVERITIES[severity],
        outcome=_OUTCOMES[outcome],
        source=source,
        title=catalogue.title_of(user_id, action, resource_type, resource_id, metadata),
        resource_id=resource_id,
        session_id=session_id,
        request_id=request_id,
        ip_address=ip_address,
        user_agent=user_agent,
        message=message,
        idempotency_key=idempotency_key,
        is_imported=is_imported == "true",
        changed_fields=changed_fields,
        masked=masked,
        metadata=_raw(metadata),
        before=_raw(before),
        after=_raw(after),
        integrity=integrity,
    )


def _raw(text: str | None) -> msgspec.Raw | msgspec.UnsetType:
    return msgspec.UNSET if text is None else msgspec.Raw(text.encode())
