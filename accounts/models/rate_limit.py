"""How often something may be asked for, where the built-in limits do not fit."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from accounts.models.api_key import ApiKey
from accounts.models.tenancy import Membership, Tenant

# Redis counts with the doubles of Lua, exact up to 2^53.
MAX_AMOUNT = 10**12
MAX_WINDOW_SECONDS = 7 * 86_400


class EndpointClass(models.TextChoices):
    """What is asked for, by what it costs. Every view of the API names its class."""

    INGEST = "ingest", "posting entries (counts entries)"
    SEARCH = "search", "searches, reads, statistics, proofs"
    EXPORT = "export", "exports"
    SIGN_IN = "sign_in", "signing in and tokens"
    MANAGE = "manage", "keys, rules, settings and all else that changes something"
    OTHER = "other", "all else"


class SubjectKind(models.TextChoices):
    """Whose requests are counted together."""

    PRINCIPAL = "principal", "principal: a key or a member (at signing in: a user name)"
    TENANT = "tenant", "tenant"
    ADDRESS = "address", "client address (IPv6: its /64)"


class RateLimit(models.Model):
    """One limit: `amount` in any `window_seconds`. The narrowest one that is active counts: for a key or member, for a tenant, for all, built in."""

    endpoint_class = models.CharField(max_length=16, choices=EndpointClass.choices)
    subject_kind = models.CharField("counted by", max_length=16, choices=SubjectKind.choices)
    tenant = models.ForeignKey(
        Tenant, null=True, blank=True, on_delete=models.CASCADE, related_name="+", help_text="For this tenant, or its principals, only. Empty: for all."
    )
    api_key = models.ForeignKey(
        ApiKey, null=True, blank=True, on_delete=models.CASCADE, related_name="+", verbose_name="API key", help_text="For this key only."
    )
    membership = models.ForeignKey(
        Membership, null=True, blank=True, on_delete=models.CASCADE, related_name="+", verbose_name="member", help_text="For this member only."
    )
    amount = models.BigIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(MAX_AMOUNT)],
        help_text="Requests; of posting: entries. A larger request than this is always refused.",
    )
    window_seconds = models.IntegerField(default=60, validators=[MinValueValidator(1), MaxValueValidator(MAX_WINDOW_SECONDS)])
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["endpoint_class", "subject_kind", "tenant", "api_key", "membership"]
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint_class", "subject_kind", "tenant", "api_key", "membership"],
                nulls_distinct=False,
                name="one_rate_limit_for_each",
                violation_error_message="There is a limit for this already: change that one.",
            ),
            models.CheckConstraint(condition=models.Q(amount__gte=1, window_seconds__gte=1), name="rate_limit_is_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.endpoint_class} by {self.subject_kind}: {self.amount} in {self.window_seconds} s"

    def clean(self) -> None:
        super().clean()
        faults: dict[str, Any] = {}
        holders = [name for name in ("api_key", "membership") if getattr(self, f"{name}_id") is not None]
        if len(holders) == 2:
            faults["membership"] = "Name a key or a member, not both."
        if holders and self.subject_kind != SubjectKind.PRINCIPAL:
            faults["subject_kind"] = "A limit for a key or member is counted by principal."
        if holders and self.tenant_id is not None:
            faults["tenant"] = "A key or member has its tenant: leave this empty."
        if self.tenant_id is not None and self.subject_kind == SubjectKind.ADDRESS:
            faults["tenant"] = "An address is counted before it is known whose request it is: a limit by address is for all tenants."
        if self.endpoint_class == EndpointClass.SIGN_IN:
            if holders or self.tenant_id is not None:
                faults["endpoint_class"] = "Who signs in has no tenant yet: a limit of signing in is for all."
            elif self.subject_kind == SubjectKind.TENANT:
                faults["subject_kind"] = "Who signs in has no tenant yet: count by principal (the user name) or by address."
        if faults:
            raise ValidationError(faults)
