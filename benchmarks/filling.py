"""Millions of entries in the product's table, by COPY without indexes, which are then made as the migrations have them.

Entries of several tenants, spread evenly over the days up to now. They are the business application's (`rows`) over and over, each with
an id, times and a request of its own; a request has up to three entries. They were not posted, so they have no batch and no position.
"""

from __future__ import annotations

import datetime
import itertools
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg

from benchmarks.limits import copy_text_after_times
from benchmarks.rows import Weighted, application_entries
from logs.storage.columns import COPY_ENTRIES

SEED = 31
POOL = 40_000
TENANTS = 8
# Of so many entries one has the word.
RARE_WORD, RARE_ONE_IN = "quokka", 100_000
_REQUEST = "\x01"
_CHUNK = 2_000


@dataclass(frozen=True)
class Part:
    """Entries `[first, first + count)` of all, by one process."""

    url: str
    tenant_ids: Sequence[str]
    first: int
    count: int
    total: int
    begins: datetime.datetime
    span: datetime.timedelta


def fill(superuser_url: str, tenant_id: str, entries: int, days: int) -> None:
    """Fill the table with `entries` entries of the last `days` days. The first tenant has the most (about a third)."""
    chances = random.Random(SEED)
    tenants = [tenant_id, *(f"{chances.getrandbits(32):08x}-0000-4000-8000-{chances.getrandbits(48):012x}" for _ in range(TENANTS - 1))]
    span = datetime.timedelta(days=days)
    begins = datetime.datetime.now(datetime.UTC) - span
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        for day in range(days + 1):
            connection.execute("SELECT auditlog.ensure_partition(%s, 1000)", [begins + datetime.timedelta(days=day)])
        made_again = _drop_indexes(connection)
        _tell("indexes dropped")
        half = entries // 2
        parts = [
            Part(superuser_url, tenants, 0, half, entries, begins, span),
            Part(superuser_url, tenants, half, entries - half, entries, begins, span),
        ]
        with multiprocessing.get_context("spawn").Pool(len(parts)) as pool:
            pool.map(_copy, parts)
        _tell(f"{entries:,} entries copied")
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute("SET max_parallel_maintenance_workers = 2")
        for statement in made_again:
            connection.execute(statement.encode())
            _tell(statement.split(" ON ")[0].lower()[:60])
        connection.execute("VACUUM (ANALYZE, FREEZE) auditlog.logs_entry")
        connection.execute("CHECKPOINT")
        _tell("vacuumed and analysed")


def _drop_indexes(connection: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    """Drop the table's indexes. Answers the statements that make them again."""
    found = connection.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), conname FROM pg_index "
        "LEFT JOIN pg_constraint ON conindid = indexrelid AND contype = 'p' WHERE indrelid = 'auditlog.logs_entry'::regclass"
    ).fetchall()
    statements = []
    for name, definition, constraint in found:
        if constraint:
            connection.execute(f"ALTER TABLE auditlog.logs_entry DROP CONSTRAINT {constraint}".encode())
            statements.append("ALTER TABLE auditlog.logs_entry ADD PRIMARY KEY (tenant_id, id)")
        else:
            connection.execute(f"DROP INDEX {name}".encode())
            statements.append(str(definition).replace(" ON ONLY ", " ON "))
    return statements


def _copy(part: Part) -> None:
    with psycopg.connect(part.url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        rows = _rows(part)
        for first in range(0, part.count, 200_000):
            with connection.cursor() as cursor, cursor.copy(COPY_ENTRIES.encode()) as copy:
                for chunk in _chunks(itertools.islice(rows, min(200_000, part.count - first))):
                    copy.write(chunk)


def _chunks(rows: Iterator[str]) -> Iterator[bytes]:
    while chunk := "".join(itertools.islice(rows, _CHUNK)):
        yield chunk.encode()


def _rows(part: Part) -> Iterator[str]:
    """COPY text, a row at a time, in order of time."""
    chances = random.Random(SEED + part.first)
    pool = [_texts(entry) for entry in application_entries(SEED, POOL)]
    owners = itertools.cycle(Weighted.zipf(chances, part.tenant_ids).draw(99_991))
    step_us = part.span // datetime.timedelta(microseconds=1) / part.total
    epoch_us = (part.begins - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(microseconds=1)
    second, second_text = -1, ""
    noise = ""
    for number in range(part.first, part.first + part.count):
        if number % _CHUNK == 0 or not noise:
            noise = os.urandom(9 * _CHUNK + 9).hex()
        us = epoch_us + int(number * step_us)
        if us // 1_000_000 != second:
            second = us // 1_000_000
            second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        digits = noise[18 * (number % _CHUNK) :][:18]
        ms, rest = divmod(us, 1000)
        head = f"{ms:012x}"
        moment = f"{second_text}.{us % 1_000_000:06d}Z"
        before, after = pool[chances.randrange(POOL)]
        if chances.randrange(RARE_ONE_IN) == 0:
            after = _with_rare_word(after)
        request = f"{part.first:x}-{number // 3:012x}"
        yield (
            f"{head[:8]}-{head[8:]}-7{rest * 4096 // 1000:03x}-8{digits[:3]}-{digits[3:15]}\t{next(owners)}\t{moment}\t{moment}\t"
            f"{before}{request}{after}\t{number // 1000}\t{number % 1000}\n"
        )


def _texts(entry: dict[str, object]) -> tuple[str, str]:
    """The columns from `severity` on as COPY text, before and after the request's id."""
    before, _, after = copy_text_after_times(entry | {"request_id": _REQUEST}).partition(_REQUEST)
    return before, after


def _with_rare_word(after: str) -> str:
    """The columns after the request's id with a message: user_agent, source, message, ..."""
    columns = after.split("\t")
    columns[3] = f"Seen once in a while: a {RARE_WORD} at the gate"
    return "\t".join(columns)


_started = time.monotonic()


def _tell(what: str) -> None:
    print(f"{time.monotonic() - _started:7.1f} s  {what}", file=sys.stderr, flush=True)
