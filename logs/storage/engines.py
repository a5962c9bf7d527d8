"""What differs between engines: how partitions are made, compressed, dropped and distributed. Nothing else does.

`native` is plain PostgreSQL. The engine is chosen by `AUDITLOG_ENGINE`.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Protocol

from django.conf import settings
from psycopg import sql


@dataclass(frozen=True)
class Partition:
    """One partition: `[lower_at, upper_at)` of the entries' timestamps."""

    name: str
    lower_at: datetime.datetime
    upper_at: datetime.datetime


class Engine(Protocol):
    """One way to keep the partitions of `auditlog.logs_entry`. Cursors come in from outside and stay open."""

    def distribute(self, cursor: Any) -> None:
        """Spread the empty table over nodes, where the engine does that. Needs the maintenance role."""

    def ensure_partition(self, cursor: Any, moment: datetime.datetime) -> None:
        """See to it that there is a partition for `moment`. The application's role may do this."""

    def partitions(self, cursor: Any) -> list[Partition]:
        """All partitions, oldest first."""

    def compress_partition(self, cursor: Any, partition: Partition) -> None:
        """Pack a partition that gets no more entries, where the engine does that. Needs the maintenance role."""

    def drop_partition(self, cursor: Any, partition: Partition) -> None:
        """Free a partition and its entries. Needs the maintenance role, outside a transaction."""


class NativeEngine:
    """Declarative partitions of plain PostgreSQL."""

    def distribute(self, cursor: Any) -> None:
        """One node: nothing to spread."""

    def ensure_partition(self, cursor: Any, moment: datetime.datetime) -> None:
        cursor.execute("SELECT auditlog.ensure_partition(%s, %s)", [moment, settings.AUDITLOG_HOT_DAYS])

    def partitions(self, cursor: Any) -> list[Partition]:
        cursor.execute("SELECT name, lower_at, upper_at FROM auditlog.logs_partitions ORDER BY lower_at")
        return [Partition(*row) for row in cursor.fetchall()]

    def compress_partition(self, cursor: Any, partition: Partition) -> None:
        """Heap tables have no packed form beyond TOAST's."""

    def drop_partition(self, cursor: Any, partition: Partition) -> None:
        # Concurrently: readers and writers of the other partitions are not locked out.
        name = sql.Identifier("auditlog", partition.name)
        cursor.execute(sql.SQL("ALTER TABLE auditlog.logs_entry DETACH PARTITION {} CONCURRENTLY").format(name))
        cursor.execute(sql.SQL("DROP TABLE {}").format(name))


ENGINES: dict[str, type[Engine]] = {"native": NativeEngine}


def engine() -> Engine:
    """The engine that the settings choose."""
    return ENGINES[settings.AUDITLOG_ENGINE]()
