"""Makes a migrated database ready for work: partitions ahead, schedules that are missing."""

from __future__ import annotations

import datetime
from typing import Any

from django.core.management.base import BaseCommand

from logs.schedules import create_missing
from logs.storage import partitions


class Command(BaseCommand):
    help = "Makes the partitions for the coming days and the Celery Beat schedules that are missing. Safe to run at any time."

    def handle(self, *args: Any, **options: Any) -> None:
        partitions.prepare(datetime.datetime.now(datetime.UTC))
        made = create_missing()
        self.stdout.write(f"Partitions are ready. Schedules made: {', '.join(made) or 'none, all were there'}.")
