"""What may be allowed beyond reading and writing."""

from __future__ import annotations

from django.db import models


class Ability(models.TextChoices):
    """One thing that a principal may do; roles and scopes give some, grants say exactly."""

    DECRYPT = "decrypt", "see encrypted fields"
    EXPORT = "export", "export entries"
    ERASE = "erase", "erase data subjects"
    RETENTION = "retention", "manage retention and legal holds"
