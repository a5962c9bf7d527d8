"""Where people want to be told, what is on its way there, and every attempt."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import Tenant
from accounts.versions import Versioned


class TargetKind(models.TextChoices):
    """How a target is told."""

    WEBHOOK = "webhook", "webhook: signed as Standard Webhooks say"
    SLACK = "slack", "slack: an incoming webhook of Slack or its like"
    EMAIL = "email", "email"


class DeliveryState(models.TextChoices):
    """What has become of a delivery."""

    WAITING = "waiting", "waiting: for its first attempt or the next"
    DELIVERED = "delivered", "delivered"
    DEAD = "dead", "dead: given up, until somebody replays it"


class DeliveryTarget(Versioned, models.Model):
    """Where a tenant's notices go."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="delivery_targets")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=8, choices=TargetKind.choices)
    email_addresses = ArrayField(models.CharField(max_length=254), default=list, blank=True)
    # Of the address no more than this is shown to anybody: its path may be a secret.
    host = models.CharField(max_length=300, blank=True, editable=False)
    # Address and signing secrets (logs.deliveries.secrets), and what they are sealed for.
    sealed = models.BinaryField(editable=False)
    seal_key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    is_active = models.BooleanField(default=True)
    # Why it was switched off by itself; empty: it was not.
    stopped_because = models.CharField(max_length=300, blank=True, editable=False)
    # Failures in a row, and until when it is left alone because of them.
    failure_count = models.PositiveIntegerField(default=0, editable=False)
    rests_until = models.DateTimeField(null=True, editable=False)
    # Who sends to it now, and until when that is theirs: one at a time.
    claim = models.UUIDField(null=True, editable=False)
    claimed_until = models.DateTimeField(null=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_by = models.CharField(max_length=160, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="one_delivery_target_per_name")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One notice on its way to one target."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="deliveries")
    target = models.ForeignKey(DeliveryTarget, on_delete=models.CASCADE, related_name="deliveries")
    # What it tells of: the same is told to a target once. Receivers see it as `webhook-id`, so that what arrives twice is known as one.
    message_id = models.CharField(max_length=128)
    type = models.CharField(max_length=64)
    notice = models.JSONField()
    state = models.CharField(max_length=9, choices=DeliveryState.choices, default=DeliveryState.WAITING)
    # Of this series: a replay begins another.
    attempt_count = models.PositiveIntegerField(default=0)
    series = models.PositiveIntegerField(default=1)
    # When this series began: it is given up when it is too old.
    begun_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    # When what became of it was stored in the log; null while that is to be done.
    recorded_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["target", "message_id"], name="one_delivery_per_message")]
        indexes = [
            # What is to be sent to a target, oldest first.
            models.Index(fields=["target", "next_attempt_at"], condition=models.Q(state=DeliveryState.WAITING), name="logs_delivery_due"),
            # A tenant's list, newest first; of one state.
            models.Index(fields=["tenant", "-created_at", "-id"], name="logs_delivery_tenant"),
            models.Index(fields=["tenant", "state", "-created_at", "-id"], name="logs_delivery_state"),
            models.Index(fields=["finished_at"], condition=models.Q(recorded_at=None), name="logs_delivery_unrecorded"),
        ]
        ordering = ["-created_at", "-id"]
        verbose_name_plural = "deliveries"

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class DeliveryAttempt(models.Model):
    """One try, and what came of it."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts")
    series = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField()
    is_success = models.BooleanField()
    status_code = models.PositiveSmallIntegerField(null=True)
    # What went wrong, and how the answer began: cut and without control characters.
    error = models.CharField(max_length=300, blank=True)
    answer = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M:%S} {'arrived' if self.is_success else 'failed'}"
