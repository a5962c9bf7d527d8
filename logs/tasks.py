"""Celery tasks of the log."""

from __future__ import annotations

import datetime
import logging
import uuid

from celery import shared_task
from kombu.exceptions import OperationalError

from accounts.models import Tenant
from logs import deliveries, erasure
from logs.deliveries import waking
from logs.deliveries.recording import record_finished, unrecorded_tenants
from logs.deliveries.replaying import remove_old
from logs.erasure.reapplying import alive
from logs.export import files, jobs, running
from logs.storage import partitions
from logs.verification.runs import interrupted_run, verify

logger = logging.getLogger(__name__)


@shared_task(name="logs.tasks.prepare_partitions", autoretry_for=(Exception,), retry_backoff=True, max_retries=5)
def prepare_partitions() -> None:
    """Make the partitions of the coming days. Does nothing for those that exist."""
    partitions.prepare(datetime.datetime.now(datetime.UTC))


@shared_task(name="logs.tasks.verify_logs")
def verify_logs() -> None:
    """Verify every tenant's whole log, going on where an earlier run was interrupted. Each run is on record in the admin."""
    for tenant in Tenant.objects.order_by("slug"):
        try:
            verify(tenant, started_by="schedule", run=interrupted_run(tenant))
        except Exception:
            # On record with its reason; the other tenants' logs are to be verified all the same.
            logger.exception("the log of tenant %s could not be verified", tenant.slug)
        try:
            if count := len(alive(tenant.id)):
                logger.error("tenant %s: %d erased data keys are alive, as after a restore: run manage.py reapply_erasures", tenant.slug, count)
        except Exception:
            logger.exception("the ledger of erasures of tenant %s could not be read", tenant.slug)


@shared_task(name="logs.tasks.run_export")
def run_export(job_id: str) -> None:
    """Carry out an export job, and send the one after it. Does nothing for a job that is ended or in good hands."""
    running.run(uuid.UUID(job_id))
    for id in jobs.due():
        send_export(id)


@shared_task(name="logs.tasks.tend_exports")
def tend_exports() -> None:
    """Begin the export jobs that nobody carries on, give up the files whose time is over, and remove what is to go."""
    jobs.expire()
    files.clean_up()
    for id in jobs.due():
        send_export(id)


def send_export(job_id: uuid.UUID) -> None:
    """Have a worker carry out the job. If Redis is away, `tend_exports` sends it later."""
    try:
        run_export.apply_async((str(job_id),), retry=False)
    except OperationalError as error:
        logger.warning("export job %s waits: %s", job_id, error)


@shared_task(name="logs.tasks.tend_erasures")
def tend_erasures() -> None:
    """Carry on the erasures that were begun and whose process died, or whose database or storage was away."""
    for id in erasure.unfinished(datetime.datetime.now(datetime.UTC)):
        try:
            erasure.carry_on(id)
        except Exception:
            # The next run tries again; the others are to be carried on all the same.
            logger.exception("erasure %s can't be carried on now", id)


@shared_task(name=waking.SEND)
def send_deliveries(target_id: int) -> None:
    """Send what is due to a target. Does nothing while another worker has it, or while it rests."""
    deliveries.send(target_id)


@shared_task(name="logs.tasks.tend_deliveries")
def tend_deliveries() -> None:
    """Send what nobody sends: Redis was away, or a worker died. Give up what is too old, record what is not, remove what was kept long enough."""
    now = datetime.datetime.now(datetime.UTC)
    deliveries.give_up_old(now)
    for target_id in deliveries.due_targets(now):
        waking.wake(target_id)
    for tenant_id in unrecorded_tenants():
        record_finished(tenant_id, now)
    remove_old(now)
