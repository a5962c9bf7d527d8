"""The log in the Django admin: settings and catalogue to edit. Entries are read in the API, never edited."""

from __future__ import annotations

import functools
import uuid
from typing import Any

import msgspec
from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html

from accounts.problems import Invalid
from accounts.recorded_admin import RecordedAdmin
from accounts.standing import of_now
from logs.catalogue import check_schema
from logs.masking_rules import Preview, preview
from logs.models import (
    ActionDefinition,
    ActionSchema,
    BuiltInMasking,
    EncryptedField,
    Erasure,
    LogSettings,
    MaskedField,
    MaskingKind,
    MaskingRule,
    SavedSearch,
    VerificationRun,
)
from logs.privacy import masking
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


class MaskingRuleForm(forms.ModelForm):
    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or {}
        if "kind" in found and "pattern" in found:
            try:
                masking.check_rule(MaskingKind(found["kind"]), found["pattern"])
            except Invalid as error:
                self.add_error("pattern", error.detail)
        tenant = found.get("tenant")
        if self.instance.pk is None and tenant is not None and MaskingRule.objects.filter(tenant=tenant).count() >= masking.MAX_RULES:
            raise forms.ValidationError(f"There are {masking.MAX_RULES} rules, and no more are kept.")
        return found


@admin.register(MaskingRule)
class MaskingRuleAdmin(RecordedAdmin):
    """New rules begin switched off: they are looked at on recent entries first, by their preview."""

    form = MaskingRuleForm
    list_display = ["name", "tenant", "kind", "pattern", "action", "position", "is_active", "try_out"]
    list_filter = ["tenant", "is_active", "kind"]
    search_fields = ["name", "pattern"]
    readonly_fields = ["try_out", "created_by", "created_at", "updated_at"]

    def formfield_for_dbfield(self, db_field: Any, request: Any, **arguments: Any) -> Any:
        if db_field.name == "fields":
            return forms.MultipleChoiceField(choices=MaskedField.choices, required=False, widget=forms.CheckboxSelectMultiple, help_text="None: all of them.")
        return super().formfield_for_dbfield(db_field, request, **arguments)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"is_active": False, **super().get_changeform_initial_data(request)}

    def get_readonly_fields(self, request: HttpRequest, obj: MaskingRule | None = None) -> list[str]:
        return [*self.readonly_fields, *(["tenant"] if obj else [])]

    def get_urls(self) -> list[Any]:
        return [path("<int:id>/preview/", self.admin_site.admin_view(self.preview_page), name="logs_maskingrule_preview"), *super().get_urls()]

    @admin.display(description="preview")
    def try_out(self, rule: MaskingRule) -> str:
        if rule._state.adding:
            return "Save the rule, switched off, to see what it would do."
        return format_html('<a href="{}">what it would change</a>', reverse("admin:logs_maskingrule_preview", args=[rule.pk]))

    def preview_page(self, request: HttpRequest, id: int) -> HttpResponse:
        """What the rule would change of the newest entries: of those that whoever looks may see in the rule's tenant."""
        rule = MaskingRule.objects.select_related("tenant").filter(pk=id).first()
        if rule is None:
            raise Http404
        if not self.has_view_permission(request, rule):
            raise PermissionDenied
        principal = of_now(rule.tenant_id, f"user:{request.user.get_username()}", request.user.pk)
        found, refusal = Preview(), ""
        if principal is None or not principal.may_read:
            refusal = "You are no member of its tenant who may read, so no entries are shown."
        else:
            found = preview(principal, masking.own_rule(rule), 200, [])
        rows = [
            {"id": seen.id, "field": field, "before": _shown(seen.before[field]), "after": _shown(seen.after[field])}
            for seen in found.changes
            for field in seen.before
        ]
        context = {**self.admin_site.each_context(request), "title": "Preview", "rule": rule, "preview": found, "refusal": refusal, "rows": rows}
        return TemplateResponse(request, "admin/logs/maskingrule/preview.html", context)

    def save_model(self, request: HttpRequest, obj: MaskingRule, form: Any, change: bool) -> None:
        if change:
            obj.version += 1
        else:
            obj.created_by = f"user:{request.user.get_username()}"
        super().save_model(request, obj, form, change)
        transaction.on_commit(masking.forget)

    def delete_model(self, request: HttpRequest, obj: MaskingRule) -> None:
        super().delete_model(request, obj)
        transaction.on_commit(masking.forget)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[MaskingRule]) -> None:
        super().delete_queryset(request, queryset)
        transaction.on_commit(masking.forget)


def _shown(value: Any) -> str:
    return bytes(value).decode() if isinstance(value, msgspec.Raw) else str(value)


class BuiltInMaskingForm(forms.ModelForm):
    name = forms.ChoiceField(choices=[(rule.name, f"{rule.name}: {rule.description} ({rule.action.value})") for rule in masking.BUILT_IN])


@admin.register(BuiltInMasking)
class BuiltInMaskingAdmin(RecordedAdmin):
    """What a tenant wants otherwise of a built-in rule. Without a row the rule is on, with its own action."""

    form = BuiltInMaskingForm
    list_display = ["name", "tenant", "action", "is_active"]
    list_filter = ["tenant", "name"]

    def save_model(self, request: HttpRequest, obj: BuiltInMasking, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        transaction.on_commit(masking.forget)

    def delete_model(self, request: HttpRequest, obj: BuiltInMasking) -> None:
        super().delete_model(request, obj)
        transaction.on_commit(masking.forget)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[BuiltInMasking]) -> None:
        super().delete_queryset(request, queryset)
        transaction.on_commit(masking.forget)
