"""Dual control: what a tenant wants a second Admin for, and the acts that wait for one."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models

from accounts.models import Tenant
from accounts.versions import Versioned

MAX_WAITING_HOURS = 30 * 24


class DualControl(Versioned, models.Model):
    """What needs a second Admin in a tenant. No row: nothing does."""

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, primary_key=True, related_name="dual_control")
    is_for_purges = models.BooleanField(default=False, help_text="Clean-ups, and changes of policies by which anything is kept less long.")
    is_for_erasures = models.BooleanField(default=False, help_text="Erasures of data subjects.")
    is_for_releases = models.BooleanField(default=False, help_text="Releases of legal holds.")
    waiting_hours = models.PositiveIntegerField(
        default=0, validators=[MaxValueValidator(MAX_WAITING_HOURS)], help_text="So long after its confirmation an act is carried out."
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    updated_by = models.CharField(max_length=160, blank=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = verbose_name_plural = "dual control"

    def __str__(self) -> str:
        return f"dual control of {self.tenant}"


class ActKind(models.TextChoices):
    """What is to be done."""

    CLEANUP = "cleanup", "clean-up"
    POLICY = "policy", "change of a retention policy"
    ERASURE = "erasure", "erasure of a data subject"
    RELEASE = "release", "release of a legal hold"
    DUAL_CONTROL = "dual_control", "less dual control"


class ActState(models.TextChoices):
    """Where an act stands. `asked` and `confirmed` go on; the others are ends."""

    ASKED = "asked", "asked: waits for a second Admin"
    CONFIRMED = "confirmed", "confirmed: waits for its time"
    DONE = "done", "done"
    REFUSED = "refused", "refused"
    EXPIRED = "expired", "expired: nobody confirmed it in time"
    FAILED = "failed", "failed: it could not be done any more"


WAITING = (ActState.ASKED, ActState.CONFIRMED)


class PendingAct(models.Model):
    """One act under dual control, asked for by one person and confirmed by another."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="pending_acts")
    kind = models.CharField(max_length=12, choices=ActKind.choices)
    # What is to be done, as its kind has it. What names a person is taken out when it is over.
    what = models.JSONField()
    reason = models.TextField(blank=True)
    # `user:<name>`, and the row as well, for names change.
    asked_by = models.CharField(max_length=160)
    asked_by_user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    asked_at = models.DateTimeField()
    # Unless somebody confirms it before then, it is off.
    expires_at = models.DateTimeField()
    decided_by = models.CharField(max_length=160, blank=True)
    decided_by_user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=ActState.choices, default=ActState.ASKED)
    finished_at = models.DateTimeField(null=True, blank=True)
    # What came of it: the id of what was made, or why it failed.
    outcome = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            # The list of a tenant's acts, newest first.
            models.Index(fields=["tenant", "-id"], name="archival_act_tenant"),
            # What the schedule looks for.
            models.Index(fields=["state", "not_before"], condition=models.Q(state__in=["asked", "confirmed"]), name="archival_act_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk} of {self.tenant}: {self.state}"
