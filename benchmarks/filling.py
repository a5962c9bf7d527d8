"""Fills a tenant's log by COPY, past ingest and sequencer: rows as they would leave them, with positions and made-up records.

For benchmarks of reading, which need a million entries and not the minutes that posting them takes.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence

import psycopg

from benchmarks.limits import _ESCAPES, column_texts
from benchmarks.product import Installation
from benchmarks.rows import SECOND, Entry
from logs.storage.columns import COPY_ENTRIES, ENTRY_COLUMNS

BATCH = 1000
COPY_BATCHES = "COPY auditlog.logs_batch (id, tenant_id, entry_count, records, first_position, lowest_id, highest_id) FROM STDIN"
# Enough for the time that a run takes, and no partition has to be made for it.
SPAN = datetime.timedelta(hours=6)


def fill(installed: Installation, entries: Sequence[Entry], count: int, *, ends_at: datetime.datetime | None = None) -> None:
    """Add `count` entries to the installation's tenant, spread evenly over the hours before `ends_at` (default: now)."""
    ends_at = ends_at or datetime.datetime.now(datetime.UTC)
    rows = [_rest_of(entry, installed.tenant_id) for entry in entries]
    step = SPAN / count
    with psycopg.connect(installed.superuser_url) as connection, connection.cursor() as cursor:
        for day in {ends_at.date(), (ends_at - SPAN).date()}:
            moment = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
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
                lines, ids = _lines(rows, ends_at - SPAN, step, first, size, batch_id)
                copy.write("".join(lines).encode())
                records = os.urandom(32 * size).hex()
                batches.append(f"{batch_id}\t{installed.tenant_id}\t{size}\t\\\\x{records}\t{position + first}\t{ids[0]}\t{ids[-1]}\n")
        with cursor.copy(COPY_BATCHES.encode()) as copy:
            for batch in batches:
                copy.write(batch.encode())
    with psycopg.connect(installed.superuser_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE auditlog.logs_entry, auditlog.logs_batch")


def _rest_of(entry: Entry, tenant_id: str) -> tuple[str, str]:
    """The tenant, and the columns after the times, as COPY text."""
    texts = column_texts(entry)
    return tenant_id, "\t".join("\\N" if (value := texts[name]) is None else value.translate(_ESCAPES) for name in list(ENTRY_COLUMNS)[4:])


def _lines(
    rows: Sequence[tuple[str, str]], begins_at: datetime.datetime, step: datetime.timedelta, first: int, size: int, batch_id: int
) -> tuple[list[str], list[str]]:
    """COPY text of one batch and its ids, oldest first."""
    noise = os.urandom(9 * size).hex()
    lines, ids = [], []
    for index in range(size):
        moment = begins_at + step * (first + index)
        stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        digits = noise[18 * index : 18 * index + 18]
        milliseconds = f"{int(moment.timestamp() * 1000):012x}"
        # The 12 bits after the milliseconds are the fraction, as logs.storage.ids has it.
        fraction = f"{moment.microsecond % 1000 * 4096 // 1000:03x}"
        id = f"{milliseconds[:8]}-{milliseconds[8:]}-7{fraction}-8{digits[:3]}-{digits[3:15]}"
        tenant_id, rest = rows[(first + index) % len(rows)]
        lines.append(f"{id}\t{tenant_id}\t{stamp}\t{stamp}\t{rest}\t{batch_id}\t{index}\n")
        ids.append(id)
    return lines, ids
