"""The data keys of a tenant's data subjects, looked up or made, for writing.

Invariants:
- A subject has one key, however many processes make it at once: the table's unique index decides, and everybody reads what it has.
- A key is committed before it is given out, so no entry is ever encrypted with one that is not kept.
- Processes that have a key in memory go on writing with it for AUDITLOG_CREDENTIAL_CACHE_SECONDS at most after it was erased; what is
  written with it then can't be read by anybody.
"""

from __future__ import annotations

import hmac
import os
import secrets
import time
import uuid
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

from django.conf import settings
from django.db import connection

from logs.privacy.encryption.data_key import KEY_BYTES, DataKey, expand, place_of_subject, wrap_context
from logs.privacy.encryption.master_keys import KeyLost, master_keys
from logs.storage.connecting import connect
from logs.storage.reading import NAME_TENANT, tenant_parameters, tenant_transaction

MAX_CACHED = 10_000
# A key is looked up again after so long, erased or not; and an erasure takes less time than that to be committed.
MAX_AGE_SECONDS = 600.0
# Plan: logs_data_key_erased.
SELECT_ERASED = "SELECT id FROM auditlog.logs_data_key_view WHERE erased_at > clock_timestamp() - make_interval(secs => %s)"
# Plan: logs_data_key_subject.
SELECT_KEYS = "SELECT id, subject_digest, pseudonym, wrapped_key, master_key_id FROM auditlog.logs_data_key_view WHERE subject_digest = ANY (%s::bytea[])"
# Without a target: naming one would take the right to read it.
INSERT_KEYS = """
INSERT INTO auditlog.logs_data_key (tenant_id, subject_digest, pseudonym, wrapped_key, wrapped_subject, master_key_id)
SELECT %s::uuid, * FROM unnest(%s::bytea[], %s::text[], %s::bytea[], %s::bytea[], %s::text[])
ON CONFLICT DO NOTHING
"""


def digest_secret(id_secret: bytes) -> bytes:
    """What subjects' digests are made with, from the tenant's secret (`LogSettings.id_secret`)."""
    return expand(id_secret, b"auditlog.data_subject.v1")


def subject_digest(id_secret: bytes, subject: str) -> bytes:
    """What stands for a data subject in `auditlog.logs_data_key` (32 bytes)."""
    return hmac.digest(digest_secret(id_secret), subject.encode(), "sha256")


class _Cache:
    """Keys by tenant and subject. Safe for threads."""

    def __init__(self) -> None:
        self._keys: OrderedDict[tuple[str, str], tuple[float, DataKey]] = OrderedDict()
        self._looked_at: dict[str, float] = {}
        self._lock = Lock()

    def get(self, tenant: str, subject: str) -> DataKey | None:
        found = self._keys.get((tenant, subject))
        return found[1] if found is not None and found[0] > time.monotonic() else None

    def put(self, tenant: str, keys: dict[str, DataKey]) -> None:
        now = time.monotonic()
        with self._lock:
            self._looked_at.setdefault(tenant, now)
            for subject, key in keys.items():
                self._keys[tenant, subject] = (now + MAX_AGE_SECONDS, key)
                self._keys.move_to_end((tenant, subject))
            while len(self._keys) > MAX_CACHED:
                self._keys.popitem(last=False)

    def has_to_look(self, tenant: str) -> bool:
        """Is it time to ask which keys of the tenant were erased? Whoever is told so asks."""
        now = time.monotonic()
        with self._lock:
            looked_at = self._looked_at.get(tenant)
            if looked_at is None or looked_at + settings.AUDITLOG_CREDENTIAL_CACHE_SECONDS > now:
                return False
            self._looked_at[tenant] = now
            return True

    def drop(self, tenant: str, ids: set[int]) -> None:
        with self._lock:
            for place in [place for place, (_, key) in self._keys.items() if place[0] == tenant and key.id in ids]:
                del self._keys[place]

    def clear(self) -> None:
        with self._lock:
            self._keys.clear()
            self._looked_at.clear()


_cache = _Cache()
forget = _cache.clear


def keys_of(tenant_id: uuid.UUID, secret: bytes, subjects: Collection[str]) -> dict[str, DataKey]:
    """The key of each subject; those that have none get one. `secret`: `digest_secret`. At most four statements, however many subjects.

    Raises KeyLost, ImproperlyConfigured without a master key, and what the database raises.
    """
    tenant = str(tenant_id)
    if _cache.has_to_look(tenant):
        with _transaction(tenant_id) as database:
            database.execute(SELECT_ERASED, [MAX_AGE_SECONDS])
            erased = {row[0] for row in database.fetchall()}
        if erased:
            _cache.drop(tenant, erased)
    found: dict[str, DataKey] = {}
    absent: dict[bytes, str] = {}
    for subject in subjects:
        key = _cache.get(tenant, subject)
        if key is None:
            absent[hmac.digest(secret, subject.encode(), "sha256")] = subject
        else:
            found[subject] = key
    if absent:
        loaded = _load(tenant_id, absent)
        _cache.put(tenant, loaded)
        found |= loaded
    return found


def _load(tenant_id: uuid.UUID, subjects: dict[bytes, str]) -> dict[str, DataKey]:
    """The keys of subjects, given by digest."""
    loaded: dict[str, DataKey] = {}
    tenant = str(tenant_id)
    # In order: two requests that make the same keys wait for each other, and not each for the other.
    wanted = sorted(subjects)
    with _transaction(tenant_id) as database:
        rows = _select(database, wanted)
        known = {bytes(row[1]) for row in rows}
        missing = [digest for digest in wanted if digest not in known]
        if missing:
            database.execute(INSERT_KEYS, [tenant, *_new_rows(tenant, missing, subjects)])
            rows += _select(database, missing)
    keys = master_keys()
    for id, digest, pseudonym, wrapped, master_key_id in rows:
        key = keys.unwrap(master_key_id, bytes(wrapped), wrap_context(tenant, bytes(digest)))
        loaded[subjects[bytes(digest)]] = DataKey(id, key, pseudonym)
    if len(loaded) != len(subjects):
        # Only if one was erased in this very moment; whoever posts again finds or makes the next.
        raise KeyLost("the key of a data subject was erased in this moment")
    return loaded


def _select(database: Any, digests: Sequence[bytes]) -> list[Any]:
    database.execute(SELECT_KEYS, [digests])
    return list(database.fetchall())


def _new_rows(tenant: str, digests: Sequence[bytes], subjects: dict[bytes, str]) -> list[list[Any]]:
    """Columns of new rows, in the order of INSERT_KEYS."""
    keys = master_keys()
    rows = []
    for digest in digests:
        key, pseudonym = os.urandom(KEY_BYTES), f"p_{secrets.token_hex(16)}"
        master_key_id, wrapped = keys.wrap(key, wrap_context(tenant, digest))
        # The id 0 is no row's: this text is bound to the pseudonym instead.
        sealed_subject = DataKey(0, key, pseudonym).seal(place_of_subject(tenant, pseudonym), subjects[digest].encode())
        rows.append((digest, pseudonym, wrapped, sealed_subject, master_key_id))
    return [list(column) for column in zip(*rows, strict=True)]


@contextmanager
def _transaction(tenant_id: uuid.UUID) -> Iterator[Any]:
    """A cursor in a transaction that names the tenant, and that is committed when the block ends."""
    if not connection.in_atomic_block:
        with tenant_transaction(tenant_id) as database:
            yield database
        return
    # Inside of somebody's transaction, which may yet be rolled back while the entry is committed: then the key would be gone.
    with connect("default") as own, own.transaction(), own.cursor() as database:
        database.execute(NAME_TENANT, tenant_parameters(tenant_id))
        yield database
