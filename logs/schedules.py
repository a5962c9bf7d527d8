"""The product's Celery Beat schedules. Made if absent, never overwritten: from then on the admin edits them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from django_celery_beat.models import IntervalSchedule, PeriodicTask

# Name, task, minutes between runs.
Schedule: TypeAlias = tuple[str, str, int]
SCHEDULES: list[Schedule] = [
    ("Prepare partitions", "logs.tasks.prepare_partitions", 60),
    ("Verify logs", "logs.tasks.verify_logs", 24 * 60),
    ("Tend exports", "logs.tasks.tend_exports", 1),
    ("Tend erasures", "logs.tasks.tend_erasures", 1),
    ("Tend deliveries", "logs.tasks.tend_deliveries", 1),
    ("Remove old sessions", "accounts.tasks.clear_sessions", 24 * 60),
    ("Remove old viewer tokens", "accounts.tasks.remove_old_viewer_tokens", 24 * 60),
]


def register_schedules(schedules: Sequence[Schedule]) -> None:
    """Fill the door: apps above the log name schedules of their own, when Django starts."""
    SCHEDULES.extend(schedule for schedule in schedules if schedule not in SCHEDULES)


def create_missing() -> list[str]:
    """Make the schedules that are missing. Answers their names."""
    made = []
    for name, task, minutes in SCHEDULES:
        if not PeriodicTask.objects.filter(task=task).exists():
            every, _ = IntervalSchedule.objects.get_or_create(every=minutes, period=IntervalSchedule.MINUTES)
            PeriodicTask.objects.create(name=name, task=task, interval=every)
            made.append(name)
    return made
