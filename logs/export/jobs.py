"""Export jobs on record: asked for, taken by a worker, ended, removed.

Invariants:
- A job is carried on by whoever holds its lease. Every change that an attempt makes names the lease, so that one which was taken
  over or cancelled changes nothing any more.
- All times that are compared are the database's: the clocks of workers may differ.
- An end (done, failed, cancelled, expired) is never left, but for done to expired.
"""

from __future__ import annotations

import datetime
import os
import uuid
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accounts.principals import Principal
from accounts.problems import TooManyRequests
from logs.export.asking import ExportQuestion
from logs.models import ExportJob, ExportState
from logs.models.export import UNDER_WAY
from logs.storage.ids import entry_id, microseconds
from logs.storage.locks import COUNT_EXPORTS

# An attempt that has not said for so long that it lives is taken over.
LEASE_SECONDS = 30
LEASE = datetime.timedelta(seconds=LEASE_SECONDS)
# An attempt that failed for a reason that may pass is followed by the next after so long.
RETRY_AFTER = datetime.timedelta(seconds=30)
MAX_ATTEMPTS = 5
LOCK = "SELECT pg_advisory_xact_lock(%s, hashtext(%s))"


def create(question: ExportQuestion, *, subject: str = "") -> ExportJob:
    """Put a job on record; of a subject report, with its `subject`. Raises TooManyRequests for one more than a principal may have under way."""
    principal = question.principal
    with transaction.atomic():
        # Two requests at once: the second counts the first's job.
        _lock(f"{principal.tenant_id} {principal.source}")
        if own_jobs(principal).filter(state__in=UNDER_WAY).count() >= settings.AUDITLOG_EXPORT_JOBS_WAITING:
            detail = f"You have {settings.AUDITLOG_EXPORT_JOBS_WAITING} export jobs under way already. Wait for one of them, or cancel it."
            raise TooManyRequests(detail, headers={"Retry-After": "30"})
        return ExportJob.objects.create(
            id=new_id(timezone.now()),
            tenant_id=principal.tenant_id,
            asked_by=principal.source,
            asked_by_user_id=principal.user_pk,
            format=question.format,
            compression=question.compression,
            order=question.order,
            limit=question.limit,
            query=question.words,
            subject=subject,
            is_pseudonymised=question.is_pseudonymised,
            restriction=principal.restriction.digest,
        )


def new_id(now: datetime.datetime) -> uuid.UUID:
    return uuid.UUID(entry_id(microseconds(now), int.from_bytes(os.urandom(8)) >> 2))


def own_jobs(principal: Principal) -> QuerySet[ExportJob]:
    """The jobs that this principal asked for."""
    jobs = ExportJob.objects.filter(tenant_id=principal.tenant_id)
    return jobs.filter(asked_by_user_id=principal.user_pk) if principal.user_pk is not None else jobs.filter(asked_by=principal.source, asked_by_user=None)


def visible_jobs(principal: Principal) -> QuerySet[ExportJob]:
    """The jobs that this principal may see and end: its own; Admins who see the whole log all of the tenant."""
    sees_all = principal.may_administer and principal.restriction.leaves_all
    return ExportJob.objects.filter(tenant_id=principal.tenant_id) if sees_all else own_jobs(principal)


def take(job_id: uuid.UUID) -> ExportJob | None:
    """The job with a new lease, if it waits or its worker is gone, and there is room for one more to run."""
    with transaction.atomic():
        _lock("running")
        if _running().exclude(pk=job_id).count() >= settings.AUDITLOG_EXPORT_JOBS_RUNNING:
            return None
        job = ExportJob.objects.select_for_update(of=("self",)).filter(_is_free(), pk=job_id).first()
        if job is None:
            return None
        if job.attempts >= MAX_ATTEMPTS:
            detail = f"It was begun {MAX_ATTEMPTS} times, and each time the worker was gone or the database or the storage was away."
            job.state, job.error_code, job.error, job.finished_at = ExportState.FAILED, "gave_up", detail, timezone.now()
            job.save()
            return None
        job.state, job.lease, job.has_files = ExportState.RUNNING, uuid.uuid4(), True
        job.attempts += 1
        job.entries_written = job.bytes_written = 0
        job.searched_to = None
        job.started_at = timezone.now()
        job.save()
        ExportJob.objects.filter(pk=job.pk).update(heartbeat_at=Now())
    return job


def still_has(job: ExportJob, **progress: Any) -> bool:
    """Say that the attempt lives, and how far it is. False if the job is no longer its own."""
    return _leased(job).update(heartbeat_at=Now(), **progress) == 1


def end(job: ExportJob, state: ExportState, **values: Any) -> bool:
    """End the attempt's job. False if the job was no longer its own."""
    return _leased(job).update(state=state, finished_at=Now(), heartbeat_at=Now(), **values) == 1


def put_back(job: ExportJob, reason: str) -> None:
    """Let the job be begun anew, a while from now."""
    _leased(job).update(state=ExportState.QUEUED, lease=None, heartbeat_at=Now(), error=reason)


def remove(job: ExportJob) -> None:
    """Cancel a job that goes on; of one that is done, give up the file. What lies in the storage goes with `files.clean_up`."""
    if not ExportJob.objects.filter(pk=job.pk, state__in=UNDER_WAY).update(state=ExportState.CANCELLED, finished_at=Now()):
        ExportJob.objects.filter(pk=job.pk, state=ExportState.DONE).update(state=ExportState.EXPIRED, expires_at=Now())


def expire() -> None:
    """Give up the files whose time is over."""
    ExportJob.objects.filter(state=ExportState.DONE, expires_at__lte=Now()).update(state=ExportState.EXPIRED)


def due() -> list[uuid.UUID]:
    """The jobs that are to be begun now, oldest first: as many as there is room for."""
    room = settings.AUDITLOG_EXPORT_JOBS_RUNNING - _running().count()
    return list(ExportJob.objects.filter(_is_free()).order_by("id").values_list("id", flat=True)[: max(room, 0)])


def _leased(job: ExportJob) -> QuerySet[ExportJob]:
    return ExportJob.objects.filter(pk=job.pk, lease=job.lease, state=ExportState.RUNNING)


def _running() -> QuerySet[ExportJob]:
    return ExportJob.objects.filter(state=ExportState.RUNNING, heartbeat_at__gt=Now() - LEASE)


def _is_free() -> Q:
    waits = Q(state=ExportState.QUEUED) & (Q(heartbeat_at=None) | Q(heartbeat_at__lte=Now() - RETRY_AFTER))
    return waits | Q(state=ExportState.RUNNING, heartbeat_at__lte=Now() - LEASE)


def _lock(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(LOCK, [COUNT_EXPORTS, name])
