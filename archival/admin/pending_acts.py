"""Acts under dual control in the Django admin: looked at, confirmed and refused there, as a member of the tenant. They are asked for elsewhere."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.deeds import Deed
from accounts.extensions import record
from accounts.principals import Principal
from accounts.problems import Problem
from accounts.recorded_admin import RecordedAdmin
from archival.dual_control.acts import ACT, Asker, confirm, refuse, told
from archival.dual_control.carrying_out import carry_out_quietly
from archival.holds import RETENTION
from archival.models import DualControl, PendingAct


class LookedAtAdmin(RecordedAdmin):
    """Nothing is added, changed or deleted here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(DualControl)
class DualControlAdmin(LookedAtAdmin):
    """Changed over the API, by an Admin of the tenant: whoever operates the server is not to weaken it alone."""

    resource_type = RETENTION
    list_display = ["tenant", "is_for_purges", "is_for_erasures", "is_for_releases", "waiting_hours", "updated_by", "updated_at"]


@admin.register(PendingAct)
class PendingActAdmin(LookedAtAdmin):
    resource_type = ACT
    list_display = ["id", "tenant", "kind", "state", "asked_by", "asked_at", "expires_at", "decided_by", "not_before", "outcome"]
    list_filter = ["tenant", "state", "kind"]
    exclude = ["asked_by_user", "decided_by_user"]
    actions = ["confirm_acts", "refuse_acts"]

    @admin.action(description="Confirm, as an Admin of the tenant", permissions=["view"])
    def confirm_acts(self, request: HttpRequest, queryset: QuerySet[PendingAct]) -> None:
        for act in queryset.order_by("id"):
            decided = self._decide(request, act, "CONFIRM", confirm)
            if decided is not None and decided.not_before is not None and decided.not_before <= datetime.datetime.now(datetime.UTC):
                transaction.on_commit(functools.partial(carry_out_quietly, decided.pk, decided.not_before), robust=True)

    @admin.action(description="Refuse, as an Admin of the tenant", permissions=["view"])
    def refuse_acts(self, request: HttpRequest, queryset: QuerySet[PendingAct]) -> None:
        for act in queryset.order_by("id"):
            self._decide(request, act, "REFUSE", refuse)

    def _decide(
        self, request: HttpRequest, act: PendingAct, action: str, decide: Callable[[Principal, int, datetime.datetime], PendingAct]
    ) -> PendingAct | None:
        """Take the step, and record it; None if it may not be taken, which is told."""
        asker = Asker.in_admin(act.tenant_id, request)
        if asker.principal is None:
            self.message_user(request, f"{act}: you are no member of the tenant.", messages.ERROR)
            return None
        try:
            with transaction.atomic():
                decided = decide(asker.principal, act.pk, datetime.datetime.now(datetime.UTC))
                record(act.tenant_id, Deed(action, ACT), actor=asker.principal, resource_id=str(act.pk), metadata=told(decided), **asker.whence)
        except Problem as problem:
            self.message_user(request, f"{act}: {problem.detail}", messages.ERROR)
            return None
        self.message_user(request, str(decided), messages.SUCCESS)
        return decided
