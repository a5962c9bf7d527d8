"""Celery tasks of the log."""

from __future__ import annotations

import datetime

from celery import shared_task

from logs.storage import partitions


@shared_task(name="logs.tasks.prepare_partitions", autoretry_for=(Exception,), retry_backoff=True, max_retries=5)
def prepare_partitions() -> None:
    """Make the partitions of the coming days. Does nothing for those that exist."""
    partitions.prepare(datetime.datetime.now(datetime.UTC))
