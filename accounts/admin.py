"""Users, tenants, memberships and keys in the Django admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts import second_factor
from accounts.api_keys import create_api_key, revoke_api_key
from accounts.models import ApiKey, Authenticator, Membership, RateLimit, Tenant, TokenFamily, User
from accounts.sign_in import recorded


class MembershipInline(admin.TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ["user", "tenant"]


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    inlines = [MembershipInline]


@admin.register(Tenant)
class TenantAdmin(admin.ModelAdmin):
    list_display = ["slug", "name", "is_active", "created_at"]
    list_filter = ["is_active"]
    search_fields = ["slug", "name"]
    inlines = [MembershipInline]

    def has_delete_permission(self, request: HttpRequest, obj: Tenant | None = None) -> bool:
        # A log is ended by making its tenant inactive; its entries stay provable.
        return False


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):
    list_display = ["user", "tenant", "role", "log_user_id"]
    list_filter = ["tenant", "role"]
    search_fields = ["user__username", "log_user_id"]
    autocomplete_fields = ["user", "tenant"]


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
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
        for key in queryset:
            revoke_api_key(key)
        self.message_user(request, f"{queryset.count()} key(s) revoked. Every process refuses them within seconds.")


class LookOnlyAdmin(admin.ModelAdmin):
    """Rows that come about by signing in, not by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(TokenFamily)
class TokenFamilyAdmin(LookOnlyAdmin):
    list_display = ["user", "started_at", "refreshed_at", "expires_at", "ended_at", "ended_because", "ip_address", "user_agent"]
    list_filter = ["ended_because"]
    search_fields = ["user__username"]
    date_hierarchy = "started_at"
    actions = ["end"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="End the selected sign-ins")
    def end(self, request: HttpRequest, queryset: QuerySet[TokenFamily]) -> None:
        going_on = list(queryset.filter(ended_at=None).select_related("user"))
        for family in going_on:
            recorded(request, family.user, "SIGN_IN_ENDED", sign_in=str(family.pk), by=request.user.get_username())
            TokenFamily.objects.filter(pk=family.pk, ended_at=None).update(ended_at=timezone.now(), ended_because=TokenFamily.Reason.ENDED)
        self.message_user(request, f"{len(going_on)} sign-in(s) ended. Every process refuses their tokens within seconds.")


@admin.register(Authenticator)
class AuthenticatorAdmin(LookOnlyAdmin):
    """Deleting one takes the person's second factor away, recovery codes too: for a lost telephone with lost codes."""

    list_display = ["user", "confirmed", "created_at", "last_used_at"]
    list_filter = ["confirmed"]
    search_fields = ["user__username"]
    fields = ["user", "confirmed", "created_at", "last_used_at"]

    def delete_model(self, request: HttpRequest, obj: Authenticator) -> None:
        recorded(request, obj.user, "SECOND_FACTOR_REMOVED", by=request.user.get_username())
        second_factor.remove(obj.user)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Authenticator]) -> None:
        for one in queryset.select_related("user"):
            self.delete_model(request, one)


@admin.register(RateLimit)
class RateLimitAdmin(admin.ModelAdmin):
    """Limits beside those built in (docs/rate-limits.md). Every process counts by them within seconds."""

    list_display = ["endpoint_class", "subject_kind", "tenant", "api_key", "membership", "amount", "window_seconds", "is_active"]
    list_filter = ["endpoint_class", "subject_kind", "is_active", "tenant"]
    list_select_related = ["tenant", "api_key", "membership__user", "membership__tenant"]
    autocomplete_fields = ["tenant", "api_key", "membership"]
