"""An export on its way to a client, made as fast as the client reads.

Invariants:
- A process carries on at most AUDITLOG_EXPORT_STREAMS at a time; each has one connection and gives both back when it is closed.
- Nothing is read from the database unless a piece is asked for; a piece is at most a page (`snapshot`).
- Every LOOK_SECONDS it is looked whether its asker still may export what is sent; if not, it ends.
- Whatever ends it early, the file ends without its end: the server then closes the connection in the middle of the body.
"""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections.abc import Iterator

import psycopg
from django.conf import settings
from django.db import DatabaseError, connection

from accounts import standing
from accounts.problems import Fault, Unavailable
from logs.catalogue import catalogue_of
from logs.errors import ArchiveUnavailable, ExportsBusy, InvalidQuery
from logs.export.asking import ExportQuestion
from logs.export.compression import compressor
from logs.export.encoding import Encoding
from logs.export.snapshot import Snapshot

logger = logging.getLogger(__name__)
RETRY_AFTER_SECONDS = 10
LOOK_SECONDS = 2.0
_streams_lock = threading.Lock()
_stream_count = 0


class ExportCut(Exception):
    """The export ended before its end. The message says why."""


class ExportStream:
    """The bytes of an export, piece by piece, from any thread. Has to be closed, whether or not it was begun."""

    def __init__(self, question: ExportQuestion, snapshot: Snapshot, coding: str, now: datetime.datetime) -> None:
        self._snapshot = snapshot
        self._principal = question.principal
        self._look_at = time.monotonic() + LOOK_SECONDS
        self._ends_at = time.monotonic() + settings.AUDITLOG_EXPORT_STREAM_SECONDS
        self._lock = threading.Lock()
        self._is_closed = False
        # What is asked for as a compressed file stays as it is on the way.
        packer = compressor(coding if question.compression == "none" else question.compression)
        self._encoding = Encoding(question, catalogue_of(question.principal.tenant_id), snapshot, packer, now)
        self._pieces = self._encoding.pieces()
        self._first: list[bytes] = []
        self.tree_size = snapshot.tree_size

    @property
    def entries(self) -> int:
        """How many entries were read for it so far: those sent, and at most two pages more."""
        return self._encoding.entries

    def read_ahead(self) -> None:
        """Read the first page, so that a question which can't be answered is refused and not cut. Raises InvalidQuery, ArchiveUnavailable, psycopg.Error."""
        try:
            # Of most formats the first piece is made before the first row.
            for piece in self._pieces:
                self._first.append(piece)
                if len(self._first) == 2:
                    break
        except psycopg.errors.QueryCanceled:
            raise _too_slow() from None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._lock:
            if self._is_closed:
                raise ExportCut("the export was closed")
            if self._first:
                return self._first.pop(0)
            if time.monotonic() > self._ends_at:
                raise ExportCut(f"the export took longer than {settings.AUDITLOG_EXPORT_STREAM_SECONDS:g} s")
            self._look()
            try:
                return next(self._pieces)
            except psycopg.Error as error:
                raise ExportCut(f"the database ended the export: {str(error).strip()}") from error
            except ArchiveUnavailable as problem:
                raise ExportCut(problem.detail) from problem

    def _look(self) -> None:
        """Raises ExportCut if the asker may not have the rest. What can't be looked up is not sent."""
        if time.monotonic() < self._look_at:
            return
        try:
            if not standing.may_go_on(self._principal):
                raise ExportCut("its asker may no longer export what it holds")
        except DatabaseError as error:
            raise ExportCut(f"the database does not say what its asker may: {error}") from error
        finally:
            # The next piece may be another thread's: none of them keeps a connection for it.
            connection.close()
        self._look_at = time.monotonic() + LOOK_SECONDS

    def close(self) -> None:
        """End it, in the middle of a read as well."""
        if not self._lock.acquire(blocking=False):
            self._snapshot.stop()
            self._lock.acquire()
        try:
            if self._is_closed:
                return
            self._is_closed = True
            self._first.clear()
            try:
                self._snapshot.close()
            finally:
                # Whatever became of its connection: the place among the streams is free again.
                _leave()
        finally:
            self._lock.release()


def open_stream(question: ExportQuestion, *, coding: str = "none") -> ExportStream:
    """Begin an export; `coding` packs it on the way. Raises ExportsBusy, InvalidQuery, and Unavailable if the database or the archive is away."""
    _enter()
    try:
        snapshot = Snapshot(
            question.principal.tenant_id,
            statement_seconds=settings.AUDITLOG_DATABASE_TIMEOUT_SECONDS,
            # The server cuts a client off after half of it (auditlog_project.http_bridge); this is for when the server itself is gone.
            idle_seconds=2 * settings.AUDITLOG_EXPORT_STALL_SECONDS,
            archive_seconds=settings.AUDITLOG_DATABASE_TIMEOUT_SECONDS,
        )
    except psycopg.errors.QueryCanceled:
        _leave()
        raise _too_slow() from None
    except psycopg.OperationalError as error:
        _leave()
        raise _away(error) from error
    except BaseException:
        _leave()
        raise
    try:
        stream = ExportStream(question, snapshot, coding, datetime.datetime.now(datetime.UTC))
    except BaseException:
        snapshot.close()
        _leave()
        raise
    try:
        stream.read_ahead()
    except psycopg.OperationalError as error:
        stream.close()
        raise _away(error) from error
    except BaseException:
        stream.close()
        raise
    return stream


def _too_slow() -> InvalidQuery:
    detail = "Finding the first entries takes longer than a request may. Narrow it down by `from` and `to`, or make an export job: POST /api/v1/exports."
    return InvalidQuery([Fault("", "too_slow_to_stream", detail)])


def _away(error: psycopg.OperationalError) -> Unavailable:
    logger.warning("the database is away or slow: %s", error)
    return Unavailable("The database does not answer in time.")


def stream_count() -> int:
    """How many exports this process carries on now."""
    return _stream_count


def _enter() -> None:
    global _stream_count
    with _streams_lock:
        if _stream_count >= settings.AUDITLOG_EXPORT_STREAMS:
            raise ExportsBusy(RETRY_AFTER_SECONDS)
        _stream_count += 1


def _leave() -> None:
    global _stream_count
    with _streams_lock:
        _stream_count -= 1
