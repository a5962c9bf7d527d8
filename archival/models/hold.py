"""Legal holds: what may be neither erased nor purged, why, and who says so."""

from __future__ import annotations

import datetime

from django.db import models
from django.utils import timezone

from accounts.models import Tenant


class HeldThing(models.TextChoices):
    """What a hold holds."""

    TENANT = "tenant", "the whole log of the tenant"
    QUERY = "query", "the entries that a query finds"
    SUBJECT = "subject", "a data subject"


class LegalHold(models.Model):
    """One hold. It is active until a person releases it; the date `until` only makes it due."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="legal_holds")
    holds = models.CharField(max_length=8, choices=HeldThing.choices)
    query = models.TextField(blank=True, help_text="In the query language. Relative times count from when the hold was placed.")
    subject = models.CharField(max_length=512, blank=True)
    reason = models.TextField()
    # Who: `key:<prefix>` or `user:<name>`.
    placed_by = models.CharField(max_length=160, editable=False)
    placed_at = models.DateTimeField(default=timezone.now, editable=False)
    until = models.DateTimeField(null=True, blank=True, help_text="From then on the hold is due: still active, until a person releases it.")
    released_by = models.CharField(max_length=160, blank=True, editable=False)
    released_at = models.DateTimeField(null=True, blank=True, editable=False)
    release_reason = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="legal_hold_says_what_it_holds",
                condition=models.Q(holds=HeldThing.TENANT, query="", subject="")
                | (models.Q(holds=HeldThing.QUERY, subject="") & ~models.Q(query=""))
                | (models.Q(holds=HeldThing.SUBJECT, query="") & ~models.Q(subject="")),
            )
        ]
        indexes = [
            # The list of a tenant's holds, newest first.
            models.Index(fields=["tenant", "-id"], name="archival_hold_tenant"),
            # What an erasure asks: which are active?
            models.Index(fields=["tenant"], condition=models.Q(released_at=None), name="archival_hold_active"),
        ]

    def __str__(self) -> str:
        return f"hold {self.pk} on {self.get_holds_display()} of {self.tenant}"

    @property
    def is_active(self) -> bool:
        return self.released_at is None

    def is_due(self, now: datetime.datetime) -> bool:
        """Is its date over, and nobody has released it?"""
        return self.is_active and self.until is not None and self.until <= now
