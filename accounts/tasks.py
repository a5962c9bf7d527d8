"""Celery tasks of the accounts."""

from __future__ import annotations

from celery import shared_task
from django.core.management import call_command
from django.utils import timezone

from accounts.viewer_tokens import remove_old


@shared_task(name="accounts.tasks.remove_old_viewer_tokens", autoretry_for=(Exception,), retry_backoff=True, max_retries=5)
def remove_old_viewer_tokens() -> int:
    """Remove the rows of viewer tokens that have been over for long. Answers how many."""
    return remove_old(timezone.now())


@shared_task(name="accounts.tasks.clear_sessions")
def clear_sessions() -> None:
    """Remove the rows of sessions that are over; nobody else does."""
    call_command("clearsessions")
