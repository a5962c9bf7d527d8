"""Users, tenants, memberships and keys in the Django admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.api_keys import create_api_key, revoke_api_key
from accounts.models import ApiKey, Membership, Tenant, User
from accounts.recorded_admin import RecordedAdmin


class MembershipInline(admin.TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ["user", "tenant"]


@admin.register(User)
class UserAdmin(RecordedAdmin, DjangoUserAdmin):
    resource_type = "audit_log_member"
    inlines = [MembershipInline]

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        # As the other pages: the new password counts when its change is recorded.
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)


@admin.register(Tenant)
class TenantAdmin(RecordedAdmin):
    list_display = ["slug", "name", "is_active", "created_at"]
    list_filter = ["is_active"]
    search_fields = ["slug", "name"]
    inlines = [MembershipInline]

    def has_delete_permission(self, request: HttpRequest, obj: Tenant | None = None) -> bool:
        # A log is ended by making its tenant inactive; its entries stay provable.
        return False


@admin.register(Membership)
class MembershipAdmin(RecordedAdmin):
    resource_type = "audit_log_member"
    list_display = ["user", "tenant", "role", "log_user_id"]
    list_filter = ["tenant", "role"]
    search_fields = ["user__username", "log_user_id"]
    autocomplete_fields = ["user", "tenant"]


@admin.register(ApiKey)
class ApiKeyAdmin(RecordedAdmin):
    resource_type = "audit_log_key"
    list_display = ["name", "tenant", "prefix", "scopes", "state", "last_used_at"]
    list_filter = ["tenant"]
    search_fields = ["name", "prefix"]
    autocomplete_fields = ["tenant"]
    readonly_fields = ["prefix", "created_at", "created_by", "revoked_at", "last_used_at"]
    actions = ["revoke"]

    @admin.display
    def state(self, key: ApiKey) -> str:
        if key.revoked_at:
            return "revoked"
        return "expired" if key.expires_at and key.expires_at <= timezone.now() else "valid"

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        made, key = create_api_key(obj.tenant, obj.name, obj.scopes, expires_at=obj.expires_at, created_by=request.user)  # type: ignore[arg-type]  # the admin is open to users only
        obj.pk = made.pk
        obj.refresh_from_db()
        messages.warning(request, f"The key, shown this once: {key}")

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        # A key is bound to its tenant and scopes for life; another need is another key.
        return [*self.readonly_fields, *(["tenant", "scopes"] if obj else [])]

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        # Entries name the key that posted them; it has to stay known.
        return False

    @admin.action(description="Revoke the selected keys")
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        keys = list(queryset)
        with transaction.atomic():
            for key in keys:
                revoke_api_key(key)
            self.record(request, "REVOKE", keys)
        self.message_user(request, f"{len(keys)} key(s) revoked. Every process refuses them within seconds.")
