"""Copies of entries outside of the log: the files of export jobs, which hold in the clear what their askers could read.

A file that may hold the subject is removed; its job can be asked for again. In doubt it is removed.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models.functions import Now
from django.http import QueryDict

from logs.errors import InvalidQuery, TooExpensive
from logs.export import files
from logs.models import ExportJob, ExportState
from logs.models.export import UNDER_WAY
from logs.search.filters import filters_of
from logs.search.tree import All
from logs.subjects import entries_about, is_any_about

_ERASED = "A data subject whose entries it may have held was erased. Ask for it again."


def remove_exports(cursor: Any, tenant_id: uuid.UUID, subject: str) -> list[uuid.UUID]:
    """Give up every export that may hold the subject. Answers which: the files of those that are done go with `clean_up`.

    An attempt that runs has read, or may read, what the key still opened: it is begun anew.
    """
    found = []
    for job in ExportJob.objects.filter(tenant_id=tenant_id, state__in=[ExportState.RUNNING, ExportState.DONE]).order_by("id"):
        if _may_hold(cursor, job, subject):
            found.append(job.id)
            done = ExportJob.objects.filter(pk=job.pk, state=ExportState.DONE)
            if not done.update(state=ExportState.EXPIRED, expires_at=Now(), error_code="erased", error=_ERASED):
                ExportJob.objects.filter(pk=job.pk, state=ExportState.RUNNING).update(state=ExportState.QUEUED, lease=None)
    return found


def clean_up(job_ids: list[uuid.UUID]) -> None:
    """Remove the files. What can't be removed now is left for `tend_exports`."""
    for job in ExportJob.objects.filter(pk__in=job_ids):
        files.clean_up(job)


def forget_reports(tenant_id: uuid.UUID, subject: str) -> None:
    """Take the name out of the records of reports on the subject that are over."""
    ExportJob.objects.filter(tenant_id=tenant_id, subject=subject).exclude(state__in=UNDER_WAY).update(subject="")


def _may_hold(cursor: Any, job: ExportJob, subject: str) -> bool:
    try:
        # What they asked for, whatever of it they may see: rather too much than too little.
        tree = All((filters_of(QueryDict(job.query)).tree(), *((entries_about(cursor, job.tenant_id, job.subject),) if job.subject else ())))
        return is_any_about(cursor, job.tenant_id, subject, tree)
    except (TooExpensive, InvalidQuery):
        return True
