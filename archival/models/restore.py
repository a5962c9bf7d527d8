"""Restores: archived entries that are back in PostgreSQL for a number of days."""

from __future__ import annotations

import datetime

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from accounts.models import Tenant

MAX_DAYS = 366


class RestoreState(models.TextChoices):
    """How far a restore is. All but the first two are ends; only `done` goes over into `ended`."""

    QUEUED = "queued", "waits for a worker"
    RUNNING = "running", "entries are copied"
    DONE = "done", "all entries are back"
    FAILED = "failed", "given up; what was copied leaves again"
    ENDED = "ended", "ended by a person; what was copied leaves again"


UNDER_WAY = (RestoreState.QUEUED, RestoreState.RUNNING)
# While a restore is in one of these, the archiver leaves alone what it brought back.
KEEPING = (*UNDER_WAY, RestoreState.DONE)


class Restore(models.Model):
    """Entries with a timestamp in `[from_at, until_at)` that `query` finds, in PostgreSQL once more until `kept_until`."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="restores")
    from_at = models.DateTimeField()
    until_at = models.DateTimeField()
    query = models.TextField(blank=True, help_text="In the query language. Relative times count from when the restore was asked for.")
    days = models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(MAX_DAYS)])
    reason = models.TextField()
    # Who: `key:<prefix>` or `user:<name>`, and as what entries name them.
    asked_by = models.CharField(max_length=160, editable=False)
    asked_as = models.CharField(max_length=512, editable=False)
    asked_at = models.DateTimeField(default=timezone.now, editable=False)
    state = models.CharField(max_length=8, choices=RestoreState.choices, default=RestoreState.QUEUED, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    # The last id that is back (or was found to be there): where the next attempt goes on.
    reached = models.UUIDField(null=True, editable=False)
    entries_restored = models.BigIntegerField(default=0, editable=False)
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Counted from the end of the work; until then from the beginning, so that nothing leaves meanwhile.
    kept_until = models.DateTimeField(editable=False)
    error = models.TextField(blank=True, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(name="restore_has_a_range", condition=models.Q(from_at__lt=models.F("until_at"))),
            models.CheckConstraint(name="restore_has_days", condition=models.Q(days__gte=1, days__lte=MAX_DAYS)),
        ]
        indexes = [
            # The list of a tenant's restores, newest first.
            models.Index(fields=["tenant", "-id"], name="archival_restore_tenant"),
            # What the archiver asks before it frees: what is kept?
            models.Index(fields=["tenant", "kept_until"], condition=models.Q(state__in=KEEPING), name="archival_restore_keeping"),
        ]

    def __str__(self) -> str:
        return f"restore {self.pk} of {self.tenant}: {self.from_at:%Y-%m-%d} to {self.until_at:%Y-%m-%d}"

    def is_kept(self, now: datetime.datetime) -> bool:
        """Are its entries to stay in PostgreSQL?"""
        return self.state in KEEPING and self.kept_until > now
