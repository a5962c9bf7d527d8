"""How people sign in, in the Django admin: their families of tokens and their second factors."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts import second_factor
from accounts.models import Authenticator, TokenFamily
from accounts.recorded_admin import RecordedAdmin
from accounts.sign_in import recorded


class LookOnlyAdmin(RecordedAdmin):
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
