"""How often somebody failed to sign in."""

from __future__ import annotations

from django.db import models


class SignInCount(models.Model):
    """Failures in a row by one name, from one network or (`network` empty) from everywhere.

    `name_digest`: HMAC-SHA256 of the name, for it may be a password in the wrong field, or nobody's name.
    """

    name_digest = models.BinaryField(max_length=32)
    network = models.CharField(max_length=43, blank=True)
    failures = models.IntegerField(default=0)
    failed_at = models.DateTimeField(db_index=True)
    locked_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("name_digest", "network"), name="one_count_per_name_and_network")]

    def __str__(self) -> str:
        return f"{self.failures} failures from {self.network or 'everywhere'}"
