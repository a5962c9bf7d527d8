"""Having a worker send. If Redis is away, `logs.tasks.tend_deliveries` finds within a minute what is to be sent."""

from __future__ import annotations

import logging
import time

from celery import current_app
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)
SEND = "logs.tasks.send_deliveries"
QUEUE = "deliveries"
# Later ones are found by the tending task: the broker hands a task out anew that was not begun within an hour.
MAX_COUNTDOWN_SECONDS = 300.0
# While Redis is away each try may wait for a connection, and whoever makes alerts by the hundred would wait hundreds of times.
PAUSE_SECONDS = 10.0
_paused_until = 0.0


def wake(target_id: int, after_seconds: float = 0) -> None:
    """Have a worker send what is due to the target."""
    global _paused_until
    if after_seconds > MAX_COUNTDOWN_SECONDS or time.monotonic() < _paused_until:
        return
    try:
        current_app.send_task(SEND, (target_id,), queue=QUEUE, countdown=after_seconds or None, retry=False)
    except OperationalError as error:
        _paused_until = time.monotonic() + PAUSE_SECONDS
        logger.warning("deliveries to target %s wait: %s", target_id, error)
