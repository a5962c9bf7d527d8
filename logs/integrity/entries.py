"""From a stored row to the entry's canonical bytes and record: what was hashed when it came in, made again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from auditlog_verify.canonical import VERSION, CanonicalEntry, CanonicalError, canonical_entry, canonical_json
from logs.models import Outcome, Severity
from logs.storage.columns import ENTRY_COLUMNS, normal_address

_SEVERITIES: Mapping[str, str] = {str(choice.value): str(choice.label) for choice in Severity}
_OUTCOMES: Mapping[str, str] = {str(choice.value): str(choice.label) for choice in Outcome}
_COUNT = len(ENTRY_COLUMNS)


def canonical_bytes(row: Sequence[Any]) -> bytes:
    """The canonical bytes of a stored entry, given as a row of `columns.ENTRY_AS_TEXT` (what follows is passed over).

    Raises CanonicalError for JSON that could not have come in.
    """
    (id, tenant_id, timestamp, received_at, severity, outcome, is_imported, ip_address, user_id, action, resource_type, resource_id, session_id,
     request_id, user_agent, source, message, idempotency_key, changed_fields, masked, metadata, before, after) = row[:_COUNT]  # fmt: skip
    return canonical_entry(
        CanonicalEntry(
            action=action,
            id=id,
            # What is none of ours stays as it is: it makes other bytes, and so is found.
            outcome=_OUTCOMES.get(outcome, outcome),
            received_at=received_at,
            resource_type=resource_type,
            severity=_SEVERITIES.get(severity, severity),
            source=source,
            tenant=tenant_id,
            timestamp=timestamp,
            user_id=user_id,
            v=VERSION,
            after=_raw(after),
            before=_raw(before),
            changed_fields=changed_fields,
            idempotency_key=idempotency_key,
            ip_address=None if ip_address is None else normal_address(ip_address) or ip_address,
            is_imported=is_imported == "true",
            masked=masked,
            message=message,
            metadata=_raw(metadata),
            request_id=request_id,
            resource_id=resource_id,
            session_id=session_id,
            user_agent=user_agent,
        )
    )


def record(row: Sequence[Any]) -> bytes | None:
    """The record (32 bytes) that follows from a stored row; None if the row is no entry that could have come in."""
    try:
        return hashlib.sha256(canonical_bytes(row)).digest()
    except CanonicalError:
        return None


def _raw(text: str | None) -> msgspec.Raw | None:
    return None if text is None else msgspec.Raw(canonical_json(text.encode()))
