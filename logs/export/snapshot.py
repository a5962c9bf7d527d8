"""All rows of one question, from one snapshot, a bounded page at a time.

Invariants:
- A connection of its own, for Django's belongs to a thread and an export is carried on by whichever thread is free.
- The rows of a page are at most PAGE_ROWS, and, once they come to PAGE_BYTES, what one more piece of PIECE_ROWS holds.
- `close` may be called from any thread at any moment: it cancels a statement that runs, and leaves no connection behind.
"""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from logs.extensions import ColdRow
from logs.integrity.storage import read_head
from logs.search.sql import Condition
from logs.search.tiers import cold_rows
from logs.search.tree import Node
from logs.search.windows import Window, moment_of_id
from logs.storage import connecting
from logs.storage.reading import NAME_TENANT, tenant_parameters

Rows: TypeAlias = Sequence[Sequence[Any]]
PAGE_ROWS = 1_000
PAGE_BYTES = 2**20
# libpq hands rows over by so many, so that a page of the largest entries does not have to be in memory whole.
PIECE_ROWS = 32
LEAST_ROWS = 16
CANCEL_SECONDS = 5.0
_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# The first question: with its snapshot it takes a lock on the table of entries, and on no partition (it finds none). A partition that the
# archive frees afterwards stays until the snapshot ends; which partitions there are is told by that lock and by no snapshot.
_KEEP_PARTITIONS = "SELECT FROM auditlog.logs_entry_view WHERE id = '00000000-0000-0000-0000-000000000000'"
_LIMIT_IDLENESS = "SELECT set_config('idle_in_transaction_session_timeout', %s, true)"
# A cursor is planned for a tenth of its rows (cursor_tuple_fraction): by the key, in order, and not by sorting everything first.
_DECLARE = sql.SQL("DECLARE entries NO SCROLL CURSOR FOR ")


class Snapshot:
    """One tenant's log at one moment. `tree_size`: how many entries were sequenced then, as the signed `checkpoint` says (None: none).

    Each read may take `statement_seconds`; if nothing is read for `idle_seconds`, PostgreSQL itself ends it, whatever became of us.
    Finding the next archived entry may take `archive_seconds` (None: as long as it does).
    """

    def __init__(self, tenant_id: uuid.UUID, *, statement_seconds: float, idle_seconds: float, archive_seconds: float | None = None) -> None:
        self._tenant_id = tenant_id
        self._archive_seconds = archive_seconds
        self._speak_seconds = idle_seconds / 4
        self._asked_at = self._spoken_at = time.monotonic()
        self._is_stopped = False
        # How far the archive was looked through.
        self.searched_to: datetime.datetime | None = None
        self._connection = connecting.connect("default")
        self._lock = threading.Lock()
        self._is_closed = False
        try:
            self._connection.execute(_BEGIN)
            # (This one takes no snapshot.)
            self._connection.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(sql.Literal(f"{statement_seconds * 1000:.0f}")))
            self._connection.execute(_KEEP_PARTITIONS)
            self._connection.execute(NAME_TENANT, tenant_parameters(tenant_id, statement_seconds))
            self._connection.execute(_LIMIT_IDLENESS, [f"{idle_seconds * 1000:.0f}"])
            with self._connection.cursor() as cursor:
                head = read_head(cursor)
        except BaseException:
            self._connection.close()
            raise
        self.tree_size = head.tree_size if head else 0
        self.checkpoint = head.checkpoint if head else None

    def pages(self, statement: Condition, weigh: Callable[[Sequence[Any]], int]) -> Iterator[Rows]:
        """The rows of `statement` in their order. `weigh` says how many bytes a row has. Raises psycopg.Error."""
        self._connection.execute(_DECLARE + statement.text, statement.parameters)
        wanted = PAGE_ROWS
        while True:
            fetched = 0
            for page, size in self._fetch(wanted, weigh):
                fetched += len(page)
                if size >= PAGE_BYTES:
                    # Then a whole FETCH fits into a page again, and is over before the page is sent.
                    wanted = max(LEAST_ROWS, min(wanted, len(page) * PAGE_BYTES // size))
                yield page
            if not fetched:
                # Another question to the same moment may follow.
                self._connection.execute("CLOSE entries")
                return
            if size < PAGE_BYTES // 4:
                wanted = min(PAGE_ROWS, wanted * 2)

    def archived(self, tree: Node, window: Window, *, is_ascending: bool) -> Iterator[ColdRow] | None:
        """The rows in a window that were archived at this moment, in order; None if there are none.

        Raises ArchiveUnavailable, and psycopg.errors.QueryCanceled if it is stopped or takes too long.
        """
        with self._connection.cursor() as cursor:
            rows = cold_rows(cursor, self._tenant_id, tree, window, check=self._go_on, is_ascending=is_ascending)
        return None if rows is None else self._timed(rows)

    def _timed(self, rows: Iterator[ColdRow]) -> Iterator[ColdRow]:
        while True:
            # Whoever takes the rows may take their time.
            self._asked_at = time.monotonic()
            row = next(rows, None)
            if row is None:
                return
            yield row

    def _go_on(self, reached: uuid.UUID) -> None:
        now = time.monotonic()
        self.searched_to = moment_of_id(reached)
        if self._is_stopped:
            raise psycopg.errors.QueryCanceled("reading the archive was stopped")
        if self._archive_seconds is not None and now > self._asked_at + self._archive_seconds:
            raise psycopg.errors.QueryCanceled(f"nothing was found in the archive for {self._archive_seconds:g} s")
        if now > self._spoken_at + self._speak_seconds and self._connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS:
            # PostgreSQL does not see that we are at work.
            self._connection.execute("SELECT 1")
            self._spoken_at = now

    def _fetch(self, wanted: int, weigh: Callable[[Sequence[Any]], int]) -> Iterator[tuple[list[Sequence[Any]], int]]:
        """The next rows, in pages of about PAGE_BYTES at most, with their sizes."""
        page: list[Sequence[Any]] = []
        size = 0
        with self._connection.cursor() as cursor:
            for row in cursor.stream(sql.SQL("FETCH {} FROM entries").format(sql.Literal(wanted)), size=PIECE_ROWS):
                page.append(row)
                size += weigh(row)
                if size >= PAGE_BYTES:
                    yield page, size
                    page, size = [], 0
        if page:
            yield page, size

    def stop(self) -> None:
        """Have a read that is under way end with an error."""
        self._is_stopped = True
        with contextlib.suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=CANCEL_SECONDS)

    def close(self) -> None:
        """End the snapshot. Not while another thread reads: `stop` it first."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._connection.close()
