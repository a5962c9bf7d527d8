"""Legal holds in the Django admin: to be placed and released there, never changed or deleted."""

from __future__ import annotations

import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.deeds import Deed
from accounts.extensions import record
from accounts.problems import Invalid
from accounts.recorded_admin import RecordedAdmin
from accounts.recording import whence
from archival.dual_control.settings import needs_second
from archival.holds import MAX_REASON_LENGTH, MIN_REASON_LENGTH, RETENTION, NewHold, check_hold, place_hold, release_hold
from archival.models import ActKind, HeldThing, LegalHold

_PLACED = ["tenant", "holds", "query", "subject", "reason", "until"]


class LegalHoldForm(forms.ModelForm):
    """A new hold; of one that there is, only the reason for its release is asked."""

    def clean_reason(self) -> str:
        return _reason(self.cleaned_data["reason"])

    def clean_release_reason(self) -> str:
        if needs_second(self.instance.tenant_id, ActKind.RELEASE):
            raise forms.ValidationError("Releases are under dual control in this tenant: ask for it over the API, as a member.")
        return _reason(self.cleaned_data["release_reason"])

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if not self.instance.pk and {"holds", "reason"} <= given.keys():
            try:
                check_hold(new_hold_of(given), datetime.datetime.now(datetime.UTC))
            except Invalid as problem:
                for fault in problem.faults:
                    self.add_error(fault.pointer.removeprefix("/"), fault.detail)
        return given


def new_hold_of(given: dict[str, Any]) -> NewHold:
    return NewHold(HeldThing(given["holds"]), given["reason"], given.get("query") or "", given.get("subject") or "", given.get("until"))


def _reason(text: str) -> str:
    if not MIN_REASON_LENGTH <= len(text) <= MAX_REASON_LENGTH:
        raise forms.ValidationError(f"Say why, in {MIN_REASON_LENGTH} to {MAX_REASON_LENGTH} characters.")
    return text


class DueFilter(admin.SimpleListFilter):
    """Those whose date has passed and that nobody has released: somebody is to decide."""

    title = "due"
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[LegalHold]) -> QuerySet[LegalHold]:
        return queryset.filter(released_at=None, until__lte=datetime.datetime.now(datetime.UTC)) if self.value() == "yes" else queryset


@admin.register(LegalHold)
class LegalHoldAdmin(RecordedAdmin):
    resource_type = RETENTION
    form = LegalHoldForm
    list_display = ["id", "tenant", "holds", "placed_by", "placed_at", "until", "state"]
    list_filter = ["tenant", "holds", DueFilter, ("released_at", admin.EmptyFieldListFilter)]
    search_fields = ["reason", "subject", "query"]

    @admin.display
    def state(self, hold: LegalHold) -> str:
        return "released" if not hold.is_active else "due" if hold.is_due(datetime.datetime.now(datetime.UTC)) else "active"

    def get_fields(self, request: HttpRequest, obj: LegalHold | None = None) -> Any:
        return _PLACED if obj is None else [*_PLACED, "placed_by", "placed_at", "released_by", "released_at", "release_reason"]

    def get_readonly_fields(self, request: HttpRequest, obj: LegalHold | None = None) -> list[str]:
        if obj is None:
            return []
        return [*_PLACED, "placed_by", "placed_at", "released_by", "released_at", *([] if obj.is_active else ["release_reason"])]

    def save_model(self, request: HttpRequest, obj: LegalHold, form: Any, change: bool) -> None:
        who, now, given = f"user:{request.user.get_username()}", datetime.datetime.now(datetime.UTC), form.cleaned_data
        if change:
            release_hold(obj.tenant_id, obj.pk, who, given["release_reason"], now)
        else:
            obj.pk = place_hold(obj.tenant_id, who, new_hold_of(given), now).pk

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._record(request, obj, "CREATE", obj.reason)
        # As Django's own; ours would record it once more, without the reason.
        return super(RecordedAdmin, self).log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._record(request, obj, "RELEASE", obj.release_reason)
        return super(RecordedAdmin, self).log_change(request, obj, message)

    def _record(self, request: HttpRequest, hold: LegalHold, action: str, reason: str) -> None:
        """In the words in which the API records it, within the request's transaction: what can't be recorded is not done. Raises NotRecorded."""
        name = request.user.get_username()
        told = {"holds": str(hold.holds), "reason": reason, "principal": f"user:{name}", "path": request.path_info}
        record(hold.tenant_id, Deed(action, RETENTION), actor=name, resource_id=f"hold-{hold.pk}", metadata=told, **whence(request))

    def has_delete_permission(self, request: HttpRequest, obj: LegalHold | None = None) -> bool:
        return False
