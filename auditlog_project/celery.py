"""The Celery application. Tasks live in each app's `tasks`; schedules are rows that the admin edits."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "auditlog_project.settings")
app = Celery("auditlog")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
