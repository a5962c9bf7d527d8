"""Users, tenants, memberships, grants, keys and viewer tokens in the Django admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts import sign_in_admin  # noqa: F401  (registers how people sign in)
from accounts.api_keys import create_api_key, revoke_api_key
from accounts.models import AccessGrant, ApiKey, Membership, RateLimit, Tenant, User, ViewerToken
from accounts.recorded_admin import RecordedAdmin
from accounts.viewer_tokens import revoke_viewer_token


class MembershipInline(admin.TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ["user", "tenant", "grant"]


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
    list_display = ["user", "tenant", "role", "grant", "log_user_id"]
    list_filter = ["tenant", "role"]
    search_fields = ["user__username", "log_user_id"]
    autocomplete_fields = ["user", "tenant", "grant"]


@admin.register(AccessGrant)
class AccessGrantAdmin(RecordedAdmin):
    resource_type = "audit_log_grant"
    list_display = ["name", "tenant", "state", "forced_query", "holders"]
    list_filter = ["tenant", "is_active"]
    search_fields = ["name", "tenant__slug"]
    autocomplete_fields = ["tenant"]
    readonly_fields = ["holders", "created_at", "updated_at"]
    fieldsets = [
        (None, {"fields": ["tenant", "name", "description", "holders"]}),
        ("What is seen: entries for which all of this holds", {"fields": ["resource_types", "actions", "severities", "own_entries_only"]}),
        (None, {"fields": ["from_at", "until_at", "forced_query"]}),
        ("What is allowed", {"fields": ["may_decrypt", "may_export", "may_erase", "may_manage_retention"]}),
        ("For how long", {"fields": ["is_active", "valid_until", "created_at", "updated_at"]}),
    ]

    @admin.display
    def state(self, grant: AccessGrant) -> str:
        return "over: its holders have nothing" if grant.has_ended(timezone.now()) else "valid"

    @admin.display(description="who holds it")
    def holders(self, grant: AccessGrant) -> str:
        members = [membership.user.get_username() for membership in grant.memberships.all()]
        return ", ".join([*members, *(f"key {key}" for key in grant.api_keys.all())]) or "nobody"

    def get_queryset(self, request: HttpRequest) -> QuerySet[AccessGrant]:
        found: QuerySet[AccessGrant] = super().get_queryset(request)
        return found.select_related("tenant").prefetch_related("memberships__user", "api_keys")

    def get_readonly_fields(self, request: HttpRequest, obj: AccessGrant | None = None) -> list[str]:
        # Its holders are of its tenant.
        return [*self.readonly_fields, *(["tenant"] if obj else [])]

    def save_model(self, request: HttpRequest, obj: AccessGrant, form: Any, change: bool) -> None:
        # Whoever read it by the API has read another version.
        obj.version += 1 if change else 0
        super().save_model(request, obj, form, change)


@admin.register(ApiKey)
class ApiKeyAdmin(RecordedAdmin):
    resource_type = "audit_log_key"
    list_display = ["name", "tenant", "prefix", "scopes", "grant", "state", "last_used_at"]
    list_filter = ["tenant"]
    search_fields = ["name", "prefix"]
    autocomplete_fields = ["tenant", "grant"]
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
        made, key = create_api_key(obj.tenant, obj.name, obj.scopes, expires_at=obj.expires_at, created_by=request.user, grant=obj.grant)  # type: ignore[arg-type]  # the admin is open to users only
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


@admin.register(ViewerToken)
class ViewerTokenAdmin(RecordedAdmin):
    """Minted by the API, looked at and revoked here."""

    resource_type = "audit_log_viewer_token"
    list_display = ["prefix", "tenant", "label", "query", "state", "expires_at"]
    list_filter = ["tenant"]
    search_fields = ["prefix", "label"]
    readonly_fields = ["tenant", "label", "prefix", "query", "may_export", "minted_by_member", "minted_by_key", "created_at", "expires_at", "revoked_at"]
    actions = ["revoke"]

    @admin.display
    def state(self, token: ViewerToken) -> str:
        if token.revoked_at:
            return "revoked"
        return "expired" if token.expires_at <= timezone.now() else "valid"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ViewerToken | None = None) -> bool:
        # Entries about what it read name it.
        return False

    @admin.action(description="Revoke the selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ViewerToken]) -> None:
        tokens = list(queryset)
        with transaction.atomic():
            for token in tokens:
                revoke_viewer_token(token)
            self.record(request, "REVOKE", tokens)
        self.message_user(request, f"{len(tokens)} token(s) revoked. Every process refuses them within seconds.")


@admin.register(RateLimit)
class RateLimitAdmin(RecordedAdmin):
    """Limits beside those built in (docs/rate-limits.md). Every process counts by them within seconds."""

    resource_type = "audit_log_limit"
    list_display = ["endpoint_class", "subject_kind", "tenant", "api_key", "membership", "amount", "window_seconds", "is_active"]
    list_filter = ["endpoint_class", "subject_kind", "is_active", "tenant"]
    list_select_related = ["tenant", "api_key", "membership__user", "membership__tenant"]
    autocomplete_fields = ["tenant", "api_key", "membership"]
