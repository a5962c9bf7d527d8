"""What PostgreSQL alone does with the same rows, in the same table with the same indexes, under the same role.

Rows of the limits belong to a tenant that does not exist, so they are never counted as the product's.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from auditlog_project.embedded import EmbeddedServers
from auditlog_project.embedded.postgres import APPLICATION_ROLE, PORT
from benchmarks.report import BenchmarkFailed
from benchmarks.rows import SECOND, Entry, current_second
from logs.storage.columns import BATCH_COLUMNS, COPY_ENTRIES, ENTRY_COLUMNS

NOBODY = "00000000-0000-4000-8000-000000000000"
SOURCE = "key:benchmark000"
COPY_CONNECTIONS = 2
# pgbench takes 128 scripts at most.
SCRIPTS = 100
PGBENCH_THREADS = 2
SEVERITIES = {"INFO": 1, "WARNING": 2, "ERROR": 3, "CRITICAL": 4}
OUTCOMES = {"unknown": 0, "success": 1, "failure": 2}
_JSON_COLUMNS = ("metadata", "before", "after")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def column_texts(entry: Entry) -> dict[str, str | None]:
    """An entry's column values as the product stores them, but for what is new in each: id, times, batch."""
    texts: dict[str, str | None] = {name: entry.get(name) for name in ENTRY_COLUMNS}
    texts |= {name: None if entry.get(name) is None else msgspec.json.encode(entry[name]).decode() for name in _JSON_COLUMNS}
    before, after = entry.get("before"), entry.get("after")
    if before is not None and after is not None:
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        texts["changed_fields"] = "{" + ",".join(f'"{name}"' for name in changed) + "}"
    return texts | {
        "tenant_id": NOBODY,
        "severity": str(SEVERITIES[entry.get("severity", "INFO")]),
        "outcome": str(OUTCOMES[entry.get("outcome", "unknown")]),
        "is_imported": "f",
        "source": SOURCE,
    }


# -- COPY ----------------------------------------------------------------------------------------------------------


class RawCopy:
    """COPY in batches, each a transaction, on two connections; the text of the rows is made before the clock starts."""

    def __init__(self, servers: EmbeddedServers, entries: Sequence[Entry], batch: int) -> None:
        self._url = servers.postgres.url(APPLICATION_ROLE, servers.database)
        self._batch = batch
        self._rows = [_copy_parts(entry) for entry in entries]

    def entries_per_s(self, batches: int) -> float:
        """Copy `batches` batches of new rows. Fills up the table by as many."""
        texts = self._texts(batches)
        with psycopg.connect(self._url, autocommit=True) as one, psycopg.connect(self._url, autocommit=True) as other:
            queue = iter(texts)
            lock = threading.Lock()
            failed: list[BaseException] = []
            threads = [threading.Thread(target=_copy_all, args=(connection, queue, lock, failed), daemon=True) for connection in (one, other)]
            started = time.perf_counter()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            seconds = time.perf_counter() - started
        if failed:
            raise BenchmarkFailed(f"COPY failed: {failed[0]}") from failed[0]
        return batches * self._batch / seconds

    def _texts(self, batches: int) -> list[bytes]:
        """The rows again with ids and times of their own, as COPY text a batch."""
        second = current_second()
        received = second.decode() + ".500000Z"
        now_ms = time.time_ns() // 1_000_000
        total = batches * self._batch
        # Random digits of all ids at once, 18 each.
        noise = os.urandom(9 * total).hex()
        texts: list[bytes] = []
        for number in range(batches):
            lines: list[str] = []
            for index in range(self._batch):
                row = number * self._batch + index
                fraction, rest = self._rows[row % len(self._rows)]
                digits = noise[18 * row : 18 * row + 18]
                moment = f"{now_ms + index * 1000 // self._batch:012x}"
                identity = f"{moment[:8]}-{moment[8:]}-7{digits[:3]}-8{digits[3:6]}-{digits[6:]}"
                lines.append(f"{identity}\t{NOBODY}\t{second.decode()}{fraction}\t{received}\t{rest}\t{number}\t{index}\n")
            texts.append("".join(lines).encode())
        return texts


def copy_text_after_times(entry: Entry) -> str:
    """The columns after `received_at` as COPY text; those before are new in each row."""
    texts = column_texts(entry)
    return "\t".join("\\N" if (value := texts[name]) is None else value.translate(_ESCAPES) for name in list(ENTRY_COLUMNS)[4:])


def _copy_parts(entry: Entry) -> tuple[str, str]:
    """The fraction of the timestamp, and the columns after `received_at` as COPY text."""
    return entry["timestamp"][len(SECOND) :], copy_text_after_times(entry)


def _copy_all(connection: psycopg.Connection[Any], queue: Iterator[bytes], lock: threading.Lock, failed: list[BaseException]) -> None:
    try:
        with connection.cursor() as cursor:
            while True:
                with lock:
                    text = next(queue, None)
                if text is None:
                    return
                with cursor.copy(COPY_ENTRIES.encode()) as copy:
                    copy.write(text)
    except psycopg.Error as error:
        failed.append(error)


# -- INSERT --------------------------------------------------------------------------------------------------------


class BareInsert:
    """pgbench with one-row INSERTs, prepared, each a transaction of its own."""

    def __init__(self, servers: EmbeddedServers, folder: Path) -> None:
        self._servers = servers
        self._folder = folder

    def entries_per_s(self, clients: int, seconds: int) -> float:
        """pgbench's transactions a second, its connecting left out."""
        postgres = self._servers.postgres
        command = [str(postgres.programs / "pgbench"), "--no-vacuum", "--protocol", "prepared"]
        command += ["--client", str(clients), "--jobs", str(PGBENCH_THREADS), "--time", str(seconds)]
        for script in sorted(self._folder.glob("*.sql")):
            command += ["--file", str(script)]
        environment = os.environ | {
            "PGHOST": str(self._servers.folders.sockets),
            "PGPORT": str(PORT),
            "PGUSER": APPLICATION_ROLE,
            "PGPASSWORD": postgres.secret(APPLICATION_ROLE),
            "PGDATABASE": self._servers.database,
        }
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
        failures = re.search(r"^number of failed transactions: ([1-9]\d*)", done.stdout, re.MULTILINE)
        if done.returncode != 0 or found is None or failures:
            raise BenchmarkFailed(f"pgbench failed (exit code {done.returncode}):\n{done.stderr[-1000:]}{done.stdout[-500:]}")
        return float(found[1])


@contextmanager
def bare_insert(servers: EmbeddedServers, entries: Sequence[Entry]) -> Iterator[BareInsert]:
    """The limit, with its scripts in a temporary folder. Each script inserts one of the first entries, drawn at random."""
    folder = Path(tempfile.mkdtemp(prefix="auditlog-pgbench-"))
    try:
        for number, entry in enumerate(entries[:SCRIPTS]):
            (folder / f"{number:03d}.sql").write_text(insert_script(entry))
        yield BareInsert(servers, folder)
    finally:
        shutil.rmtree(folder)


def insert_script(entry: Entry) -> str:
    """A pgbench script that inserts `entry` with an id, a request id and times of its own."""
    values: dict[str, str] = {name: "NULL" if text is None else _literal(text) for name, text in column_texts(entry).items()}
    values |= {
        "id": "uuidv7()",
        "timestamp": "clock_timestamp()",
        "received_at": "clock_timestamp()",
        "request_id": "gen_random_uuid()::text",
        **dict.fromkeys(BATCH_COLUMNS, "0"),
    }
    names = ", ".join(f'"{name}"' for name in values)
    return f"INSERT INTO auditlog.logs_entry ({names}) VALUES ({', '.join(values.values())});\n"


def _literal(text: str) -> str:
    # pgbench takes a colon before a word for a variable, even within a string.
    return "E'" + text.replace("\\", "\\\\").replace("'", "''").replace(":", "\\x3a") + "'"
