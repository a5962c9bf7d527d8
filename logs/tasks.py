"""Celery tasks of the log."""

from __future__ import annotations

import datetime
import logging

from celery import shared_task

from accounts.models import Tenant
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
