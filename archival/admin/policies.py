"""Retention policies in the Django admin: in the order in which they count. Before one is saved, the form says what it would move and purge."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse

from accounts.deeds import Deed
from accounts.extensions import Record, record_all
from accounts.models import Tenant
from accounts.models.grant import SEVERITIES
from accounts.problems import NotAllowed, Problem
from accounts.recorded_admin import RecordedAdmin
from accounts.recording import whence
from archival.dual_control.acts import Asker
from archival.dual_control.settings import needs_second
from archival.holds import RETENTION
from archival.models import ActKind, PendingAct, RetentionPolicy
from archival.retention.changing import Outlook, PolicyChange, change_policies, preview
from archival.retention.counting import DueCount
from archival.retention.finding import see_to_default

_FIELDS = ["name", "resource_types", "actions", "severities", "hot_days", "cold_days", "precedence", "is_locked"]
_SEEN = "preview_seen"
UNDER_DUAL_CONTROL = "Something would be kept less long, which is under dual control in this tenant: ask for it over the API, as a member."


class RetentionPolicyForm(forms.ModelForm):
    """A policy, its preview, and where that is asked for its name once more."""

    severities = forms.MultipleChoiceField(
        choices=[(name, name) for name in SEVERITIES], required=False, widget=forms.CheckboxSelectMultiple, help_text="None: all of them."
    )
    confirm = forms.CharField(required=False, max_length=100, help_text="The policy's name once more, where the preview asks for it.")
    preview_seen = forms.CharField(required=False, widget=forms.HiddenInput)

    # By `clean`: what the change would do, to be shown before it is made.
    outlook: Outlook | None = None

    def clean(self) -> dict[str, Any]:
        """Look at what the change would do. The form is saved when that was shown for the same values."""
        given: dict[str, Any] = super().clean() or {}
        tenant = given.get("tenant") or (self.instance.tenant if self.instance.tenant_id else None)
        if self.errors or tenant is None:
            return given
        try:
            self.outlook = preview(tenant.pk, change_of(self), datetime.datetime.now(datetime.UTC))
        except Problem as problem:
            for fault in problem.faults:
                name = fault.pointer.removeprefix("/")
                self.add_error(name if name in self.fields else None, fault.detail)
            return given
        if self.outlook.keeps_less and needs_second(tenant.pk, ActKind.POLICY):
            self.add_error(None, UNDER_DUAL_CONTROL)
            return given
        if self.outlook.confirm and given.get("confirm") != self.outlook.confirm:
            self.add_error("confirm", f"It would purge much. If it is meant so, write {self.outlook.confirm!r} here.")
        if given.get(_SEEN) != self.summary():
            # Shown now; saved when it comes back the same.
            shown = self.data.copy() if isinstance(self.data, QueryDict) else QueryDict(mutable=True)
            shown[_SEEN] = self.summary()
            self.data = shown
            self.add_error(None, "Look at the preview below, then save once more.")
        return given

    def summary(self) -> str:
        """What of the preview has to be the same when it is saved: the policy's values."""
        return repr(sorted(values_of(self).items()))


def values_of(form: forms.ModelForm) -> dict[str, Any]:
    return {name: form.cleaned_data[name] for name in _FIELDS if name in form.cleaned_data}


def change_of(form: forms.ModelForm) -> PolicyChange:
    """What the form asks for."""
    return PolicyChange("change", form.instance.pk, values_of(form)) if form.instance.pk else PolicyChange("add", values=values_of(form))


@admin.register(RetentionPolicy)
class RetentionPolicyAdmin(RecordedAdmin):
    resource_type = RETENTION
    form = RetentionPolicyForm
    change_form_template = "admin/archival/retentionpolicy/change_form.html"
    list_display = ["name", "tenant", "counts_as", "matches", "hot_days", "kept_cold", "is_locked", "updated_by", "updated_at"]
    list_filter = ["tenant", "is_locked"]
    search_fields = ["name"]
    ordering = ["tenant", "is_default", "precedence", "id"]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        for tenant_id in Tenant.objects.exclude(retention_policies__is_default=True).values_list("id", flat=True):
            see_to_default(tenant_id)
        return super().changelist_view(request, extra_context)

    @admin.display(description="counts as")
    def counts_as(self, policy: RetentionPolicy) -> str:
        earlier = RetentionPolicy.objects.filter(tenant=policy.tenant_id, is_default=False)
        if policy.is_default:
            return f"{earlier.count() + 1}, the default"
        before = earlier.filter(precedence__lt=policy.precedence) | earlier.filter(precedence=policy.precedence, pk__lt=policy.pk)
        return str(before.count() + 1)

    @admin.display
    def matches(self, policy: RetentionPolicy) -> str:
        return " and ".join(" or ".join(values) for values in (policy.resource_types, policy.actions, policy.severities) if values) or "every entry"

    @admin.display(description="days in the archive")
    def kept_cold(self, policy: RetentionPolicy) -> str:
        return "for ever" if policy.cold_days is None else "none: purged" if policy.cold_days == 0 else str(policy.cold_days)

    def get_fields(self, request: HttpRequest, obj: RetentionPolicy | None = None) -> Any:
        return ["tenant", *_FIELDS, "confirm", _SEEN]

    def get_readonly_fields(self, request: HttpRequest, obj: RetentionPolicy | None = None) -> list[str]:
        if obj is None:
            return []
        return ["tenant", *(["resource_types", "actions", "severities", "precedence"] if obj.is_default else [])]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
        outlook = getattr(context["adminform"].form, "outlook", None)
        context["previews"] = [] if outlook is None else [_row("as it is", outlook.before), _row("with this", outlook.after)]
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: RetentionPolicy, form: Any, change: bool) -> None:
        obj.pk = self._make(request, obj, change_of(form), form.cleaned_data.get("confirm", "")).pk

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        # What is refused is refused before there is an entry that says that it was done.
        for policy in queryset:
            outlook = preview(policy.tenant_id, PolicyChange("delete", policy.pk), datetime.datetime.now(datetime.UTC))
            if outlook.keeps_less and needs_second(policy.tenant_id, ActKind.POLICY):
                raise NotAllowed(UNDER_DUAL_CONTROL)
        return super().log_deletions(request, queryset)

    def record(self, request: HttpRequest, action: str, objects: Iterable[Model], message: Any = "") -> None:
        """In the words in which the API records it. Raises NotRecorded."""
        name = request.user.get_username()
        told = {"principal": f"user:{name}", "path": request.path_info} | ({"changes": message} if message else {})
        records = [
            Record(policy.tenant_id, name, Deed(action, RETENTION), "success", f"policy-{policy.pk}", told, **whence(request))
            for policy in objects
            if isinstance(policy, RetentionPolicy)
        ]
        record_all(records)

    def delete_model(self, request: HttpRequest, obj: RetentionPolicy) -> None:
        self._make(request, obj, PolicyChange("delete", obj.pk), obj.name)

    def _make(self, request: HttpRequest, policy: RetentionPolicy, change: PolicyChange, confirm: str) -> RetentionPolicy:
        """Make the change; of `delete`, the policy is answered as it was. Raises Problem, and then nothing is changed."""
        made = change_policies(Asker.in_admin(policy.tenant_id, request), change, datetime.datetime.now(datetime.UTC), confirm=confirm)
        if isinstance(made, PendingAct):
            # The admin's transaction undoes it.
            raise NotAllowed(UNDER_DUAL_CONTROL)
        return made or policy

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        try:
            return super().delete_view(request, object_id, extra_context)
        except Problem as problem:
            self.message_user(request, problem.detail, "ERROR")
            return HttpResponseRedirect(reverse("admin:archival_retentionpolicy_change", args=[object_id]))

    def get_actions(self, request: HttpRequest) -> Any:
        # One by one: each is checked against the others.
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions


def _row(name: str, count: DueCount) -> dict[str, Any]:
    return {"name": name, "hot": count.hot, "archived": count.archived, "purged": count.purged, "is_exact": count.counted_from == "entries"}
