"""Alert rules, what the evaluator remembers of each, and the alerts that fired."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import Tenant
from accounts.versions import Versioned


class AlertSeverity(models.TextChoices):
    """How much an alert matters."""

    INFO = "INFO", "INFO"
    WARNING = "WARNING", "WARNING"
    ERROR = "ERROR", "ERROR"
    CRITICAL = "CRITICAL", "CRITICAL"


class AlertGroupField(models.TextChoices):
    """Fields of an entry by whose values a rule may tell its matches apart."""

    USER_ID = "user_id", "user_id"
    IP_ADDRESS = "ip_address", "ip_address"
    ACTION = "action", "action"
    RESOURCE_TYPE = "resource_type", "resource_type"
    RESOURCE_ID = "resource_id", "resource_id"
    SOURCE = "source", "source"
    SESSION_ID = "session_id", "session_id"
    REQUEST_ID = "request_id", "request_id"


class AlertState(models.TextChoices):
    """What people have done about an alert."""

    OPEN = "open", "open: nobody has looked at it"
    ACKNOWLEDGED = "acknowledged", "acknowledged: somebody is at it"
    CLOSED = "closed", "closed"


class AlertRule(Versioned, models.Model):
    """A query with a condition: what of the tenant's log people want to be told."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="alert_rules")
    name = models.CharField(max_length=200)
    description = models.CharField(max_length=2000, blank=True)
    query = models.TextField(help_text="In the query language; empty: every entry.", blank=True)
    condition = models.JSONField(help_text="The kind and its parameters (logs.alerts.conditions).")
    group_by = ArrayField(
        models.CharField(max_length=16, choices=AlertGroupField.choices), default=list, blank=True, help_text="Each combination of values counts by itself."
    )
    severity = models.CharField(max_length=8, choices=AlertSeverity.choices, default=AlertSeverity.WARNING)
    cool_down_seconds = models.PositiveIntegerField(default=300, help_text="After an alert, so long none of the same group.")
    schedule = models.JSONField(null=True, blank=True, help_text="When it may alert; empty: always.")
    muted_until = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    targets = models.ManyToManyField("logs.DeliveryTarget", blank=True, related_name="alert_rules", help_text="Who is told of its alerts.")
    # Goes up with every change: its ETag is made of it.
    version = models.PositiveIntegerField(default=1, editable=False)
    # Goes up with a change of what is counted, or when it is switched on: then counting begins anew, at `begins_at`.
    definition = models.PositiveIntegerField(default=1, editable=False)
    # The first position that counts, and when that was decided.
    begins_at = models.BigIntegerField(default=0, editable=False)
    began_at = models.DateTimeField(editable=False)
    created_by = models.CharField(max_length=160, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="one_alert_rule_per_name")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name


class AlertProgress(models.Model):
    """What the evaluator remembers of one definition of a rule. Written by it alone."""

    rule = models.OneToOneField(AlertRule, on_delete=models.CASCADE, primary_key=True, related_name="progress")
    definition = models.PositiveIntegerField()
    # The first position that counts: the rule's, or a later one where it was learned or failed meanwhile.
    begins_at = models.BigIntegerField()
    # MessagePack of logs.alerts.conditions.State and quieting.QuietState. (As JSON half of the evaluator's time went into quoting it.)
    condition_state = models.BinaryField(default=b"")
    quiet_state = models.BinaryField(default=b"")
    # Of "first seen": how many values are known, from when on they were learned, and whether that is done.
    known_count = models.PositiveIntegerField(default=0)
    learned_from = models.DateTimeField(null=True)
    is_learned = models.BooleanField(default=False)
    match_count = models.BigIntegerField(default=0)
    alert_count = models.BigIntegerField(default=0)
    suppressed_count = models.BigIntegerField(default=0)
    # Why it is not evaluated; empty: it is.
    error = models.TextField(blank=True)
    failed_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "alert progress"

    def __str__(self) -> str:
        return str(self.rule)


class AlertKnownValue(models.Model):
    """A group that a "first seen" rule has seen. `digest`: 16 bytes of the SHA-256 of the group, so that no values are kept."""

    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="known_values")
    digest = models.BinaryField(max_length=16)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "digest"], name="one_known_value_per_rule")]

    def __str__(self) -> str:
        return bytes(self.digest).hex()


class AlertCursor(models.Model):
    """How far a tenant's log has been evaluated."""

    tenant = models.OneToOneField(Tenant, on_delete=models.PROTECT, primary_key=True, related_name="alert_cursor")
    # The last position that every rule has seen.
    position = models.BigIntegerField(default=-1)
    # Goes up with everything that is written by the evaluator: whoever finds another one than they read has to begin again.
    revision = models.BigIntegerField(default=0)
    moved_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.tenant}: {self.position}"


class Alert(Versioned, models.Model):
    """A rule that fired."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="alerts")
    # What it was made by, as it was then; the rule may be gone.
    rule = models.ForeignKey(AlertRule, on_delete=models.SET_NULL, null=True, related_name="alerts")
    rule_name = models.CharField(max_length=200)
    severity = models.CharField(max_length=8, choices=AlertSeverity.choices)
    # Values by field.
    group = models.JSONField(default=dict)
    # How many entries made it; 0: their absence.
    count = models.PositiveIntegerField()
    suppressed_count = models.PositiveIntegerField(default=0)
    # The last of the entries, at most 20.
    positions = ArrayField(models.BigIntegerField(), default=list)
    entry_ids = ArrayField(models.UUIDField(), default=list)
    # When the condition was met by the log's clock, and when the evaluator found it.
    occurred_at = models.DateTimeField()
    fired_at = models.DateTimeField()
    state = models.CharField(max_length=12, choices=AlertState.choices, default=AlertState.OPEN)
    note = models.TextField(blank=True)
    changed_by = models.CharField(max_length=160, blank=True)
    changed_at = models.DateTimeField(null=True)
    # When its entry was stored in the log; null: that is still to be done.
    recorded_at = models.DateTimeField(null=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        # The list, by itself and by what is open; what has no entry yet.
        indexes = [
            models.Index(fields=["tenant", "-id"], name="logs_alert_tenant"),
            models.Index(fields=["tenant", "state", "-id"], name="logs_alert_state"),
            models.Index(fields=["tenant", "id"], condition=models.Q(recorded_at=None), name="logs_alert_unrecorded"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.rule_name} {self.occurred_at:%Y-%m-%d %H:%M:%S}"
