"""Celery tasks of dual control. They need no role but the application's."""

from __future__ import annotations

import datetime

from celery import shared_task

from archival.dual_control.acts import expire
from archival.dual_control.carrying_out import carry_out_all


@shared_task(name="archival.dual_control.tend_acts")
def tend_acts() -> None:
    """Carry out the acts whose time has come, and end those that nobody confirmed in time."""
    now = datetime.datetime.now(datetime.UTC)
    carry_out_all(now)
    expire(now)
