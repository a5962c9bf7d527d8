"""Rotation of the master key: every live data key is wrapped anew, and every secret of ours is sealed anew (`sealed`). Entries are not touched.

Invariants:
- A row is changed only if it still holds what was read of it, so an erasure in the meantime stays an erasure, and two rotations at once do no
  harm.
- Each batch is committed by itself: whatever ends a rotation, the next one goes on with what is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from logs.privacy.encryption.data_key import wrap_context
from logs.privacy.encryption.master_keys import KeyLost, MasterKeys
from logs.privacy.encryption.sealed import reseal, sealed_by

BATCH_KEYS = 1_000
COUNT_LIVE_KEYS = "SELECT master_key_id, count(*) FROM auditlog.logs_data_key WHERE erased_at IS NULL GROUP BY master_key_id ORDER BY master_key_id"
# Plan: the table's primary key, in order.
SELECT_OLD_KEYS = """
SELECT id, tenant_id::text, subject_digest, wrapped_key, master_key_id FROM auditlog.logs_data_key
WHERE erased_at IS NULL AND master_key_id <> %s AND id > %s ORDER BY id LIMIT %s
"""
UPDATE_KEYS = """
UPDATE auditlog.logs_data_key AS k SET wrapped_key = new.wrapped, master_key_id = %s
FROM unnest(%s::bigint[], %s::bytea[], %s::bytea[]) AS new (id, old, wrapped) WHERE k.id = new.id AND k.wrapped_key = new.old
"""


def live_keys(database: Any) -> dict[str, int]:
    """How many live data keys and sealed secrets each master key wraps. `database`: a cursor of the maintenance role."""
    found = Counter(sealed_by(database))
    database.execute(COUNT_LIVE_KEYS)
    found.update({str(master_key_id): int(count) for master_key_id, count in database.fetchall()})
    return dict(sorted(found.items()))


def rewrap(database: Any, masters: MasterKeys, batch_keys: int = BATCH_KEYS) -> Iterator[tuple[int, int]]:
    """Wrap the data keys and secrets that older master keys wrap with the current one. `database`: a cursor of the maintenance role, in autocommit.

    Gives, after each batch, how many keys of it were wrapped anew and how many could not be, for their master key is not here or they are damaged.
    """
    after = 0
    while True:
        database.execute(SELECT_OLD_KEYS, [masters.current_id, after, batch_keys])
        rows = database.fetchall()
        if not rows:
            break
        after = rows[-1][0]
        ids, olds, news = [], [], []
        for id, tenant_id, digest, wrapped, master_key_id in rows:
            context = wrap_context(tenant_id, bytes(digest))
            try:
                key = masters.unwrap(master_key_id, bytes(wrapped), context)
            except KeyLost:
                continue
            ids.append(id)
            olds.append(bytes(wrapped))
            news.append(masters.wrap(key, context)[1])
        if ids:
            database.execute(UPDATE_KEYS, [masters.current_id, ids, olds, news])
        yield len(ids), len(rows) - len(ids)
    yield from reseal(database, masters, batch_keys)
