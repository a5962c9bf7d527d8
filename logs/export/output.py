"""Export jobs as the API gives them."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal
from urllib.parse import urlencode

import msgspec
from django.conf import settings
from django.urls import reverse
from msgspec import Meta

from accounts.principals import Principal
from logs.export.files import signature_of
from logs.export.manifest import Manifest
from logs.export.running import file_name
from logs.models import ExportJob, ExportState

StateName = Literal["queued", "running", "done", "failed", "cancelled", "expired"]


class ExportFile(msgspec.Struct):
    """The file of a job that is done. Whoever has the link can open it, until it expires; each answer has a new one."""

    url: Annotated[str, Meta(description="Path of the file. Needs no Authorization; takes range requests.")]
    url_expires_at: datetime.datetime
    name: str
    bytes: int
    sha256: Annotated[str, Meta(description="Of the file, in hexadecimal.")]


class ExportFailure(msgspec.Struct):
    """Why a job failed, or what its last attempt failed of."""

    code: str
    detail: str


class ExportJobOutput(msgspec.Struct, omit_defaults=True):
    """An export job."""

    id: str
    state: StateName
    format: str
    compression: str
    order: str
    query: Annotated[str, Meta(description="The filters, as a query string.")]
    asked_by: Annotated[str, Meta(description="key:<prefix>, viewer:<prefix> or user:<name>.")]
    created_at: datetime.datetime
    attempts: Annotated[int, Meta(description="How often it was begun.")]
    entries_written: int
    bytes_written: int
    limit: int | None = None
    subject: Annotated[str | None, Meta(description="Of a subject report: whom it is about.")] = None
    is_pseudonymised: Annotated[bool, Meta(description="Without what says who the entries are about.")] = False
    started_at: datetime.datetime | None = None
    finished_at: datetime.datetime | None = None
    expires_at: Annotated[datetime.datetime | None, Meta(description="When the file is removed.")] = None
    manifest: Manifest | None = None
    file: ExportFile | None = None
    error: ExportFailure | None = None
    searched_to: Annotated[
        datetime.datetime | None,
        Meta(description="How far the archive was looked through: all after this moment, or, with `order` asc, all before it. Absent until it is begun."),
    ] = None


def output_of(job: ExportJob, principal: Principal, now: datetime.datetime) -> ExportJobOutput:
    """The job as it stands; with a new link to its file, if it is done and `principal` sees all that the file holds."""
    manifest = msgspec.convert(job.manifest, Manifest) if job.manifest and job.state == ExportState.DONE else None
    return ExportJobOutput(
        id=str(job.id),
        state=msgspec.convert(str(job.state), StateName),
        format=job.format,
        compression=job.compression,
        order=job.order,
        query=job.query,
        asked_by=job.asked_by,
        created_at=job.created_at,
        attempts=job.attempts,
        entries_written=job.entries_written,
        bytes_written=job.bytes_written,
        limit=job.limit,
        subject=job.subject or None,
        is_pseudonymised=job.is_pseudonymised,
        started_at=job.started_at,
        finished_at=job.finished_at,
        expires_at=job.expires_at,
        manifest=manifest,
        file=None if manifest is None or not _may_open(principal, job) else _file(job, manifest, now),
        error=ExportFailure(job.error_code or "retried", job.error) if job.error else None,
        searched_to=job.searched_to,
    )


def _may_open(principal: Principal, job: ExportJob) -> bool:
    return principal.restriction.leaves_all or principal.restriction.digest == job.restriction


def _file(job: ExportJob, manifest: Manifest, now: datetime.datetime) -> ExportFile:
    expires = int(now.timestamp()) + settings.AUDITLOG_EXPORT_LINK_SECONDS
    if job.expires_at is not None:
        expires = min(expires, int(job.expires_at.timestamp()))
    query = urlencode({"expires": expires, "signature": signature_of(job.tenant_id, job.id, expires)})
    return ExportFile(
        url=f"{reverse('export-file', args=[str(job.id)])}?{query}",
        url_expires_at=datetime.datetime.fromtimestamp(expires, datetime.UTC),
        name=file_name(job, job.tenant.slug),
        bytes=manifest.bytes or 0,
        sha256=manifest.sha256 or "",
    )
