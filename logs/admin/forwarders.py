"""Forwarders in the Django admin: looked at, paused and resumed there. They are made over the API, which takes their secrets."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.recorded_admin import RecordedAdmin
from logs.forwarding import switch
from logs.models import Forwarder
from logs.streaming.reading import tree_size_of


@admin.register(Forwarder)
class ForwarderAdmin(RecordedAdmin):
    resource_type = "audit_log_forwarder"
    list_display = ["name", "tenant", "kind", "host", "is_active", "position", "lag", "sent_at", "failure_count", "last_error"]
    list_filter = ["tenant", "kind", "is_active"]
    fields = ["tenant", "name", "kind", "host", "query", "is_active", "position", "lag", "sent_count", "sent_at", "failure_count", "last_error", "failed_at"]
    actions = ["pause", "resume"]

    @admin.display(description="entries behind")
    def lag(self, forwarder: Forwarder) -> int:
        return max(0, tree_size_of(forwarder.tenant_id) - 1 - forwarder.position)

    @admin.action(description="Pause", permissions=["switch"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Forwarder]) -> None:
        self._switch(request, queryset, "PAUSE", is_active=False)

    @admin.action(description="Resume", permissions=["switch"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Forwarder]) -> None:
        self._switch(request, queryset, "RESUME", is_active=True)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Forwarder], deed: str, *, is_active: bool) -> None:
        rows = list(queryset)
        self.record(request, deed, rows)
        for row in rows:
            switch(row.tenant_id, row.pk, is_active=is_active)

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return super().has_change_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Forwarder | None = None) -> bool:
        return False
