"""Carrying out an export job: one attempt, from the question to a whole file in the storage.

Invariants:
- The file of an attempt is whole once the job is done, and the job is done only then. Whatever dies before leaves a job that another
  worker begins anew, under another name, after removing what was left.
- While it runs, a thread says every BEAT_SECONDS that it lives, and looks whether the job is still its own and its asker still may export
  what is written; else the read under way is cancelled.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import threading
import time
import uuid
from types import TracebackType
from typing import Any, Self

import msgspec
import psycopg
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from accounts import standing
from accounts.deeds import Deed
from accounts.extensions import Outcome, record
from accounts.principals import Principal
from accounts.problems import NotRecorded, Problem
from logs.catalogue import catalogue_of
from logs.errors import ArchiveUnavailable, ExportRightsLost
from logs.export import files, jobs
from logs.export.askers import actor_of, asker_of
from logs.export.asking import SUBJECT_REPORT, ExportQuestion, asked_again
from logs.export.compression import SUFFIXES, compressor
from logs.export.encoding import Encoding, FileEncoding
from logs.export.manifest import Manifest, Tally
from logs.export.snapshot import Snapshot
from logs.export.subject_report import SubjectReport
from logs.ingest.check import utc_text
from logs.models import ExportJob, ExportState
from logs.search.tree import All
from logs.storage import objects
from logs.storage.reading import tenant_transaction
from logs.subjects import entries_about
from logs.subjects.page import Heading

logger = logging.getLogger(__name__)
EXPORT = Deed("EXPORT", "audit_log_export")
REPORT = Deed("EXPORT", "audit_log_subject")
BEAT_SECONDS = 2.0
MANIFEST_NAME = "manifest.json"


class LeaseLost(Exception):
    """The job was cancelled, or another worker has taken it over."""


def run(job_id: uuid.UUID) -> None:
    """Carry out a job, if it is free. However that goes is on record; nothing is raised but what ends this process."""
    job = jobs.take(job_id)
    if job is None:
        return
    logger.info("export job %s: attempt %d", job.id, job.attempts)
    try:
        path, manifest = _write(job)
    except LeaseLost:
        logger.info("export job %s was cancelled or taken over", job.id)
    except ArchiveUnavailable as problem:
        logger.warning("export job %s: attempt %d failed: %s", job.id, job.attempts, problem.detail)
        with contextlib.suppress(DatabaseError):
            jobs.put_back(job, problem.detail)
    except Problem as problem:
        # What it asks can't be answered (any more): that of a job asked for before an update, or the asker's rights.
        _fail(job, problem.code, problem.detail)
    except psycopg.errors.QueryCanceled:
        detail = f"Finding the next entries took longer than {settings.AUDITLOG_EXPORT_READ_SECONDS:g} s. Narrow the question down by `from` and `to`."
        _fail(job, "too_slow", detail)
    except (psycopg.Error, DatabaseError, *objects.StorageError) as error:
        logger.warning("export job %s: attempt %d failed: %s", job.id, job.attempts, error)
        # If the database is away for this as well, the lease runs out by itself.
        with contextlib.suppress(DatabaseError):
            jobs.put_back(job, f"{type(error).__name__}: the database or the storage failed; it is tried again")
    except Exception:
        logger.exception("export job %s failed", job.id)
        _fail(job, "internal_error", "The server failed on this job. The failure was logged with the job's id.")
    else:
        expires_at = timezone.now() + datetime.timedelta(days=settings.AUDITLOG_EXPORT_DAYS)
        done = {"file_path": path, "manifest": msgspec.to_builtins(manifest), "expires_at": expires_at, "error": ""}
        progress = {"entries_written": manifest.entries, "bytes_written": manifest.bytes}
        try:
            _record_end(job, "success", manifest.entries)
        except NotRecorded as problem:
            # There is no file that the log does not know of.
            jobs.put_back(job, problem.detail)
        else:
            if jobs.end(job, ExportState.DONE, **done, **progress):
                return
    _discard_own(job)


def _fail(job: ExportJob, code: str, detail: str) -> None:
    """End the job without a file. That is recorded as well as it can be: nothing is given."""
    if jobs.end(job, ExportState.FAILED, error_code=code, error=detail):
        try:
            _record_end(job, "failure", 0, code=code)
        except NotRecorded:
            logger.warning("the end of export job %s is not recorded", job.id)


def _record_end(job: ExportJob, outcome: Outcome, entries: int, **more: Any) -> None:
    """Record what became of the job, in the name of who asked for it. Raises NotRecorded."""
    told = {"phase": "ended", "results": entries, "format": job.format, "asked": job.query, "attempt": job.attempts} | more
    deed = REPORT if job.format == SUBJECT_REPORT else EXPORT
    record(job.tenant_id, deed, actor=actor_of(job), outcome=outcome, resource_id=str(job.id), metadata=told)


def file_name(job: ExportJob, tenant_slug: str) -> str:
    stamp = f"{tenant_slug}-{job.created_at:%Y%m%dT%H%M%SZ}"
    # The name of a file is seen in more places than the file: it does not say whom the report is about.
    return f"subject-report-{stamp}.zip" if job.format == SUBJECT_REPORT else f"entries-{stamp}.{job.format}{SUFFIXES[job.compression]}"


def _write(job: ExportJob) -> tuple[str, Manifest]:
    """The path of the finished file, and its manifest. Raises LeaseLost, Problem (ArchiveUnavailable too), psycopg.Error, objects.StorageError."""
    store = files.open_store()
    objects.discard(store, files.folder_of(job))
    principal = asker_of(job)
    if principal is None:
        raise ExportRightsLost
    question = _question(job, principal)
    folder = f"{files.folder_of(job)}/{job.lease}"
    path = f"{folder}/{file_name(job, principal.tenant_slug)}"
    # A storage that takes nothing for so long is not waited for; PostgreSQL would end the session by itself.
    idle_seconds = settings.AUDITLOG_EXPORT_READ_SECONDS
    snapshot = Snapshot(job.tenant_id, statement_seconds=settings.AUDITLOG_EXPORT_READ_SECONDS, idle_seconds=idle_seconds)
    try:
        encoding = _encoding(job, question, snapshot, datetime.datetime.now(datetime.UTC))
        tally = Tally()
        with Heart(job, principal, snapshot, encoding, tally) as heart:
            try:
                writer = objects.open_writer(store, path)
                for piece in encoding.pieces():
                    heart.check()
                    writer.write(piece)
                    tally.add(piece)
                writer.close()
            except (psycopg.Error, ArchiveUnavailable):
                # Cancelled by our own heart: then that is the reason.
                heart.check()
                raise
            heart.check()
    finally:
        snapshot.close()
    manifest = encoding.manifest(tally)
    objects.put_new(store, f"{folder}/{MANIFEST_NAME}", msgspec.json.encode(manifest) + b"\n")
    return path, manifest


def _question(job: ExportJob, principal: Principal) -> ExportQuestion:
    """What the job is to export, with the rights that its asker has now. Raises Problem."""
    tree = asked_again(job.query, principal)
    if job.format == SUBJECT_REPORT:
        if not principal.may_report_on_subjects:
            raise ExportRightsLost
        with tenant_transaction(job.tenant_id) as cursor:
            tree = All((tree, entries_about(cursor, job.tenant_id, job.subject)))
    return ExportQuestion(
        principal,
        tree,
        job.query,
        job.format,
        job.compression,
        job.order,
        job.limit,
        has_manifest=job.format == "json",
        is_pseudonymised=job.is_pseudonymised,
    )


def _encoding(job: ExportJob, question: ExportQuestion, snapshot: Snapshot, now: datetime.datetime) -> FileEncoding:
    catalogue = catalogue_of(job.tenant_id)
    if job.format != SUBJECT_REPORT:
        return Encoding(question, catalogue, snapshot, compressor(job.compression), now)
    heading = Heading(
        subject=job.subject,
        tenant=question.principal.tenant_slug,
        asked_by=job.asked_by,
        asked_at=utc_text(job.created_at),
        made_at=utc_text(now),
        question=job.query,
        tree_size=snapshot.tree_size,
    )
    return SubjectReport(question, catalogue, snapshot, now, heading)


def _discard_own(job: ExportJob) -> None:
    """Remove what this attempt has written. If another has taken over, its files lie elsewhere."""
    try:
        objects.discard(files.open_store(), f"{files.folder_of(job)}/{job.lease}")
    except objects.StorageError as error:
        # `files.clean_up` comes by later.
        logger.warning("the files of export job %s can't be removed now: %s", job.id, error)


class Heart:
    """Beats for an attempt while it runs, in a thread of its own, and stops its reading when it has to end."""

    def __init__(self, job: ExportJob, principal: Principal, snapshot: Snapshot, encoding: FileEncoding, tally: Tally) -> None:
        self._job = job
        self._principal = principal
        self._snapshot = snapshot
        self._encoding = encoding
        self._tally = tally
        self._is_over = threading.Event()
        self._reason: Exception | None = None
        self._thread = threading.Thread(target=self._beat_until_over, name=f"export {job.id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._is_over.set()
        self._thread.join()

    def check(self) -> None:
        """Raises what the attempt has to end for: LeaseLost, ExportRightsLost."""
        if self._reason is not None:
            raise self._reason

    def _beat_until_over(self) -> None:
        beaten_at = time.monotonic()
        try:
            while not self._is_over.wait(BEAT_SECONDS):
                try:
                    self._reason = self._look()
                    beaten_at = time.monotonic()
                except DatabaseError as error:
                    logger.warning("export job %s: no heartbeat: %s", self._job.id, error)
                    connection.close()
                    if time.monotonic() - beaten_at > jobs.LEASE_SECONDS:
                        # Somebody else may have begun it.
                        self._reason = LeaseLost()
                if self._reason is not None:
                    self._snapshot.stop()
                    return
        finally:
            # This thread's own; it goes back to the pool.
            connection.close()

    def _look(self) -> Exception | None:
        """One beat: why the attempt has to end, if it has to."""
        if not standing.may_go_on(self._principal):
            return ExportRightsLost()
        progress = {"entries_written": self._encoding.entries, "bytes_written": self._tally.bytes, "searched_to": self._snapshot.searched_to}
        return None if jobs.still_has(self._job, **progress) else LeaseLost()
