"""Export jobs: what was asked for, how far it is, and where its file lies."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from accounts.models import Tenant


class ExportState(models.TextChoices):
    """Where a job stands. `queued` and `running` go on; the others are ends."""

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    DONE = "done", "done: the file is there"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"
    EXPIRED = "expired", "expired: the file was removed"


UNDER_WAY = (ExportState.QUEUED, ExportState.RUNNING)


class ExportJob(models.Model):
    """One export in the background. Its id is a UUIDv7 of the moment of asking: the order of ids is that of asking."""

    id = models.UUIDField(primary_key=True, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="export_jobs")
    # Who asked: `key:<prefix>`, `viewer:<prefix>` or `user:<name>`; a person by the row as well, for names change.
    asked_by = models.CharField(max_length=160)
    asked_by_user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="export_jobs")
    format = models.CharField(max_length=16)
    compression = models.CharField(max_length=8)
    order = models.CharField(max_length=4)
    limit = models.BigIntegerField(null=True, blank=True)
    # The filters, as a query string; whose entries they find is decided by the rights of the asker when the job runs.
    query = models.TextField(blank=True)
    # Of a subject report: whom it is about.
    subject = models.TextField(blank=True)
    is_pseudonymised = models.BooleanField(default=False)
    # Digest of what the asker might see when they asked; empty: the whole log. They have to see the same when it runs, and to open the file.
    restriction = models.CharField(max_length=64, blank=True, editable=False)
    state = models.CharField(max_length=12, choices=ExportState.choices, default=ExportState.QUEUED)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    # Whose the running attempt is, and when it last said that it lives. Another may take over when that is long ago.
    lease = models.UUIDField(null=True, blank=True, editable=False)
    heartbeat_at = models.DateTimeField(null=True, blank=True, editable=False)
    entries_written = models.BigIntegerField(default=0)
    bytes_written = models.BigIntegerField(default=0)
    # How far the archive was looked through: everything after it, or, oldest first, before it.
    searched_to = models.DateTimeField(null=True, blank=True, editable=False)
    # May there be objects of this job in the storage?
    has_files = models.BooleanField(default=False, editable=False)
    file_path = models.TextField(blank=True, editable=False)
    manifest = models.JSONField(null=True, blank=True)
    error_code = models.CharField(max_length=32, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            # The list of a tenant's jobs, newest first.
            models.Index(fields=["tenant", "-id"], name="logs_export_tenant"),
            # What `tend_exports` looks for: jobs that go on, and files to be removed.
            models.Index(fields=["state", "heartbeat_at"], name="logs_export_state"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant} {self.format} {self.id}: {self.state}"
