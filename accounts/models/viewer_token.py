"""Credentials that a service hands on to people outside: short-lived, for reading what their query leaves."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.models.api_key import ApiKey
from accounts.models.tenancy import Membership, Tenant


class ViewerToken(models.Model):
    """A viewer token. The token itself is shown once, at its making; stored are its public prefix and its SHA-256.

    It lives by its minter: what the minter may not see or mint any more, it does not show.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="viewer_tokens")
    label = models.CharField(max_length=200, blank=True, help_text="For whom it is.")
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.BinaryField(max_length=32, editable=False)
    query = models.TextField(editable=False, help_text="Joined to every question that its holder asks.")
    may_export = models.BooleanField(default=False, editable=False)
    minted_by_member = models.ForeignKey(Membership, null=True, editable=False, on_delete=models.CASCADE, related_name="viewer_tokens")
    minted_by_key = models.ForeignKey(ApiKey, null=True, editable=False, on_delete=models.CASCADE, related_name="viewer_tokens")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(minted_by_member=None) ^ Q(minted_by_key=None), name="accounts_viewer_token_has_one_minter"),
        ]
        indexes = [
            # What the clean-up looks for.
            models.Index(fields=["expires_at"], name="accounts_viewer_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.prefix})"
