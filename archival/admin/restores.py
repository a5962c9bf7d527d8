"""Restores in the Django admin: to be asked for, watched and ended there, never changed or deleted."""

from __future__ import annotations

import datetime
import functools
from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.deeds import Actor, Deed
from accounts.extensions import record
from accounts.models import Membership
from accounts.problems import Invalid
from accounts.recorded_admin import RecordedAdmin
from accounts.recording import whence
from archival import tasks
from archival.models import Restore
from archival.restoring import ARCHIVE, END_RESTORE, RESTORING, NewRestore, ask_restore, check_restore, end_restore

_ASKED = ["tenant", "from_at", "until_at", "query", "days", "reason"]
_SEEN = ["state", "entries_restored", "attempts", "error", "asked_by", "asked_at", "started_at", "finished_at", "kept_until"]
_FIELDS = {"from": "from_at", "to": "until_at"}


class RestoreForm(forms.ModelForm):
    """A new restore."""

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if {"from_at", "until_at", "days", "reason"} <= given.keys():
            try:
                check_restore(new_restore_of(given), datetime.datetime.now(datetime.UTC))
            except Invalid as problem:
                for fault in problem.faults:
                    name = fault.pointer.removeprefix("/")
                    self.add_error(_FIELDS.get(name, name), fault.detail)
        return given


def new_restore_of(given: dict[str, Any]) -> NewRestore:
    return NewRestore(given["from_at"], given["until_at"], given["days"], given["reason"], given.get("query") or "")


@admin.register(Restore)
class RestoreAdmin(RecordedAdmin):
    resource_type = ARCHIVE
    form = RestoreForm
    list_display = ["id", "tenant", "from_at", "until_at", "state", "entries_restored", "kept_until", "asked_by"]
    list_filter = ["tenant", "state"]
    actions = ["end"]

    def get_fields(self, request: HttpRequest, obj: Restore | None = None) -> Any:
        return _ASKED if obj is None else [*_ASKED, *_SEEN]

    def get_readonly_fields(self, request: HttpRequest, obj: Restore | None = None) -> list[str]:
        return [] if obj is None else [*_ASKED, *_SEEN]

    def save_model(self, request: HttpRequest, obj: Restore, form: Any, change: bool) -> None:
        if change:
            return
        made = ask_restore(_actor(request, obj.tenant_id), new_restore_of(form.cleaned_data), datetime.datetime.now(datetime.UTC))
        obj.pk = made.pk
        transaction.on_commit(functools.partial(tasks.send_restore, made.pk))

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        told = {"phase": "asked", "asked": obj.query, "days": obj.days, "reason": obj.reason}
        _record(request, RESTORING, obj, told)
        # As Django's own; ours would record it once more, without the reason.
        return super(RecordedAdmin, self).log_addition(request, obj, message)

    @admin.action(description="End selected restores: what they brought back may leave again")
    def end(self, request: HttpRequest, restores: QuerySet[Restore]) -> None:
        for restore in restores:
            _record(request, END_RESTORE, restore, {})
            end_restore(restore.tenant_id, restore.pk)

    def has_delete_permission(self, request: HttpRequest, obj: Restore | None = None) -> bool:
        return False


def _actor(request: HttpRequest, tenant_id: Any) -> Actor:
    """The person, as the entries of the tenant name them."""
    name = request.user.get_username()
    membership = Membership.objects.select_related("user").filter(user__username=name, tenant_id=tenant_id).first()
    return Actor(tenant_id, membership.own_user_id if membership else name, f"user:{name}")


def _record(request: HttpRequest, deed: Deed, restore: Restore, told: dict[str, Any]) -> None:
    """In the words in which the API records it: what can't be recorded is not done. Raises NotRecorded."""
    more = told | {"path": request.path_info}
    record(restore.tenant_id, deed, actor=_actor(request, restore.tenant_id), resource_id=f"restore-{restore.pk}", metadata=more, **whence(request))
