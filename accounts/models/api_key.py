"""Credentials of services."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models.grant import AccessGrant
from accounts.models.tenancy import Tenant, check_grant


class Scope(models.TextChoices):
    """What a key may do in its tenant."""

    WRITE = "logs:write", "logs:write"
    READ = "logs:read", "logs:read"
    DECRYPT = "logs:decrypt", "logs:decrypt"
    MINT = "viewers:mint", "viewers:mint"


def default_scopes() -> list[str]:
    return [Scope.WRITE.value]


class ApiKey(models.Model):
    """A service's key. The key itself is shown once, at its making; stored are its public prefix and its SHA-256.

    (A plain hash is enough: the secret has 256 random bits, so there is nothing to guess that a slow hash would slow.)
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=200, help_text="Which service holds it.")
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.BinaryField(max_length=32, editable=False)
    scopes = ArrayField(models.CharField(max_length=32, choices=Scope.choices), default=default_scopes)
    grant = models.ForeignKey(
        AccessGrant,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="api_keys",
        help_text="What the key sees and may do beyond its scopes; empty: the whole log, and what its scopes give.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: never.")
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="To the minute.")

    class Meta:
        verbose_name = "API key"
        ordering = ["tenant", "name"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"

    def clean(self) -> None:
        check_grant(self)
