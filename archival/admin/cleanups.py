"""Clean-ups in the Django admin: asked for over the API, which asks twice; looked at here."""

from __future__ import annotations

from django.contrib import admin

from archival.admin.pending_acts import LookedAtAdmin
from archival.holds import RETENTION
from archival.models import Cleanup


@admin.register(Cleanup)
class CleanupAdmin(LookedAtAdmin):
    resource_type = RETENTION
    list_display = ["id", "tenant", "state", "before", "entries_purged", "entries_expected", "asked_by", "created_at", "finished_at"]
    list_filter = ["tenant", "state"]
    exclude = ["asked_by_user"]
