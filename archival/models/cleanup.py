"""Clean-ups: entries purged because somebody asked for it, ahead of what the policies say."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from accounts.models import Tenant


class CleanupState(models.TextChoices):
    """Where a clean-up stands. `queued` and `running` go on; the others are ends."""

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    DONE = "done", "done"
    FAILED = "failed", "failed"


CLEANUPS_UNDER_WAY = (CleanupState.QUEUED, CleanupState.RUNNING)


class Cleanup(models.Model):
    """One clean-up, confirmed after its dry run. Its id is a UUIDv7 of the moment of asking."""

    id = models.UUIDField(primary_key=True, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="cleanups")
    # `user:<name>`, and the row as well, for names change.
    asked_by = models.CharField(max_length=160)
    asked_by_user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    # The filters, as a query string. Times in it that are relative count from the moment of the dry run.
    query = models.TextField(blank=True)
    dry_run_at = models.DateTimeField()
    # Entries before this moment, and no other.
    before = models.DateTimeField()
    # Of what one policy decides alone, by its id: if it is gone meanwhile, nothing more is purged.
    policy = models.BigIntegerField(null=True, blank=True)
    # What was confirmed.
    entries_expected = models.BigIntegerField()
    entries_purged = models.BigIntegerField(default=0)
    partitions_total = models.PositiveIntegerField(default=0)
    partitions_done = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=8, choices=CleanupState.choices, default=CleanupState.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    # When the running attempt last said that it lives. Another may take over when that is long ago.
    heartbeat_at = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            # The list of a tenant's clean-ups, newest first.
            models.Index(fields=["tenant", "-id"], name="archival_cleanup_tenant"),
            # What the schedule looks for.
            models.Index(fields=["heartbeat_at"], condition=models.Q(state__in=["queued", "running"]), name="archival_cleanup_going"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant} {self.id}: {self.state}"
