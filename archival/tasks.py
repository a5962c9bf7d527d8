"""Celery tasks of archival, for the worker that has the maintenance role."""

from __future__ import annotations

import logging

from celery import shared_task
from kombu.exceptions import OperationalError

from archival import restoring

logger = logging.getLogger(__name__)


@shared_task(name="archival.tasks.restore")
def restore(restore_id: int) -> None:
    """Carry out a restore. Does nothing for one that has ended or is in good hands."""
    restoring.carry_on(restore_id)


@shared_task(name="archival.tasks.tend_restores")
def tend_restores() -> None:
    """Carry on the restores that nobody carries on: whose worker died, or whose archive or database was away."""
    for id in restoring.unfinished():
        restoring.carry_on(id)


def send_restore(restore_id: int) -> None:
    """Have the worker carry out a restore. If Redis is away, `tend_restores` comes by later."""
    try:
        restore.apply_async((restore_id,), retry=False)
    except OperationalError as error:
        logger.warning("restore %d waits: %s", restore_id, error)
