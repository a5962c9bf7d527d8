"""A year of archived entries, made from a day of stored ones, in a process with the product's environment: `python -m benchmarks.archived`.

First the tenant's stored entries are written to a segment, as the archiver writes them, and measured; then that segment's entries, over and
over, each with an id, times and a request of its own, make a segment for each day of the year before. Answers JSON on stdout.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import random
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import django

SEED = 47
DAYS = 365
WORD = "quokka"
WORD_ONE_IN = 100_000
IDS = 200
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--entries", type=int, required=True)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "auditlog_project.settings")
    django.setup()
    print(json.dumps(make(uuid.UUID(options.tenant), options.entries)))


def make(tenant_id: uuid.UUID, entries: int) -> dict[str, Any]:
    """Write the segments. Answers the bytes an entry takes in one, the rate at which they were written, the first day, and some ids."""
    import pyarrow.parquet as pq
    from django.conf import settings

    from archival.models import Segment
    from archival.segments import path_of, write_segment
    from logs.storage import objects

    store = objects.open_store(settings.AUDITLOG_ARCHIVE_URL)
    begun = time.perf_counter()
    sample = write_segment(store, "sample/entries.parquet", _stored(tenant_id))
    seconds = time.perf_counter() - begun
    with objects.open_file(store, sample.path, sample.size_bytes) as file:
        pool = pq.read_table(file)
    chances = random.Random(SEED)
    midnight = datetime.datetime.now(datetime.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first_day = midnight - datetime.timedelta(days=DAYS + 120)
    ids: list[str] = []
    for number in range(DAYS):
        day = first_day + datetime.timedelta(days=number)
        count = entries * (number + 1) // DAYS - entries * number // DAYS
        table = _day_of(pool, day, count, chances)
        upper = day + datetime.timedelta(days=1)
        written = write_segment(store, path_of(tenant_id, day, upper, f"{number}"), table.to_batches())
        ids += chances.sample(table.column("id").to_pylist(), -(-IDS // DAYS))
        now = datetime.datetime.now(datetime.UTC)
        Segment.objects.create(
            tenant_id=tenant_id,
            partition=f"logs_entry_{day:%Y%m%d}_{upper:%Y%m%d}",
            lower_at=day,
            upper_at=upper,
            sequence=0,
            **dataclasses.asdict(written),
            state="serving",
            written_at=now,
        )
        if number % 60 == 0:
            print(f"day {number} of {DAYS}", file=sys.stderr, flush=True)
    chances.shuffle(ids)
    return {
        "bytes_per_entry": sample.size_bytes / sample.entry_count,
        "written_per_s": sample.entry_count / seconds,
        "first_day": f"{first_day:%Y-%m-%d}",
        "ids": ids[:IDS],
    }


def _stored(tenant_id: uuid.UUID) -> Iterator[Any]:
    """The tenant's stored entries, as batches of a segment, in order."""
    from psycopg import sql

    from archival.segments import batch_of_segment
    from logs.storage import connecting
    from logs.storage.table import TABLE_COLUMNS

    position = sql.SQL("(SELECT b.first_position + e.batch_index FROM auditlog.logs_batch AS b WHERE b.id = e.batch_id)")
    statement = sql.SQL("SELECT {}, {}, batch_id, batch_index FROM auditlog.logs_entry AS e WHERE tenant_id = {} ORDER BY e.id").format(
        sql.SQL(", ").join(TABLE_COLUMNS.values()), position, sql.Literal(tenant_id)
    )
    with connecting.connect("maintenance") as connection, connection.transaction(), connection.cursor(name="stored") as cursor:
        cursor.execute(statement)
        while rows := cursor.fetchmany(2_000):
            yield batch_of_segment([(str(row[0]), *row[1:]) for row in rows])


def _day_of(pool: Any, day: datetime.datetime, count: int, chances: random.Random) -> Any:
    """`count` entries of one day, in order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = pool.take(pa.array([chances.randrange(pool.num_rows) for _ in range(count)]))
    begin_us = (day - _EPOCH) // datetime.timedelta(microseconds=1)
    moments = [begin_us + number * 86_400_000_000 // count for number in range(count)]
    noise = os.urandom(16 * count).hex()
    ids = []
    for number, us in enumerate(moments):
        ms, rest = divmod(us, 1000)
        head, bits = f"{ms:012x}", noise[32 * number : 32 * number + 15]
        ids.append(f"{head[:8]}-{head[8:]}-7{rest * 4096 // 1000:03x}-8{bits[:3]}-{bits[3:15]}")
    requests = [str(uuid.UUID(noise[32 * (number // 3) : 32 * (number // 3) + 32])) for number in range(count)]
    is_rare = pa.array([chances.randrange(WORD_ONE_IN) == 0 for _ in range(count)])
    times = pa.array(moments, table.schema.field("timestamp").type)
    replaced = {
        "id": pa.array(ids, pa.string()),
        "timestamp": times,
        "received_at": times,
        "request_id": pa.array(requests, pa.string()),
        "message": pc.if_else(is_rare, f"Seen once in a while: a {WORD} at the gate", table.column("message")),
    }
    columns = [replaced.get(name, table.column(name)) for name in table.schema.names]
    return pa.table(columns, schema=table.schema).combine_chunks()


if __name__ == "__main__":
    main()
