"""Questions that people keep, for themselves or for their tenant."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from accounts.models import Tenant


class SavedSearch(models.Model):
    """A question to the log with a name. Whoever runs it sees what they themselves may see."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="saved_searches")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_searches")
    name = models.CharField(max_length=200)
    description = models.CharField(max_length=2000, blank=True)
    query = models.JSONField(help_text="Parameters of the search, each with a list of values.")
    is_shared = models.BooleanField(default=False, help_text="All members of the tenant who may read see it and can run it.")
    # Goes up with every change: its ETag is made of it.
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "owner", "name"], name="one_saved_search_per_name")]
        # For the list of what is shared; one's own are found by the constraint's index.
        indexes = [models.Index(fields=["tenant", "-id"], condition=models.Q(is_shared=True), name="logs_saved_search_shared")]
        ordering = ["-id"]
        verbose_name_plural = "saved searches"

    def __str__(self) -> str:
        return self.name
