"""Bringing archived entries back into PostgreSQL for a number of days, after which the archiver frees them again by itself.

Invariants:
- Entries are copied, never moved: their segments go on serving, so nothing is lost by whatever becomes of a restore, and a search that finds
  an entry in both tiers gives it once.
- A copy is the row that was archived, with its batch and its place in it: its record, and so its proof, are those that it had.
- A restore is on record before its first entry is copied, and keeps what it brings back (`is_kept`) from then on.
- One process works on a restore at a time (a lock of its session, which dies with it). Whoever comes after goes on behind `reached`, which is
  written after the entries up to it are committed; one that is copied again is there already.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import time
import uuid
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import DatabaseError, connection
from django.db.models import F, QuerySet

from accounts.deeds import Actor, Deed
from accounts.extensions import Outcome, record
from accounts.principals import Principal
from accounts.problems import Fault, Invalid, NotFound, NotRecorded
from archival.models.restore import KEEPING, MAX_DAYS, UNDER_WAY, Restore, RestoreState
from logs.errors import ArchiveUnavailable, InvalidQuery
from logs.extensions import ColdRow
from logs.search.qualifiers import Reader
from logs.search.tiers import chunks, cold_rows, values_by_column
from logs.search.tree import All, TimestampBefore, TimestampFrom
from logs.search.windows import Window, bounds_of
from logs.storage import connecting
from logs.storage.columns import INDEX, INSERT_KEYED_ENTRIES
from logs.storage.engines import Partition
from logs.storage.locks import RESTORE
from logs.storage.partitions import EPOCH, Coverage

logger = logging.getLogger(__name__)
ARCHIVE = "audit_log_archive"
RESTORING, END_RESTORE = Deed("RESTORE", ARCHIVE), Deed("END_RESTORE", ARCHIVE)
MIN_REASON_LENGTH, MAX_REASON_LENGTH = 10, 2000
MAX_ATTEMPTS = 5
# Entries are copied by so many, or so many characters, whichever comes first.
CHUNK_ROWS, CHUNK_CHARACTERS = 1_000, 4 * 2**20
LOOK_SECONDS = 2.0
TRY_LOCK = "SELECT pg_try_advisory_lock(%s, %s)"


class RestoreEnded(Exception):
    """A person has ended the restore meanwhile."""


@dataclass(frozen=True)
class NewRestore:
    """What is to be restored: entries in `[from_at, until_at)` that `query` (empty: all) finds, for so many days."""

    from_at: datetime.datetime
    until_at: datetime.datetime
    days: int
    reason: str
    query: str = ""


def visible_restores(principal: Principal) -> QuerySet[Restore]:
    """The restores of the principal's tenant, newest first."""
    return Restore.objects.filter(tenant_id=principal.tenant_id).order_by("-id")


def is_kept(partition: Partition, tenant_id: uuid.UUID, now: datetime.datetime) -> bool:
    """Is there a restore that has entries of the tenant in this partition, which are to stay there for now?"""
    kept = Restore.objects.filter(tenant_id=tenant_id, state__in=KEEPING, kept_until__gt=now)
    return kept.filter(from_at__lt=partition.upper_at, until_at__gt=partition.lower_at).exists()


def ask_restore(actor: Actor, wanted: NewRestore, now: datetime.datetime) -> Restore:
    """Put a restore on record. Whoever asks sends it to a worker (`archival.tasks.send_restore`). Raises Invalid."""
    check_restore(wanted, now)
    return Restore.objects.create(
        tenant_id=actor.tenant_id,
        from_at=wanted.from_at,
        until_at=wanted.until_at,
        query=wanted.query,
        days=wanted.days,
        reason=wanted.reason,
        asked_by=actor.source,
        asked_as=actor.user_id,
        asked_at=now,
        kept_until=now + datetime.timedelta(days=wanted.days),
    )


def end_restore(tenant_id: uuid.UUID, id: int) -> Restore:
    """Have its entries leave again; one that came to an end already stays as it was. Raises NotFound."""
    Restore.objects.filter(tenant_id=tenant_id, pk=id, state__in=KEEPING).update(state=RestoreState.ENDED)
    restore = Restore.objects.filter(tenant_id=tenant_id, pk=id).first()
    if restore is None:
        raise NotFound(f"There is no restore {id}, or none that you may see.")
    return restore


def unfinished() -> list[int]:
    """The restores that somebody has to carry on, oldest first."""
    return list(Restore.objects.filter(state__in=UNDER_WAY).order_by("id").values_list("pk", flat=True))


def carry_on(id: int) -> None:
    """Copy what is missing of a restore, unless somebody does already. However that goes is on record. Needs the maintenance role."""
    with contextlib.closing(connecting.connect("maintenance")) as database:
        if not database.execute(TRY_LOCK, [RESTORE, id % 2**31]).fetchone()[0]:  # type: ignore[index]  # one row
            return
        Restore.objects.filter(pk=id, state__in=UNDER_WAY).update(state=RestoreState.RUNNING, attempts=F("attempts") + 1)
        restore = Restore.objects.filter(pk=id, state=RestoreState.RUNNING).first()
        if restore is None:
            return
        Restore.objects.filter(pk=id, started_at=None).update(started_at=_now())
        try:
            _copy(database, restore)
            _finish(restore)
        except RestoreEnded:
            logger.info("restore %d was ended", id)
        except (ArchiveUnavailable, NotRecorded, psycopg.Error, DatabaseError) as error:
            detail = error.detail if isinstance(error, ArchiveUnavailable | NotRecorded) else f"{type(error).__name__}: the database failed"
            logger.warning("restore %d: attempt %d failed: %s", id, restore.attempts, error)
            _put_back(restore, detail)


def check_restore(wanted: NewRestore, now: datetime.datetime) -> None:
    """Raises Invalid for a restore that can not be carried out."""
    faults = []
    if wanted.from_at >= wanted.until_at:
        faults.append(Fault("/to", "bad_range", "`to` has to be after `from`."))
    if wanted.from_at < EPOCH:
        faults.append(Fault("/from", "bad_range", "There are no entries before 1970."))
    if not 1 <= wanted.days <= MAX_DAYS:
        faults.append(Fault("/days", "out_of_range", f"`days` has to be a whole number from 1 to {MAX_DAYS}."))
    if not MIN_REASON_LENGTH <= len(wanted.reason) <= MAX_REASON_LENGTH:
        detail = f"Say why, in {MIN_REASON_LENGTH} to {MAX_REASON_LENGTH} characters."
        faults.append(Fault("/reason", "too_short", detail) if len(wanted.reason) < MIN_REASON_LENGTH else Fault("/reason", "too_long", detail))
    if faults:
        raise Invalid(faults)
    try:
        Reader(now).tree(wanted.query)
    except InvalidQuery as problem:
        raise Invalid([Fault("/query", fault.code, fault.detail, fault.column) for fault in problem.faults]) from problem


def _tree(restore: Restore) -> All:
    asked = Reader(restore.asked_at).tree(restore.query) if restore.query.strip() else All()
    return All((asked, TimestampFrom(restore.from_at), TimestampBefore(restore.until_at)))


def _copy(database: psycopg.Connection[Any], restore: Restore) -> None:
    """Copy the entries behind `reached`. Raises RestoreEnded, ArchiveUnavailable, psycopg.Error, DatabaseError."""
    tree = _tree(restore)
    bounds = bounds_of(tree)
    if restore.reached is not None:
        bounds = Window(max(bounds.low, uuid.UUID(int=restore.reached.int + 1)), bounds.high)
    looked_at = time.monotonic()

    def check(reached: uuid.UUID) -> None:
        nonlocal looked_at
        if time.monotonic() > looked_at + LOOK_SECONDS:
            looked_at = time.monotonic()
            if not Restore.objects.filter(pk=restore.pk, state=RestoreState.RUNNING).exists():
                raise RestoreEnded

    with connection.cursor() as cursor:
        rows = cold_rows(cursor, restore.tenant_id, tree, bounds, check=check, is_ascending=True)
    coverage = Coverage()
    for chunk in chunks(rows or iter(()), CHUNK_ROWS, CHUNK_CHARACTERS):
        with database.transaction(), database.cursor() as writing:
            # A partition that was free of entries may have been dropped since the last chunk.
            coverage.forget()
            coverage.ensure(writing, {_day(row) for row in chunk})
            writing.execute(INSERT_KEYED_ENTRIES, values_by_column(chunk))
            copied = writing.rowcount
        progress = {"reached": chunk[-1][INDEX["id"]], "entries_restored": F("entries_restored") + copied}
        if not Restore.objects.filter(pk=restore.pk, state=RestoreState.RUNNING).update(**progress):
            raise RestoreEnded


def _day(row: ColdRow) -> int:
    return (uuid.UUID(row[INDEX["id"]]).int >> 80) // 86_400_000


def _finish(restore: Restore) -> None:
    """Record that all is back, then say so. Raises NotRecorded."""
    restore.refresh_from_db()
    _record(restore, "success", entries=restore.entries_restored)
    now = _now()
    done = {"state": RestoreState.DONE, "finished_at": now, "kept_until": now + datetime.timedelta(days=restore.days), "error": ""}
    Restore.objects.filter(pk=restore.pk, state=RestoreState.RUNNING).update(**done)


def _put_back(restore: Restore, detail: str) -> None:
    """Have it tried again, or give it up after MAX_ATTEMPTS."""
    running = Restore.objects.filter(pk=restore.pk, state=RestoreState.RUNNING)
    with contextlib.suppress(DatabaseError):
        if restore.attempts < MAX_ATTEMPTS:
            running.update(state=RestoreState.QUEUED, error=detail)
        elif running.update(state=RestoreState.FAILED, error=detail, finished_at=_now()):
            try:
                _record(restore, "failure", reason=detail)
            except NotRecorded:
                logger.warning("the end of restore %d is not recorded", restore.pk)


def _record(restore: Restore, outcome: Outcome, **more: Any) -> None:
    told = {"phase": "ended", "from": restore.from_at.isoformat(), "to": restore.until_at.isoformat(), "asked": restore.query, "days": restore.days}
    actor = Actor(restore.tenant_id, restore.asked_as, restore.asked_by)
    record(restore.tenant_id, RESTORING, actor=actor, outcome=outcome, resource_id=f"restore-{restore.pk}", metadata=told | more)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
