"""Alert rules and alerts in the Django admin: rules are made, tried out on recent entries and switched on; alerts are acknowledged and closed."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import msgspec
from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html

from accounts.problems import Invalid
from accounts.recorded_admin import RecordedAdmin
from accounts.standing import of_now
from logs.alerts import NewRule, change_rule, create_rule, mute_rule
from logs.alerts.conditions import MAX_COUNT, MAX_LEARN_DAYS, Condition
from logs.alerts.definition import check_rule
from logs.alerts.handling import handle
from logs.alerts.quieting import Schedule
from logs.alerts.rules import MAX_RULES, check_mute, new_rule_of
from logs.alerts.trying import Trial, try_rule
from logs.models import Alert, AlertGroupField, AlertRule, AlertState

PREVIEW_DAYS = 7
_KINDS = [
    ("every_match", "every match"),
    ("threshold", "threshold: so many matches in a window"),
    ("first_seen", "first seen: a group's first match"),
    ("absence", "absence: no match for a window"),
]
# What each kind takes.
_PARAMETERS = {"every_match": (), "threshold": ("count", "window_seconds"), "first_seen": ("learn_days",), "absence": ("window_seconds",)}


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class AlertRuleForm(forms.ModelForm):
    """A rule, with its condition in fields of its own."""

    kind = forms.ChoiceField(choices=_KINDS)
    count = forms.IntegerField(required=False, min_value=2, max_value=MAX_COUNT, help_text="Of a threshold: how many matches.")
    window_seconds = forms.IntegerField(required=False, min_value=1, help_text="Of a threshold or an absence.")
    learn_days = forms.IntegerField(required=False, min_value=0, max_value=MAX_LEARN_DAYS, help_text="Of first seen: so many days back are known already.")
    group_by = forms.MultipleChoiceField(choices=AlertGroupField.choices, required=False, widget=forms.CheckboxSelectMultiple)

    class Meta:
        model = AlertRule
        fields = ["tenant", "name", "description", "query", "group_by", "severity", "cool_down_seconds", "schedule", "muted_until", "is_active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            for name, value in self.instance.condition.items():
                self.fields[name].initial = value

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if self.errors:
            return given
        parameters = {name: given[name] for name in _PARAMETERS[given["kind"]] if given.get(name) is not None}
        try:
            condition: Condition = msgspec.convert({"kind": given["kind"], **parameters}, Condition)
            schedule = None if given["schedule"] is None else msgspec.convert(given["schedule"], Schedule)
        except msgspec.ValidationError as error:
            raise forms.ValidationError(f"{error}.") from error
        self.new_rule = NewRule(
            condition=condition,
            schedule=schedule,
            **{name: given[name] for name in ("name", "description", "query", "group_by", "severity", "cool_down_seconds", "is_active")},
        )
        try:
            check_rule(self.new_rule, _now())
            check_mute(given["muted_until"], _now())
        except Invalid as error:
            for fault in error.faults:
                name = {"/until": "muted_until"}.get(fault.pointer, fault.pointer.removeprefix("/").partition("/")[0])
                self.add_error(name if name in self.fields else None, fault.detail)
        self._check_others(given)
        return given

    def _check_others(self, given: Mapping[str, Any]) -> None:
        """Refuse a name that another rule of the tenant has, and one rule too many."""
        tenant = self.instance.tenant if self.instance.pk is not None else given["tenant"]
        others = AlertRule.objects.filter(tenant=tenant).exclude(pk=self.instance.pk)
        if others.filter(name=given["name"]).exists():
            self.add_error("name", "There is an alert rule of this name already.")
        if self.instance.pk is None and others.count() >= MAX_RULES:
            raise forms.ValidationError(f"There are {MAX_RULES} alert rules, and no more are kept.")


@admin.register(AlertRule)
class AlertRuleAdmin(RecordedAdmin):
    """New rules begin switched off: they are looked at on the entries of the last days first, by their preview."""

    resource_type = "audit_log_alert_rule"
    form = AlertRuleForm
    list_display = ["name", "tenant", "severity", "kind", "is_active", "muted_until", "error", "try_out"]
    list_filter = ["tenant", "is_active", "severity"]
    search_fields = ["name", "query"]
    fields = [
        "tenant",
        "name",
        "description",
        "query",
        ("kind", "count", "window_seconds", "learn_days"),
        "group_by",
        "severity",
        "cool_down_seconds",
        "schedule",
        "muted_until",
        "is_active",
        "try_out",
        "error",
        "counts",
        "created_by",
        "created_at",
        "updated_at",
    ]
    readonly_fields = ["try_out", "error", "counts", "created_by", "created_at", "updated_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertRule]:
        return super().get_queryset(request).select_related("tenant", "progress")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"is_active": False, **super().get_changeform_initial_data(request)}

    def get_readonly_fields(self, request: HttpRequest, obj: AlertRule | None = None) -> list[str]:
        return [*self.readonly_fields, *(["tenant"] if obj else [])]

    def get_urls(self) -> list[Any]:
        return [path("<int:id>/preview/", self.admin_site.admin_view(self.preview_page), name="logs_alertrule_preview"), *super().get_urls()]

    @admin.display(description="condition")
    def kind(self, rule: AlertRule) -> str:
        return str(rule.condition.get("kind"))

    @admin.display(description="error")
    def error(self, rule: AlertRule) -> str:
        progress = getattr(rule, "progress", None)
        return progress.error if progress is not None and progress.definition == rule.definition else ""

    @admin.display(description="so far")
    def counts(self, rule: AlertRule) -> str:
        progress = getattr(rule, "progress", None)
        if progress is None or progress.definition != rule.definition:
            return "nothing yet"
        return f"{progress.match_count} matches, {progress.alert_count} alerts, {progress.suppressed_count} suppressed"

    @admin.display(description="preview")
    def try_out(self, rule: AlertRule) -> str:
        if rule._state.adding:
            return "Save the rule, switched off, to see when it would have fired."
        return format_html('<a href="{}">when it would have fired</a>', reverse("admin:logs_alertrule_preview", args=[rule.pk]))

    def preview_page(self, request: HttpRequest, id: int) -> HttpResponse:
        """When the rule would have fired in the last days; for who sees the whole log of its tenant."""
        rule = AlertRule.objects.select_related("tenant").filter(pk=id).first()
        if rule is None:
            raise Http404
        if not self.has_view_permission(request, rule):
            raise PermissionDenied
        principal = of_now(rule.tenant_id, f"user:{request.user.get_username()}", request.user.pk)
        trial: Trial | None = None
        refusal = ""
        if principal is None or not principal.may_read or not principal.restriction.leaves_all:
            refusal = "You are no member of its tenant who sees the whole log, so nothing is shown."
        else:
            now = _now()
            try:
                trial = try_rule(rule.tenant_id, new_rule_of(rule), now - datetime.timedelta(days=PREVIEW_DAYS), now)
            except Invalid as error:
                refusal = error.detail
            else:
                self.record(request, "PREVIEW", [rule])
        context = {**self.admin_site.each_context(request), "title": "Preview", "rule": rule, "trial": trial, "refusal": refusal, "days": PREVIEW_DAYS}
        return TemplateResponse(request, "admin/logs/alertrule/preview.html", context)

    def save_model(self, request: HttpRequest, obj: AlertRule, form: Any, change: bool) -> None:
        new: NewRule = form.new_rule
        if change:
            changes = {name: getattr(new, name) for name in vars(new) if name != "target_ids"}
            row = change_rule(obj.tenant_id, obj.pk, changes, None, _now())
        else:
            row = create_rule(obj.tenant_id, f"user:{request.user.get_username()}", new, _now())
            obj.pk = row.pk
        if row.muted_until != form.cleaned_data["muted_until"]:
            mute_rule(obj.tenant_id, row.pk, form.cleaned_data["muted_until"], None, _now())
        obj.refresh_from_db()


@admin.register(Alert)
class AlertAdmin(RecordedAdmin):
    """Alerts are made by rules; here they are looked at, acknowledged and closed."""

    resource_type = "audit_log_alert"
    list_display = ["rule_name", "tenant", "severity", "group", "count", "occurred_at", "state", "changed_by"]
    list_filter = ["state", "severity", "tenant"]
    search_fields = ["rule_name"]
    actions = ["acknowledge", "close"]

    @admin.action(description="Acknowledge", permissions=["handle"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        self._handle(request, queryset.exclude(state=AlertState.CLOSED), AlertState.ACKNOWLEDGED, "ACKNOWLEDGE")

    @admin.action(description="Close", permissions=["handle"])
    def close(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        self._handle(request, queryset, AlertState.CLOSED, "CLOSE")

    def _handle(self, request: HttpRequest, alerts: QuerySet[Alert], state: AlertState, deed: str) -> None:
        rows = list(alerts)
        self.record(request, deed, rows)
        for alert in rows:
            handle(alert.tenant_id, alert.pk, state, f"user:{request.user.get_username()}", None, _now())

    def has_handle_permission(self, request: HttpRequest) -> bool:
        """Whoever may change alerts: `has_change_permission` says that none is edited."""
        return super().has_change_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Alert | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Alert | None = None) -> bool:
        return False
