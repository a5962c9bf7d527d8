"""Fills a tenant's log by COPY, past ingest and sequencer: rows as they would leave them, with positions and made-up records.

For benchmarks of reading, which need a million entries and not the minutes that posting them takes.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence

import psycopg

from benchmarks.limits import copy_text_after_times
from benchmarks.product import Installation
from benchmarks.rows import Entry
from logs.storage.columns import COPY_ENTRIES
from logs.storage.ids import RandomBits, entry_id, microseconds

BATCH = 1000
COPY_BATCHES = "COPY auditlog.logs_batch (id, tenant_id, entry_count, records, first_position, lowest_id, highest_id) FROM STDIN"
# Two days' partitions at most.
SPAN = datetime.timedelta(hours=6)


def fill(installed: Installation, entries: Sequence[Entry], count: int, *, ends_at: datetime.datetime | None = None) -> None:
    """Add `count` entries to the installation's tenant, spread evenly over the hours before `ends_at` (default: now)."""
    begins_at = (ends_at or datetime.datetime.now(datetime.UTC)) - SPAN
    rests = [copy_text_after_times(entry) for entry in entries]
    bits = RandomBits()
    with psycopg.connect(installed.superuser_url) as connection, connection.cursor() as cursor:
        for moment in (begins_at, begins_at + SPAN):
            cursor.execute("SELECT auditlog.ensure_partition(%s, 90)", [moment])
        cursor.execute("SELECT nextval('auditlog.logs_batch_id_seq') FROM generate_series(1, %s)", [-(-count // BATCH)])
        batch_ids = [int(row[0]) for row in cursor.fetchall()]
        cursor.execute("SELECT coalesce(max(first_position + entry_count), 0) FROM auditlog.logs_batch WHERE tenant_id = %s", [installed.tenant_id])
        found = cursor.fetchone()
        position = int(found[0]) if found else 0
        batches: list[str] = []
        with cursor.copy(COPY_ENTRIES.encode()) as copy:
            for number, batch_id in enumerate(batch_ids):
                first = number * BATCH
                size = min(BATCH, count - first)
                made = [_line(installed.tenant_id, begins_at + SPAN / count * place, rests[place % len(rests)], bits) for place in range(first, first + size)]
                copy.write("".join(f"{line}\t{batch_id}\t{index}\n" for index, (_, line) in enumerate(made)).encode())
                records = os.urandom(32 * size).hex()
                batches.append(f"{batch_id}\t{installed.tenant_id}\t{size}\t\\\\x{records}\t{position + first}\t{made[0][0]}\t{made[-1][0]}\n")
        with cursor.copy(COPY_BATCHES.encode()) as copy:
            for batch in batches:
                copy.write(batch.encode())
    with psycopg.connect(installed.superuser_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE auditlog.logs_entry, auditlog.logs_batch")


def _line(tenant_id: str, moment: datetime.datetime, rest: str, bits: RandomBits) -> tuple[str, str]:
    """An entry's id, and its row as COPY text but for its place in the batch."""
    id = entry_id(microseconds(moment), bits.next_62())
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return id, f"{id}\t{tenant_id}\t{stamp}\t{stamp}\t{rest}"
