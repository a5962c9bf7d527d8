"""Verifications of the log on record."""

from __future__ import annotations

import datetime

from django.db import models

from accounts.models import Tenant


class VerificationResult(models.TextChoices):
    """How a verification ended."""

    RUNNING = "running", "running, or interrupted"
    CLEAN = "clean", "clean: the log is what was signed"
    FINDINGS = "findings", "findings: the log is not what was signed"
    FAILED = "failed", "failed: could not be carried out"


class VerificationRun(models.Model):
    """One verification of one tenant's log: of the positions from `low` (included) to `high` (not included)."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="verifications")
    started_by = models.CharField(max_length=16, help_text="command or schedule")
    started_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    low = models.BigIntegerField("from position", default=0)
    high = models.BigIntegerField("to position", default=0)
    verified_count = models.BigIntegerField("entries verified", default=0)
    result = models.CharField(max_length=8, choices=VerificationResult.choices, default=VerificationResult.RUNNING)
    findings = models.JSONField(default=list, blank=True)
    error = models.TextField(blank=True)
    # Where to go on after an interruption, signed.
    state = models.TextField(blank=True, editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["tenant", "-id"], name="logs_verification_tenant")]

    def __str__(self) -> str:
        return f"{self.tenant} {self.low} to {self.high}: {self.result}"

    @property
    def duration(self) -> datetime.timedelta:
        return (self.finished_at or self.updated_at) - self.started_at
