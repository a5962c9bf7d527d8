"""What a tenant says about masking: rules of its own, and what is to happen by the built-in ones."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import Tenant
from accounts.versions import Versioned


class MaskingAction(models.TextChoices):
    """What takes the place of what a rule finds."""

    REDACT = "redact", "redact: [redacted]"
    PARTIAL = "partial", "partial: the last four characters stay"
    HASH = "hash", "hash: equal values stay equal"
    ENCRYPT = "encrypt", "encrypt: who may decrypt can read it"
    DROP = "drop", "drop: nothing stays, not even the key"


class MaskingKind(models.TextChoices):
    """What a rule looks at."""

    KEY = "key", "key: the name of a key"
    PATTERN = "pattern", "pattern: a regular expression, in every text"


class MaskedField(models.TextChoices):
    """The fields of an entry in which is looked."""

    MESSAGE = "message", "message"
    USER_AGENT = "user_agent", "user_agent"
    METADATA = "metadata", "metadata"
    BEFORE = "before", "before"
    AFTER = "after", "after"


class MaskingRule(Versioned, models.Model):
    """A rule of a tenant's own. They come before the built-in ones, in order of position, then of id."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="masking_rules")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=8, choices=MaskingKind.choices)
    pattern = models.CharField(
        max_length=1000,
        help_text="A key's name, * standing for anything (case, _ and - don't count), or a regular expression in RE2's syntax.",
    )
    fields = ArrayField(models.CharField(max_length=12, choices=MaskedField.choices), default=list, blank=True, help_text="Empty: all of them.")
    resource_types = ArrayField(models.CharField(max_length=128), default=list, blank=True, help_text="Empty: all of them.")
    action = models.CharField(max_length=8, choices=MaskingAction.choices, default=MaskingAction.REDACT)
    position = models.PositiveIntegerField(default=100, help_text="Lower ones come first.")
    is_active = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_by = models.CharField(max_length=160, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="one_masking_rule_per_name")]
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name


class BuiltInMasking(models.Model):
    """What a tenant wants otherwise of one built-in rule."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="built_in_masking")
    name = models.CharField(max_length=40)
    action = models.CharField(max_length=8, choices=MaskingAction.choices, blank=True, help_text="Empty: the rule's own.")
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="one_override_per_built_in_rule")]
        ordering = ["name"]
        verbose_name = verbose_name_plural = "built-in masking"

    def __str__(self) -> str:
        return self.name
