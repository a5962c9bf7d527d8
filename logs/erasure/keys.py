"""The data keys of a subject, and their destruction."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Plan: logs_data_key_subject.
SELECT_LIVE = "SELECT id, pseudonym FROM auditlog.logs_data_key_view WHERE subject_digest = %s AND erased_at IS NULL ORDER BY id"
# Plan: the table's primary key.
SELECT_LIVE_BY_IDS = "SELECT id, pseudonym FROM auditlog.logs_data_key_view WHERE id = ANY (%s::bigint[]) AND erased_at IS NULL"
# Plan: a scan of the tenant's keys, by whoever verifies.
SELECT_ERASED = "SELECT id, pseudonym FROM auditlog.logs_data_key_view WHERE erased_at IS NOT NULL ORDER BY id"
# Runs as its owner, for the tenant that the transaction names: nothing else may change the table.
ERASE = "SELECT auditlog.erase_data_key(%s)"
_LABEL = b"auditlog erased key v1\x00"


@dataclass(frozen=True)
class DataKey:
    """A data key's row. The pseudonym is random: it tells this row from one that has its number after a restore."""

    tenant_id: uuid.UUID
    id: int
    pseudonym: str

    @property
    def digest(self) -> str:
        """What the ledger knows it by: SHA-256 of tenant, number and pseudonym, in hexadecimal."""
        return hashlib.sha256(_LABEL + self.tenant_id.bytes + self.id.to_bytes(8) + self.pseudonym.encode()).hexdigest()


def live_keys_of(cursor: Any, tenant_id: uuid.UUID, subject_digest: bytes) -> list[DataKey]:
    """The subject's keys that are not erased. `cursor`: in a transaction that names the tenant."""
    cursor.execute(SELECT_LIVE, [subject_digest])
    return [DataKey(tenant_id, id, pseudonym) for id, pseudonym in cursor.fetchall()]


def destroy(cursor: Any, key_id: int) -> bool:
    """Destroy a key of the tenant that the transaction names. False if there is none alive."""
    cursor.execute(ERASE, [key_id])
    return bool(cursor.fetchone()[0])


def digests_alive(cursor: Any, tenant_id: uuid.UUID, key_ids: Sequence[int]) -> dict[int, str]:
    """Of some keys of the tenant those that are alive, with their digests."""
    cursor.execute(SELECT_LIVE_BY_IDS, [list(key_ids)])
    return {id: DataKey(tenant_id, id, pseudonym).digest for id, pseudonym in cursor.fetchall()}


def erased_keys(cursor: Any, tenant_id: uuid.UUID) -> list[DataKey]:
    """All keys of the tenant that are erased."""
    cursor.execute(SELECT_ERASED)
    return [DataKey(tenant_id, id, pseudonym) for id, pseudonym in cursor.fetchall()]
