"""Celery tasks of clean-ups: for the worker that has the maintenance role."""

from __future__ import annotations

import logging
import uuid

from celery import shared_task
from kombu.exceptions import OperationalError

from archival.cleanups import jobs, running

logger = logging.getLogger(__name__)


# By these names they go to the archiver's queue.
@shared_task(name="archival.tasks.run_cleanup")
def run_cleanup(cleanup_id: str) -> None:
    """Carry out a clean-up. Does nothing for one that is over or in good hands."""
    running.run(uuid.UUID(cleanup_id))


@shared_task(name="archival.tasks.tend_cleanups")
def tend_cleanups() -> None:
    """Carry on the clean-ups that nobody carries on."""
    for id in jobs.due():
        running.run(id)


def send_cleanup(id: uuid.UUID) -> None:
    """Have the archiver's worker carry out a clean-up. If Redis is away, `tend_cleanups` does it later."""
    try:
        run_cleanup.apply_async((str(id),), retry=False)
    except OperationalError as error:
        logger.warning("clean-up %s waits: %s", id, error)
