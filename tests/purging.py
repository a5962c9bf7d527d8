"""A purger that deletes rows and nothing else: for tests of what is purged and when, not of how."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connections, transaction
from psycopg import sql

from archival.due import Due
from logs.search.sql import condition_of
from logs.search.tree import All, TimestampBefore, TimestampFrom
from logs.storage.engines import Partition

_DELETE = "DELETE FROM auditlog.logs_entry WHERE tenant_id = %s AND id IN (SELECT id FROM auditlog.logs_entry_view AS e WHERE {})"


class RowPurger:
    """`dues`: what it was told to purge. `raises`: raised once each, in their order, before anything is purged."""

    def __init__(self, *raises: Exception) -> None:
        self.dues: list[Due] = []
        self._raises = list(raises)

    def purge_hot(self, due: Due, partition: Partition) -> int:
        self.dues.append(due)
        if self._raises:
            raise self._raises.pop(0)
        where = condition_of(All((due.tree, TimestampFrom(partition.lower_at), TimestampBefore(partition.upper_at))), due.tenant_id)
        with transaction.atomic("maintenance"), connections["maintenance"].cursor() as cursor:
            cursor.execute("SELECT set_config('auditlog.tenant', %s, true)", [str(due.tenant_id)])
            cursor.execute(sql.SQL(_DELETE).format(where.text), [due.tenant_id, *where.parameters])
            return int(cursor.rowcount)

    def purge_cold(self, due: Due) -> Iterator[int]:
        return iter(())
