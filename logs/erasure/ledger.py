"""The ledger of erasures: which keys were erased, in object storage, where neither the database nor a backup of it can take that back.

Append-only, under AUDITLOG_ERASURES_URL: an object is written once, as `<tenant>/<key id>-<part of the key's digest>.json`, and never
again. It holds no personal data.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator

import msgspec
from django.conf import settings

from logs.erasure.keys import DataKey
from logs.storage import objects


class Line(msgspec.Struct):
    """One erased key. `key_digest` tells it from another that got its number after a restore (`DataKey.digest`)."""

    tenant: uuid.UUID
    key_id: int
    key_digest: str
    erasure: uuid.UUID
    written_at: datetime.datetime


class Ledger:
    """The object storage of AUDITLOG_ERASURES_URL. Raises `objects.StorageError` when it is away."""

    def __init__(self) -> None:
        self._store = objects.open_store(settings.AUDITLOG_ERASURES_URL)

    def add(self, key: DataKey, erasure_id: uuid.UUID, now: datetime.datetime) -> None:
        """Name a key as erased. Naming it again changes nothing."""
        line = Line(key.tenant_id, key.id, key.digest, erasure_id, now)
        objects.put_new(self._store, f"{_folder(key.tenant_id)}/{key.id:020d}-{key.digest[:16]}.json", msgspec.json.encode(line) + b"\n")

    def lines(self, tenant_id: uuid.UUID) -> Iterator[Line]:
        """Every erased key of the tenant, in order. Raises ValueError for an object that is no line of a ledger."""
        for name, content in objects.contents(self._store, _folder(tenant_id)):
            try:
                yield msgspec.json.decode(content, type=Line)
            except msgspec.DecodeError as error:
                raise ValueError(f"{name} is no line of the ledger of erasures: {error}") from error


def _folder(tenant_id: uuid.UUID) -> str:
    return str(tenant_id)
