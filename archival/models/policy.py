"""Retention policies: how long which entries stay hot, and how long cold after that."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from accounts.models import Tenant
from accounts.models.grant import ACTION_PATTERN, SEVERITIES
from accounts.versions import Versioned

MAX_VALUES = 100
# A century: what is to stay longer stays for ever.
MAX_DAYS = 36_500
DEFAULT_NAME = "Default"
DEFAULT_HOT_DAYS = 90


class RetentionPolicy(Versioned, models.Model):
    """One policy. Of a tenant's policies the first that matches an entry decides; the default, which matches every entry, comes last.

    Without a row the default is what `archival.retention.policies.DEFAULT` says.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="retention_policies")
    name = models.CharField(max_length=100)
    resource_types = ArrayField(
        models.CharField(max_length=128), default=list, blank=True, size=MAX_VALUES, help_text="Entries of these resource types; empty: of all."
    )
    actions = ArrayField(
        models.CharField(max_length=64, validators=[RegexValidator(ACTION_PATTERN, "Actions are upper case: A-Z, 0-9, _ . : -", code="bad_format")]),
        default=list,
        blank=True,
        size=MAX_VALUES,
        help_text="Entries with these actions; empty: with all.",
    )
    severities = ArrayField(
        models.CharField(max_length=16, choices=[(name, name) for name in SEVERITIES]),
        default=list,
        blank=True,
        size=len(SEVERITIES),
        help_text=f"Entries so grave: of {', '.join(SEVERITIES)}; empty: all.",
    )
    hot_days = models.PositiveIntegerField(
        default=DEFAULT_HOT_DAYS,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_DAYS)],
        help_text="Days in the database, counted from the end of the entry's day (UTC).",
    )
    cold_days = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(MAX_DAYS)],
        help_text="Days in the archive after that; empty: for ever; 0: purged without being archived.",
    )
    precedence = models.PositiveIntegerField(default=100, help_text="Lower ones come first; the default comes last, whatever it has here.")
    is_default = models.BooleanField(default=False, editable=False)
    is_locked = models.BooleanField(default=False, help_text="It can be lengthened, never shortened, narrowed, overtaken or deleted; and never unlocked.")
    version = models.PositiveIntegerField(default=1, editable=False)
    # Who: `key:<prefix>` or `user:<name>`.
    updated_by = models.CharField(max_length=160, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        # In the order in which they count.
        ordering = ["tenant", "is_default", "precedence", "id"]
        verbose_name_plural = "retention policies"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="one_retention_policy_per_name"),
            models.UniqueConstraint(fields=["tenant"], condition=models.Q(is_default=True), name="one_default_retention_policy"),
            models.CheckConstraint(
                name="default_retention_policy_matches_all",
                condition=models.Q(is_default=False) | models.Q(resource_types=[], actions=[], severities=[]),
            ),
            models.CheckConstraint(name="retention_policy_keeps_a_day", condition=models.Q(hot_days__gte=1)),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.tenant})"
