"""After a restore: what the ledger names is destroyed again.

A backup of the database that is older than an erasure brings the key back, as a row wrapped by a master key. The ledger was not restored
with it, and says which.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from logs.erasure import keys
from logs.erasure.ledger import Ledger, Line
from logs.privacy.encryption.subject_keys import forget
from logs.storage.reading import tenant_transaction

LINES_AT_ONCE = 1_000


def alive(tenant_id: uuid.UUID) -> list[Line]:
    """The lines of the ledger whose key is alive in the database. Raises objects.StorageError, or ValueError for a damaged ledger."""
    return [line for _, found in _checked(tenant_id) for line in found]


def reapply(tenant_id: uuid.UUID) -> Iterator[tuple[int, int]]:
    """Destroy every key that the ledger names and that is alive. Yields, again and again, how many lines were read and keys destroyed since.

    May be stopped and begun anew at any line. Raises as `alive` does.
    """
    for count, found in _checked(tenant_id):
        if found:
            with tenant_transaction(tenant_id) as cursor:
                for line in found:
                    keys.destroy(cursor, line.key_id)
            forget()
        yield count, len(found)


def _checked(tenant_id: uuid.UUID) -> Iterator[tuple[int, list[Line]]]:
    """The ledger in parts: how many lines, and those of them whose key is alive."""
    part: list[Line] = []
    for line in Ledger().lines(tenant_id):
        part.append(line)
        if len(part) >= LINES_AT_ONCE:
            yield len(part), _alive_of(tenant_id, part)
            part = []
    if part:
        yield len(part), _alive_of(tenant_id, part)


def _alive_of(tenant_id: uuid.UUID, lines: list[Line]) -> list[Line]:
    with tenant_transaction(tenant_id) as cursor:
        found = keys.digests_alive(cursor, tenant_id, [line.key_id for line in lines])
    # A number alone is not enough: after a restore the next key may get one that was used before.
    return [line for line in lines if found.get(line.key_id) == line.key_digest]


def unnamed(cursor: Any, tenant_id: uuid.UUID) -> int:
    """How many keys are erased that the ledger does not name: whoever destroyed them did not go by `erasing`."""
    named = {(line.key_id, line.key_digest) for line in Ledger().lines(tenant_id)}
    return sum((key.id, key.digest) not in named for key in keys.erased_keys(cursor, tenant_id))
