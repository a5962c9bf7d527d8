"""A purger that deletes rows and nothing else: for tests of what is purged and when, not of how."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from django.db import connections, transaction
from psycopg import sql

from archival.cleanups.purger import Plan
from archival.due import Due
from logs.search.sql import condition_of
from logs.search.tree import All, TimestampBefore, TimestampFrom
from logs.storage.engines import Partition
from logs.storage.locks import lock_erasures

_DELETE = "DELETE FROM auditlog.logs_entry WHERE tenant_id = %s AND id IN (SELECT id FROM auditlog.logs_entry_view AS e WHERE {})"


class RowPurger:
    """`dues`: what it was told to purge. `raises`: raised once each, in their order, before anything is purged."""

    def __init__(self, *raises: Exception) -> None:
        self.dues: list[Due] = []
        self._raises = list(raises)

    def purge_hot(self, tenant_id: uuid.UUID, plan: Plan, partition: Partition) -> int:
        with transaction.atomic():
            lock_erasures(tenant_id)
            due = plan()
            self.dues.append(due)
            if self._raises:
                raise self._raises.pop(0)
            where = condition_of(All((due.tree, TimestampFrom(partition.lower_at), TimestampBefore(partition.upper_at))), tenant_id)
            with transaction.atomic("maintenance"), connections["maintenance"].cursor() as cursor:
                cursor.execute("SELECT set_config('auditlog.tenant', %s, true)", [str(tenant_id)])
                cursor.execute(sql.SQL(_DELETE).format(where.text), [tenant_id, *where.parameters])
                return int(cursor.rowcount)

    def purge_cold(self, tenant_id: uuid.UUID, plan: Plan) -> Iterator[int]:
        return iter(())
