"""Erasures of data subjects on record."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import Tenant


class ErasureState(models.TextChoices):
    """Where an erasure stands. `begun` and `destroyed` go on, and can't be stopped any more; the others are ends."""

    BEGUN = "begun", "begun: decided and recorded; the key is about to be destroyed"
    DESTROYED = "destroyed", "destroyed: the key is gone; that is about to be recorded"
    DONE = "done", "done"
    HELD = "held", "held: a legal hold forbids it"


UNFINISHED = (ErasureState.BEGUN, ErasureState.DESTROYED)


class Erasure(models.Model):
    """One erasure, asked for or carried out. Its id is a UUIDv7 of the moment of asking."""

    id = models.UUIDField(primary_key=True, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="erasures")
    # Empty from the end on where the log itself does not name the subject.
    subject = models.TextField(blank=True)
    # HMAC-SHA256 of the subject, as of data keys. NULL from the end on where `subject` is empty: nothing leads from a name to a pseudonym.
    subject_digest = models.BinaryField(max_length=32, null=True, editable=False)
    reason = models.TextField()
    # Who asked: `key:<prefix>` or `user:<name>`, and the `user_id` by which entries mean them.
    asked_by = models.CharField(max_length=160)
    asked_as = models.CharField(max_length=512)
    state = models.CharField(max_length=10, choices=ErasureState.choices)
    key_ids = ArrayField(models.BigIntegerField(), default=list)
    pseudonyms = ArrayField(models.TextField(), default=list)
    # Export jobs whose files were removed, or that were begun anew, because they held the subject.
    exports = ArrayField(models.UUIDField(), default=list)
    held_because = models.TextField(blank=True)
    # The earlier erasure of the same subject, if this one found nothing new.
    repeats = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField(auto_now=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            # The list of a tenant's erasures, newest first.
            models.Index(fields=["tenant", "-id"], name="logs_erasure_tenant"),
            # Was this subject erased before?
            models.Index(fields=["tenant", "subject_digest"], name="logs_erasure_subject"),
            # What `tend_erasures` looks for.
            models.Index(fields=["updated_at"], condition=models.Q(state__in=["begun", "destroyed"]), name="logs_erasure_unfinished"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant} {self.id}: {self.state}"
