"""The Celery application. Tasks live in each app's `tasks`; schedules are rows that the admin edits."""

import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "auditlog_project.settings")
app = Celery("auditlog")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def use_our_lines(**options: Any) -> None:
    """Worker and beat log as the other processes do. With a receiver Celery leaves logging alone; its own lines would print what comes."""
    logging.config.dictConfig(settings.LOGGING)
