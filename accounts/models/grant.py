"""Grants: what some members and keys see of a log, and may do with it, instead of what their role or scopes give."""

from __future__ import annotations

import datetime

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

from accounts.forced_queries import check_forced_query
from accounts.models.ability import Ability
from accounts.models.tenancy import Tenant
from accounts.problems import Problem
from accounts.restrictions import Limits
from accounts.versions import Versioned

MAX_VALUES = 100
MAX_QUERY_CHARACTERS = 4096
# As entries have them; a test compares them with what the log says.
SEVERITIES = ("INFO", "WARNING", "ERROR", "CRITICAL")
ACTION_PATTERN = r"^[A-Z][A-Z0-9_.:-]{0,63}(?![\s\S])"


class AccessGrant(Versioned, models.Model):
    """What its holders see and may do. Empty lists and empty bounds leave everything; a grant that is over leaves nothing."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="grants")
    name = models.CharField(max_length=200)
    description = models.CharField(max_length=2000, blank=True)
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
    own_entries_only = models.BooleanField(default=False, help_text="A member sees entries about themselves, a key those that it posted.")
    from_at = models.DateTimeField(null=True, blank=True, help_text="Entries of this time and later; empty: from the beginning.")
    until_at = models.DateTimeField(null=True, blank=True, help_text="Entries before this time; empty: to the newest.")
    forced_query = models.TextField(
        blank=True,
        max_length=MAX_QUERY_CHARACTERS,
        help_text="In the query language of search; joined to every question that a holder asks. Times such as -7d count from that moment.",
    )
    valid_until = models.DateTimeField(null=True, blank=True, help_text="From then on its holders have nothing; empty: no end.")
    is_active = models.BooleanField(default=True, help_text="Its holders have nothing while it is not.")
    may_decrypt = models.BooleanField(default=False, help_text=f"May {Ability.DECRYPT.label}.")
    may_export = models.BooleanField(default=False, help_text=f"May {Ability.EXPORT.label}.")
    may_erase = models.BooleanField(default=False, help_text=f"May {Ability.ERASE.label}.")
    may_manage_retention = models.BooleanField(default=False, help_text=f"May {Ability.RETENTION.label}.")
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["tenant", "name"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="accounts_grant_name")]

    def __str__(self) -> str:
        return f"{self.name} ({self.tenant})"

    def clean(self) -> None:
        if self.from_at is not None and self.until_at is not None and self.from_at >= self.until_at:
            raise ValidationError({"until_at": ValidationError("The end is not after the beginning.", code="bad_range")})
        try:
            check_forced_query(self.forced_query)
        except Problem as problem:
            raise ValidationError({"forced_query": ValidationError(problem.detail, code="bad_query")}) from problem

    @property
    def abilities(self) -> frozenset[str]:
        """What it allows beyond reading."""
        allowed = {
            Ability.DECRYPT: self.may_decrypt,
            Ability.EXPORT: self.may_export,
            Ability.ERASE: self.may_erase,
            Ability.RETENTION: self.may_manage_retention,
        }
        return frozenset(ability.value for ability, is_allowed in allowed.items() if is_allowed)

    def has_ended(self, now: datetime.datetime) -> bool:
        return not self.is_active or (self.valid_until is not None and self.valid_until <= now)

    def limits(self, *, own_user_id: str | None = None, own_source: str | None = None) -> Limits:
        """What it leaves a holder: a member with this `own_user_id`, or a key with this `own_source`."""
        return Limits(
            resource_types=tuple(self.resource_types),
            actions=tuple(self.actions),
            severities=tuple(self.severities),
            own_user_id=own_user_id if self.own_entries_only else None,
            own_source=own_source if self.own_entries_only else None,
            from_at=self.from_at,
            until_at=self.until_at,
            forced_query=self.forced_query,
            valid_until=self.valid_until,
        )
