"""The log in the Django admin: settings and catalogue to edit. Entries are read in the API, never edited."""

from __future__ import annotations

import functools
import uuid
from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.recorded_admin import RecordedAdmin
from logs.catalogue import check_schema
from logs.models import ActionDefinition, ActionSchema, EncryptedField, Erasure, LogSettings, SavedSearch, VerificationRun
from logs.saved_searches import forget
from logs.verification.runs import findings_of


class LogSettingsForm(forms.ModelForm):
    encrypted_fields = forms.MultipleChoiceField(
        choices=EncryptedField.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Encrypted as a whole in entries to come; what is stored stays as it is.",
    )


@admin.register(LogSettings)
class LogSettingsAdmin(RecordedAdmin):
    form = LogSettingsForm
    list_display = ["tenant", "catalogue_mode", "encrypted_fields", "encrypted_metadata_keys", "pseudonymises_users"]

    def get_readonly_fields(self, request: HttpRequest, obj: LogSettings | None = None) -> list[str]:
        return ["tenant"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: LogSettings | None = None) -> bool:
        # It holds the secret that ids of keyed entries are made with.
        return False


class ActionSchemaForm(forms.ModelForm):
    def clean_schema(self) -> Any:
        try:
            check_schema(self.cleaned_data["schema"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
        return self.cleaned_data["schema"]


class ActionSchemaInline(admin.TabularInline):
    model = ActionSchema
    form = ActionSchemaForm
    extra = 0

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A version that entries were checked against stays what it was; a change is a new version.
        return False


@admin.register(ActionDefinition)
class ActionDefinitionAdmin(RecordedAdmin):
    resource_type = "audit_log_action"
    list_display = ["name", "tenant", "title_template", "default_severity"]
    list_filter = ["tenant"]
    search_fields = ["name"]
    inlines = [ActionSchemaInline]


@admin.register(VerificationRun)
class VerificationRunAdmin(RecordedAdmin):
    """Runs are made by `verify_log` and by the schedule; they are looked at here."""

    resource_type = "audit_log_verification"
    list_display = ["tenant", "started_at", "duration", "low", "high", "verified_count", "result", "started_by"]
    list_filter = ["result", "tenant"]
    readonly_fields = ["tenant", "started_by", "started_at", "finished_at", "duration", "low", "high", "verified_count", "result", "findings_in_words", "error"]
    exclude = ["findings"]

    @admin.display(description="findings")
    def findings_in_words(self, run: VerificationRun) -> str:
        return "\n".join(str(finding) for finding in findings_of(run)) or "none"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: VerificationRun | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: VerificationRun | None = None) -> bool:
        return False


@admin.register(Erasure)
class ErasureAdmin(RecordedAdmin):
    """Erasures are asked for over the API, which asks twice; they are looked at here."""

    list_display = ["tenant", "created_at", "subject", "state", "asked_by", "finished_at"]
    list_filter = ["state", "tenant"]
    readonly_fields = [
        "tenant",
        "subject",
        "reason",
        "asked_by",
        "state",
        "key_ids",
        "pseudonyms",
        "exports",
        "held_because",
        "repeats",
        "created_at",
        "finished_at",
    ]
    exclude = ["asked_as"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Erasure | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Erasure | None = None) -> bool:
        return False


@admin.register(SavedSearch)
class SavedSearchAdmin(RecordedAdmin):
    """Searches are saved and changed over the API, which checks the question; here they are described, shared or not, and deleted."""

    resource_type = "audit_log_saved_search"
    list_display = ["name", "owner", "tenant", "is_shared", "updated_at"]
    list_filter = ["tenant", "is_shared"]
    search_fields = ["name", "owner__username"]
    readonly_fields = ["tenant", "owner", "name", "query", "created_at", "updated_at"]

    def save_model(self, request: HttpRequest, obj: SavedSearch, form: Any, change: bool) -> None:
        obj.version += 1
        super().save_model(request, obj, form, change)
        _forget_after_commit({obj.tenant_id})

    def delete_model(self, request: HttpRequest, obj: SavedSearch) -> None:
        super().delete_model(request, obj)
        _forget_after_commit({obj.tenant_id})

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[SavedSearch]) -> None:
        tenant_ids = set(queryset.values_list("tenant_id", flat=True))
        super().delete_queryset(request, queryset)
        _forget_after_commit(tenant_ids)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


def _forget_after_commit(tenant_ids: set[uuid.UUID]) -> None:
    for tenant_id in tenant_ids:
        transaction.on_commit(functools.partial(forget, tenant_id))
