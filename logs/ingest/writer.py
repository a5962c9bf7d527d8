"""The group-commit writer: one thread a process gathers what concurrent requests submit and commits it together.

Invariants:
- A submission is stored as a whole in one transaction, or not at all; its batch row commits with it.
- `Submission.done` is set exactly once, and for a success only after COMMIT has returned.
- Entries and bytes in memory are bounded (`AUDITLOG_WRITER_QUEUE_*`); what is over the bound is refused at once.
- Every wait is bounded: connecting, each statement, and (by the caller) the wait for `done`.
- A submission cancelled before its transaction began is never stored.
- Keyed entries are inserted in order of their ids, so that two writers can't wait for each other in a circle.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg
from django.conf import settings

from logs.errors import CommitFailed, WriterOverloaded
from logs.ingest.check import CheckedEntry
from logs.ingest.plan import Asked, Plan, Status, Stored, make_plan
from logs.integrity import entries as stored_entries
from logs.storage import columns, connecting, wakeups
from logs.storage.columns import Columns, stored_columns
from logs.storage.kinds import count_kinds, count_users
from logs.storage.partitions import Coverage
from logs.storage.reading import NAME_TENANT, tenant_parameters

logger = logging.getLogger(__name__)

RETRY_PAUSE_SECONDS = 1.0
MAX_ROUNDS = 5
BATCH_IDS_AT_ONCE = 64
COPY_CHUNK_LINES = 2000
_COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Submission:
    """The entries of one request on their way to the disk.

    After `done`: `statuses` has one status an entry, `firsts` what is stored for those that are replays, `batch_id` the batch of
    those that were stored now (None: there are none); or `error` says why nothing was stored; or `is_refused` that an
    idempotency conflict refused it as a whole.
    """

    __slots__ = ("_callback", "_lock", "batch_id", "done", "entries", "error", "firsts", "has_keys", "is_begun", "is_cancelled", "is_partial",
                 "is_refused", "size_bytes", "statuses")  # fmt: skip

    def __init__(self, entries: Sequence[CheckedEntry], *, is_partial: bool = False) -> None:
        self.entries = entries
        self.is_partial = is_partial
        self.has_keys = any(entry.is_keyed for entry in entries)
        self.size_bytes = sum(entry.size_bytes for entry in entries)
        self.statuses: list[Status] = []
        self.firsts: dict[int, Stored] = {}
        self.batch_id: int | None = None
        self.error: CommitFailed | None = None
        self.is_refused = False
        self.is_begun = False
        self.is_cancelled = False
        self.done = False
        self._lock = threading.Lock()
        self._lock.acquire()
        self._callback: tuple[asyncio.AbstractEventLoop, Callable[[], None]] | None = None

    def wait(self, timeout_seconds: float) -> bool:
        """Block until done. False if that took too long."""
        if self.done:
            return True
        if self._lock.acquire(timeout=timeout_seconds):
            self._lock.release()
            return True
        return False

    def call_when_done(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        """Have `callback()` called in `loop` once done, now if it is already. At most one a submission."""
        self._callback = (loop, callback)
        if self.done:
            loop.call_soon_threadsafe(self._take_callback)

    def _take_callback(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback[1]()

    def _finish(self) -> asyncio.AbstractEventLoop | None:
        """Mark as done; answers the loop that has to be told."""
        self.done = True
        self._lock.release()
        callback = self._callback
        return callback[0] if callback else None


class Writer:
    """Commits submissions in groups, in a thread of its own. `submit` may be called from any thread."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]] | None = None) -> None:
        self._connect = connect or functools.partial(connecting.connect, "default")
        self._condition = threading.Condition()
        self._queue: deque[Submission] = deque()
        self._queued_entries = 0
        self._queued_bytes = 0
        self._is_closing = False
        self._failed_until = 0.0
        self._connection: psycopg.Connection[Any] | None = None
        self._coverage = Coverage()
        self._batch_ids: deque[int] = deque()
        self._thread = threading.Thread(target=self._run, name="entry-writer", daemon=True)
        self._thread.start()

    # -- callers' side -------------------------------------------------------------------------------------------

    def submit(self, submission: Submission) -> None:
        """Queue a submission. Raises WriterOverloaded if the queue is full, CommitFailed if the database is known to be away."""
        with self._condition:
            if self._is_closing or time.monotonic() < self._failed_until:
                raise CommitFailed(is_outcome_known=True)
            is_full = (
                self._queued_entries + len(submission.entries) > settings.AUDITLOG_WRITER_QUEUE_ENTRIES
                or self._queued_bytes + submission.size_bytes > settings.AUDITLOG_WRITER_QUEUE_BYTES
            )
            if is_full and self._queue:
                raise WriterOverloaded
            self._queue.append(submission)
            self._queued_entries += len(submission.entries)
            self._queued_bytes += submission.size_bytes
            self._condition.notify()

    def cancel(self, submission: Submission) -> CommitFailed:
        """Give a submission up because it took too long. Answers the error that tells what is known of its outcome."""
        with self._condition:
            submission.is_cancelled = not submission.is_begun
            return CommitFailed(is_outcome_known=submission.is_cancelled)

    @property
    def is_alive(self) -> bool:
        """Does the thread run, and did its last commit not fail for want of a database?"""
        return self._thread.is_alive() and time.monotonic() >= self._failed_until

    def close(self, timeout_seconds: float) -> None:
        """Commit what is queued, then end the thread."""
        with self._condition:
            self._is_closing = True
            self._condition.notify()
        self._thread.join(timeout_seconds)

    # -- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            group = self._next_group()
            if not group:
                break
            try:
                self._commit(group)
            except Exception:
                # Whatever it was, those who wait get an answer, and the thread goes on for the others.
                logger.exception("the writer failed on a group of %d submissions", len(group))
                self._drop_connection()
                _fail([submission for submission in group if not submission.done], is_outcome_known=False)
        self._drop_connection()

    def _next_group(self) -> list[Submission]:
        """Wait for work and take as much of it as one transaction may hold. Empty when the writer is to end."""
        while True:
            with self._condition:
                while not self._queue and not self._is_closing:
                    self._condition.wait()
                if not self._queue:
                    return []
                group = self._take_group()
            if group:
                return group

    def _take_group(self) -> list[Submission]:
        """The head of the queue, in order; what was cancelled meanwhile is left out. Called with the lock held."""
        max_entries, max_bytes = settings.AUDITLOG_WRITER_BATCH_ENTRIES, settings.AUDITLOG_WRITER_BATCH_BYTES
        group: list[Submission] = []
        entries = size = 0
        while self._queue:
            head = self._queue[0]
            if group and (entries + len(head.entries) > max_entries or size + head.size_bytes > max_bytes):
                break
            self._queue.popleft()
            self._queued_entries -= len(head.entries)
            self._queued_bytes -= head.size_bytes
            if not head.is_cancelled:
                head.is_begun = True
                entries += len(head.entries)
                size += head.size_bytes
                group.append(head)
        return group

    def _commit(self, group: list[Submission]) -> None:
        try:
            connection = self._connected()
            days = {entry.day for submission in group for entry in submission.entries}
            if self._coverage.lacks(days):
                with connection.transaction(), connection.cursor() as cursor:
                    self._coverage.ensure(cursor, days)
        except psycopg.Error as error:
            self._give_up(group, error, is_outcome_known=True)
            return
        try:
            plan = self._store(connection, group)
        except _LostInCommit as error:
            self._give_up(group, error, is_outcome_known=False)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self._give_up(group, error, is_outcome_known=True)
        except psycopg.Error as error:
            self._drop_connection()
            if len(group) == 1:
                # Not its text: PostgreSQL quotes rows in it.
                logger.error(
                    "PostgreSQL refused a checked submission: %s (SQLSTATE %s, column %s)", type(error).__name__, error.sqlstate, error.diag.column_name
                )
                _fail(group, is_outcome_known=True)
                return
            # One submission that PostgreSQL refuses must not take the others with it.
            for submission in group:
                self._commit([submission])
        else:
            _succeed(group, plan)

    def _store(self, connection: psycopg.Connection[Any], group: list[Submission]) -> Plan:
        """Plan and commit `group`; plans again when entries turn out to be stored already."""
        asked = [Asked(submission.entries, submission.is_partial, submission.has_keys) for submission in group]
        existing: dict[tuple[str, str], Stored] = {}
        for _ in range(MAX_ROUNDS):
            plan = make_plan(asked, existing)
            entries = [entry for inserts in plan.inserts for entry in inserts]
            if not entries:
                return plan
            try:
                batch_ids = self._insert(connection, entries)
                if batch_ids is not None:
                    for submission, inserts in zip(group, plan.inserts, strict=True):
                        submission.batch_id = batch_ids[inserts[0].tenant_id] if inserts else None
                    return plan
            except psycopg.errors.CheckViolation:
                # "no partition of relation found for row": one that was known has been dropped since.
                self._coverage.forget()
                with connection.transaction(), connection.cursor() as cursor:
                    self._coverage.ensure(cursor, {entry.day for entry in entries})
                continue
            existing |= self._find_existing(connection, [entry for entry in entries if entry.is_keyed])
        raise psycopg.OperationalError(f"keyed entries were still in dispute after {MAX_ROUNDS} rounds")

    def _insert(self, connection: psycopg.Connection[Any], entries: list[CheckedEntry]) -> dict[str, int] | None:
        """One transaction with all of `entries` and their batch rows: the batch of each tenant. None, and nothing stored, if one exists already."""
        by_tenant: dict[str, list[CheckedEntry]] = {}
        for entry in entries:
            by_tenant.setdefault(entry.tenant_id, []).append(entry)
        keyed: list[tuple[str | None, ...]] = []
        lines: list[str] = []
        batches: list[tuple[int, str, int, bytes, str, str, str, str]] = []
        for tenant_id, members in by_tenant.items():
            batch_id = self._next_batch_id(connection)
            ids = [entry.id for entry in members]
            rows = [entry.columns for entry in members]
            records = b"".join([entry.record for entry in members])
            batches.append((batch_id, tenant_id, len(members), records, min(ids), max(ids), count_kinds(rows), count_users(rows)))
            for index, entry in enumerate(members):
                if entry.is_keyed:
                    keyed.append((*entry.columns, str(batch_id), str(index)))
                else:
                    lines.append(f"{copy_text(entry.columns)}\t{batch_id}\t{index}\n")
        timeout_ms = int(settings.AUDITLOG_DATABASE_TIMEOUT_SECONDS * 1000)
        cursor = connection.cursor()
        cursor.execute(f"BEGIN; SET LOCAL statement_timeout = {timeout_ms}; SET LOCAL synchronous_commit = on")
        try:
            if keyed:
                keyed.sort(key=lambda row: (row[1], row[0]))
                cursor.execute(columns.INSERT_KEYED_ENTRIES, [list(column) for column in zip(*keyed, strict=True)])
                if cursor.rowcount != len(keyed):
                    cursor.execute("ROLLBACK")
                    return None
            if lines:
                with cursor.copy(columns.COPY_ENTRIES) as copy:
                    for start in range(0, len(lines), COPY_CHUNK_LINES):
                        copy.write("".join(lines[start : start + COPY_CHUNK_LINES]).encode())
            cursor.execute(columns.INSERT_BATCHES, [list(column) for column in zip(*batches, strict=True)])
        except psycopg.Error:
            _roll_back(connection)
            raise
        try:
            cursor.execute("COMMIT")
        except psycopg.Error as error:
            raise _LostInCommit from error
        wakeups.tell_committed()
        return {tenant_id: batch_id for batch_id, tenant_id, *_ in batches}

    def _find_existing(self, connection: psycopg.Connection[Any], entries: Iterable[CheckedEntry]) -> dict[tuple[str, str], Stored]:
        """Those of the keyed `entries` that are stored, by (tenant, id)."""
        found: dict[tuple[str, str], Stored] = {}
        for tenant_id, members in itertools.groupby(sorted(entries, key=lambda entry: entry.tenant_id), key=lambda entry: entry.tenant_id):
            with connection.transaction(), connection.cursor() as cursor:
                cursor.execute(NAME_TENANT, tenant_parameters(tenant_id))
                cursor.execute(columns.SELECT_STORED, [[entry.id for entry in members]])
                for row in cursor:
                    found[tenant_id, row[0]] = Stored.of(stored_columns(row), stored_entries.record(row) or b"")
        return found

    def _next_batch_id(self, connection: psycopg.Connection[Any]) -> int:
        if not self._batch_ids:
            self._batch_ids.extend(row[0] for row in connection.execute(columns.NEXT_BATCH_IDS, [BATCH_IDS_AT_ONCE]))
        return self._batch_ids.popleft()

    # -- connection ----------------------------------------------------------------------------------------------

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._drop_connection()
            self._connection = self._connect()
        return self._connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        # Another server may be another database (a restored backup): ids and partitions are asked for again.
        self._coverage.forget()
        self._batch_ids.clear()
        if connection is not None:
            connection.close()

    def _give_up(self, group: list[Submission], error: Exception, *, is_outcome_known: bool) -> None:
        """Answer `group` and, so that callers don't pile up on a dead database, everybody else for a moment."""
        logger.error("the database is away: %s", error.__cause__ or error)
        self._drop_connection()
        with self._condition:
            self._failed_until = time.monotonic() + RETRY_PAUSE_SECONDS
            waiting = list(self._queue)
            self._queue.clear()
            self._queued_entries = self._queued_bytes = 0
        _fail(group, is_outcome_known=is_outcome_known)
        _fail(waiting, is_outcome_known=True)


class _LostInCommit(Exception):
    """The connection ended between COMMIT and its answer: nobody knows whether it happened."""


def _roll_back(connection: psycopg.Connection[Any]) -> None:
    try:
        connection.execute("ROLLBACK")
    except psycopg.Error:
        connection.close()


def copy_text(values: Columns) -> str:
    """One row in PostgreSQL's COPY text format, without its end."""
    text = "\t".join(["\\N" if value is None else value for value in values])
    # Cheap test first: nothing to escape in most rows, where the only backslashes are those of NULL. Otherwise value by
    # value, for the separators are ours.
    if text.count("\\") != values.count(None) or "\n" in text or "\r" in text or text.count("\t") != len(values) - 1:
        text = "\t".join(["\\N" if value is None else value.translate(_COPY_ESCAPES) for value in values])
    return text


def _succeed(group: Sequence[Submission], plan: Plan) -> None:
    for number, submission in enumerate(group):
        submission.statuses = plan.statuses[number]
        submission.firsts = plan.firsts[number]
        submission.is_refused = number in plan.refused
    _tell(group)


def _fail(group: Sequence[Submission], *, is_outcome_known: bool) -> None:
    for submission in group:
        submission.error = CommitFailed(is_outcome_known=is_outcome_known)
    _tell(group)


def _tell(group: Sequence[Submission]) -> None:
    """Wake everybody who waits for `group`; each event loop once for all of its submissions."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Submission]] = {}
    for submission in group:
        loop = submission._finish()
        if loop is not None:
            by_loop.setdefault(loop, []).append(submission)
    for loop, members in by_loop.items():
        try:
            loop.call_soon_threadsafe(_call_back, members)
        except RuntimeError:
            # The loop has ended: the server was told to stop without waiting.
            logger.warning("%d answers have no event loop to go to", len(members))


def _call_back(members: list[Submission]) -> None:
    for submission in members:
        submission._take_callback()
