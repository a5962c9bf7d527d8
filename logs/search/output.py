"""From rows to entries as the API gives them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from psycopg import sql

from logs.catalogue import catalogue_of
from logs.entry_types import JSONObject, OutcomeName, SeverityName
from logs.integrity.proving import EntryIntegrity, integrity_of
from logs.integrity.storage import read_places
from logs.models import Outcome, Severity
from logs.privacy.encryption.opening import Fields, hidden, is_sealed, metadata_of_title, open_page
from logs.privacy.encryption.pseudonyms import users_behind
from logs.storage.columns import as_text

_ENCRYPTED = (
    'Where it is encrypted: the clear text for whoever may decrypt, else `{"encrypted": true}`; with `erased` too once the data subject was '
    "erased, with `unreadable` if it does not open."
)


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
    metadata: Annotated[JSONObject, Meta(description="An encrypted value in it reads as in `before`.")] | msgspec.UnsetType = msgspec.UNSET
    before: Annotated[JSONObject, Meta(description=_ENCRYPTED)] | msgspec.UnsetType = msgspec.UNSET
    after: Annotated[JSONObject, Meta(description="As `before`.")] | msgspec.UnsetType = msgspec.UNSET
    integrity: Annotated[EntryIntegrity, Meta(description="Where it stands in the tenant's log; absent for the second or two until it does.")] | None = None
    subject: Annotated[str | None, Meta(description="Who is behind the pseudonym in `user_id`, for whoever may decrypt; absent once erased.")] = None
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
_AT = {name: index for index, name in enumerate(SELECTED)}
_SEVERITIES: dict[str, Any] = {str(choice.value): choice.label for choice in Severity}
_OUTCOMES: dict[str, Any] = {str(choice.value): choice.label for choice in Outcome}


Highlight = Callable[[EntryOutput], dict[str, list[tuple[int, int]]]]


def entries_of(cursor: Any, rows: Sequence[Sequence[Any]], tenant_id: uuid.UUID, *, may_decrypt: bool, highlight: Highlight | None = None) -> list[EntryOutput]:
    """Rows of `COLUMNS` as entries, with their places in the log as the cursor's transaction sees them; opened for a reader who may decrypt.

    Titles and highlights are those that anybody sees: they are made of what is stored, before anything is opened.
    """
    if not rows:
        return []
    catalogue = catalogue_of(tenant_id)
    places = integrity_of(read_places(cursor, [(row[-2], row[-1]) for row in rows]))
    stored = [_fields_of(row) for row in rows]
    entries = []
    for row, fields, place in zip(rows, stored, places, strict=True):
        entry = _entry_of(row, hidden(fields) if is_sealed(fields) else fields, place)
        entry.title = catalogue.title_of(entry.user_id, entry.action, entry.resource_type, entry.resource_id, metadata_of_title(fields.metadata))
        if highlight is not None:
            entry.highlights = highlight(entry)
        entries.append(entry)
    if may_decrypt:
        users = users_behind(cursor, tenant_id, {entry.user_id for entry in entries})
        for entry in entries if users else ():
            entry.subject = users.get(entry.user_id)
        for entry, before, fields in zip(entries, stored, open_page(cursor, tenant_id, stored, may_decrypt=True), strict=True):
            if fields is not before:
                _show(entry, fields)
    return entries


def _fields_of(row: Sequence[Any]) -> Fields:
    return Fields(row[_AT["id"]], row[_AT["message"]], row[_AT["user_agent"]], row[_AT["metadata"]], row[_AT["before"]], row[_AT["after"]])


def _show(entry: EntryOutput, fields: Fields) -> None:
    entry.message, entry.user_agent = fields.message, fields.user_agent
    entry.metadata, entry.before, entry.after = _raw(fields.metadata), _raw(fields.before), _raw(fields.after)


def _entry_of(row: Sequence[Any], fields: Fields, integrity: EntryIntegrity | None) -> EntryOutput:
    (id, timestamp, received_at, user_id, action, resource_type, severity, outcome, source, resource_id, session_id, request_id,
     ip_address, _, _, idempotency_key, is_imported, changed_fields, masked, *_) = row  # fmt: skip
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
        resource_id=resource_id,
        session_id=session_id,
        request_id=request_id,
        ip_address=ip_address,
        user_agent=fields.user_agent,
        message=fields.message,
        idempotency_key=idempotency_key,
        is_imported=is_imported == "true",
        changed_fields=changed_fields,
        masked=masked,
        metadata=_raw(fields.metadata),
        before=_raw(fields.before),
        after=_raw(fields.after),
        integrity=integrity,
    )


def _raw(text: str | None) -> msgspec.Raw | msgspec.UnsetType:
    return msgspec.UNSET if text is None else msgspec.Raw(text.encode())
