"""Delivery targets and deliveries in the Django admin: targets are made and switched there, dead letters replayed."""

from __future__ import annotations

import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.problems import Invalid
from accounts.recorded_admin import RecordedAdmin
from logs.deliveries import NewTarget, change_target, create_target, replay
from logs.deliveries.recording import DELIVERY, TARGET
from logs.deliveries.secrets import secrets_of
from logs.deliveries.targets import MAX_TARGETS, check_target
from logs.models import Delivery, DeliveryAttempt, DeliveryTarget
from logs.privacy.encryption.master_keys import KeyLost, master_keys

ATTEMPT_FIELDS = ("series", "started_at", "duration_ms", "is_success", "status_code", "error", "answer")
DELIVERY_FIELDS = (
    "tenant",
    "target",
    "message_id",
    "type",
    "notice",
    "state",
    "attempt_count",
    "series",
    "next_attempt_at",
    "created_at",
    "finished_at",
)


class DeliveryTargetForm(forms.ModelForm):
    """A target. Its address is never shown: what is left empty stays as it is."""

    url = forms.CharField(required=False, max_length=2048, label="Address", help_text="Of webhooks and chats. Kept encrypted; empty: it stays as it is.")

    class Meta:
        model = DeliveryTarget
        fields = ["tenant", "name", "kind", "email_addresses", "is_active"]

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if self.errors:
            return given
        is_new = self.instance.pk is None
        kind = given["kind"] if is_new else self.instance.kind
        addresses = tuple(given.get("email_addresses") or ())
        try:
            url = given["url"] or ("" if is_new else secrets_of(self.instance).url)
        except (KeyLost, ImproperlyConfigured) as error:
            raise forms.ValidationError("The target's secrets can't be opened: delete it and make another.") from error
        self.new_target = NewTarget(name=given["name"], kind=kind, url=url, email_addresses=addresses, is_active=given["is_active"])
        try:
            master_keys()
        except ImproperlyConfigured as error:
            raise forms.ValidationError("This installation has no master key, so no address can be kept.") from error
        try:
            check_target(self.new_target)
        except Invalid as error:
            for fault in error.faults:
                name = fault.pointer.removeprefix("/").partition("/")[0]
                self.add_error(name if name in self.fields else None, fault.detail)
        tenant = given["tenant"] if is_new else self.instance.tenant
        if is_new and DeliveryTarget.objects.filter(tenant=tenant).count() >= MAX_TARGETS:
            raise forms.ValidationError(f"There are {MAX_TARGETS} targets, and no more are kept.")
        if DeliveryTarget.objects.filter(tenant=tenant, name=given["name"]).exclude(pk=self.instance.pk).exists():
            self.add_error("name", "There is a delivery target of this name already.")
        return given


@admin.register(DeliveryTarget)
class DeliveryTargetAdmin(RecordedAdmin):
    resource_type = TARGET
    form = DeliveryTargetForm
    list_display = ["name", "tenant", "kind", "host", "is_active", "failure_count", "rests_until", "stopped_because"]
    list_filter = ["tenant", "kind", "is_active"]
    fields = [
        "tenant",
        "name",
        "kind",
        "url",
        "email_addresses",
        "is_active",
        "host",
        "stopped_because",
        "failure_count",
        "rests_until",
        "created_by",
        "created_at",
    ]
    readonly_fields = ["host", "stopped_because", "failure_count", "rests_until", "created_by", "created_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: DeliveryTarget | None = None) -> list[str]:
        return [*self.readonly_fields, *(["tenant", "kind"] if obj else [])]

    def save_model(self, request: HttpRequest, obj: DeliveryTarget, form: Any, change: bool) -> None:
        new: NewTarget = form.new_target
        if change:
            changes = {"name": new.name, "url": new.url, "email_addresses": new.email_addresses, "is_active": new.is_active}
            change_target(obj.tenant_id, obj.pk, changes, None)
        else:
            made, secret = create_target(obj.tenant_id, f"user:{request.user.get_username()}", new)
            obj.pk = made.pk
            if secret:
                messages.warning(request, f"The signing secret, shown this once: {secret}")
        obj.refresh_from_db()


class AttemptInline(admin.TabularInline):
    model = DeliveryAttempt
    fields = ATTEMPT_FIELDS
    readonly_fields = ATTEMPT_FIELDS
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Delivery)
class DeliveryAdmin(RecordedAdmin):
    """Deliveries are made by what they tell of; here they are looked at and sent once more."""

    resource_type = DELIVERY
    list_display = ["type", "tenant", "target", "state", "attempt_count", "created_at", "next_attempt_at", "finished_at"]
    list_filter = ["state", "tenant", "target"]
    fields = DELIVERY_FIELDS
    readonly_fields = DELIVERY_FIELDS
    inlines = [AttemptInline]
    actions = ["replay_them"]

    @admin.action(description="Send once more", permissions=["replay"])
    def replay_them(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        rows = list(queryset)
        self.record(request, "REPLAY", rows)
        for row in rows:
            try:
                replay(row.tenant_id, row.pk, datetime.datetime.now(datetime.UTC))
            except Invalid as error:
                messages.warning(request, f"{row}: {error.detail}")

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return super().has_change_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        return False
