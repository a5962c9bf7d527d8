"""What a sign-in to the API began."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models


class TokenFamily(models.Model):
    """All tokens of one sign-in. `jti` is the id of the one refresh token that is good; no token is stored."""

    class Reason(models.TextChoices):
        SIGNED_OUT = "signed_out", "signed out"
        REUSED = "reused", "a refresh token came twice"
        SECOND_FACTOR = "second_factor", "the second factor changed"
        ENDED = "ended", "ended by an administrator"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="token_families")
    jti = models.CharField(max_length=32, editable=False)
    started_at = models.DateTimeField()
    refreshed_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_because = models.CharField(max_length=16, choices=Reason.choices, blank=True)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = "sign-in"
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return f"{self.user} since {self.started_at:%Y-%m-%d %H:%M}"
