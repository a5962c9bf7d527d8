"""The files of export jobs: where they lie, the links that open them, and their removal.

A path is `<tenant>/<job>/<lease>/<name>`: those of two tenants, jobs or attempts never meet.
"""

from __future__ import annotations

import hmac
import logging
import uuid
from collections.abc import Iterator

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac

from accounts.problems import NotAllowed, NotFound, Unavailable
from logs.export.jobs import LEASE
from logs.models import ExportJob, ExportState
from logs.models.export import UNDER_WAY
from logs.storage import objects

logger = logging.getLogger(__name__)
# Read from the storage at once; sent on in smaller pieces, so that a slow client is one that takes nothing, not one that takes little.
BLOCK_BYTES = 4 * 2**20
PIECE_BYTES = 256 * 2**10
_NOBODY = uuid.UUID(int=0)


def open_store() -> objects.ObjectStore:
    return objects.open_store(settings.AUDITLOG_EXPORT_URL)


def folder_of(job: ExportJob) -> str:
    return f"{job.tenant_id}/{job.id}"


def signature_of(tenant_id: uuid.UUID, job_id: uuid.UUID, expires: int) -> str:
    """What a link to a job's file is signed with. `expires`: seconds since 1970."""
    return salted_hmac("auditlog.export.file", f"{tenant_id}/{job_id}/{expires}", algorithm="sha256").hexdigest()


def job_of_link(job_id: str, expires: str, signature: str, now_seconds: float) -> ExportJob:
    """The job whose file the link opens. Raises NotAllowed for a link that is altered or old, NotFound for a file that is gone."""
    try:
        found = ExportJob.objects.select_related("tenant").filter(pk=uuid.UUID(job_id)).first()
    except ValueError:
        found = None
    moment = int(expires) if expires.isascii() and expires.isdigit() and len(expires) <= 12 else 0
    # Computed for jobs that there are not, too: neither the answer nor its time tells which there are.
    right = signature_of(found.tenant_id if found else _NOBODY, found.id if found else _NOBODY, moment)
    if not hmac.compare_digest(right.encode(), signature.encode()) or found is None:
        raise NotAllowed("The link is not one that this server has made. Take `file.url` of the job as it is.")
    if moment <= now_seconds:
        raise NotAllowed("The link has expired. The job's own address gives a new one.")
    # The path is a column that the application writes: whatever it says, it leads to no other job's file.
    if found.state != ExportState.DONE or not found.tenant.is_active or not found.file_path.startswith(f"{folder_of(found)}/"):
        raise NotFound("The file was removed.")
    return found


def pieces_of(job: ExportJob, start: int, stop: int) -> Iterator[bytes]:
    """The bytes `[start, stop)` of a job's file. Raises NotFound, and Unavailable if the storage is away, before the first."""
    try:
        store = open_store()
        first = objects.read_range(store, job.file_path, start, min(start + BLOCK_BYTES, stop)) if stop > start else b""
    except FileNotFoundError:
        raise NotFound("The file was removed.") from None
    except objects.StorageError as error:
        logger.warning("the file of export job %s can't be read: %s", job.id, error)
        raise Unavailable("The storage of exports does not answer.") from error
    return _pieces(store, job.file_path, first, start + len(first), stop)


def _pieces(store: objects.ObjectStore, path: str, block: bytes, start: int, stop: int) -> Iterator[bytes]:
    while block:
        for offset in range(0, len(block), PIECE_BYTES):
            yield block[offset : offset + PIECE_BYTES]
        block = objects.read_range(store, path, start, min(start + BLOCK_BYTES, stop)) if start < stop else b""
        start += len(block)


def clean_up(job: ExportJob | None = None) -> None:
    """Remove what ended jobs (or this one) have left in the storage. What can't be removed now is left for the next time."""
    # A worker that was cancelled may still write for a moment; it removes its own, and this what it could not.
    is_quiet = Q(heartbeat_at=None) | Q(heartbeat_at__lte=Now() - LEASE) | Q(state=ExportState.EXPIRED)
    ended = ExportJob.objects.filter(is_quiet, has_files=True).exclude(state__in=[*UNDER_WAY, ExportState.DONE])
    for found in ended if job is None else ended.filter(pk=job.pk):
        try:
            objects.discard(open_store(), folder_of(found))
        except objects.StorageError as error:
            logger.warning("the files of export job %s can't be removed now: %s", found.id, error)
        else:
            ExportJob.objects.filter(pk=found.pk).update(has_files=False)
