"""Changing what a tenant wants a second Admin for."""

from __future__ import annotations

import datetime
from collections.abc import Collection
from typing import Any

from django.db import transaction

from accounts.models import Membership, Role
from accounts.problems import Fault, Invalid
from accounts.versions import check_version
from archival.dual_control.acts import Asker, ask
from archival.dual_control.settings import needs_second
from archival.models import ActKind, DualControl, PendingAct

FLAGS = ("is_for_purges", "is_for_erasures", "is_for_releases")


def change_dual_control(
    asker: Asker, values: dict[str, Any], etags: Collection[str] | None, now: datetime.datetime, *, is_confirmed: bool = False
) -> DualControl | PendingAct:
    """Set `values`, if the settings still have one of `etags` (None: whichever). What weakens them waits for a second Admin.

    Raises ChangedMeanwhile, NotAllowed, or Invalid where there is no second Admin.
    """
    with transaction.atomic():
        DualControl.objects.get_or_create(pk=asker.tenant_id)
        row = DualControl.objects.select_for_update().get(pk=asker.tenant_id)
        check_version(row, etags)
        is_weaker = (
            any(getattr(row, name) and not values.get(name, True) for name in FLAGS) or values.get("waiting_hours", row.waiting_hours) < row.waiting_hours
        )
        if is_weaker and not is_confirmed and needs_second(asker.tenant_id, ActKind.DUAL_CONTROL):
            return ask(asker, ActKind.DUAL_CONTROL, {"values": values}, "", now)
        if any(values.get(name) for name in FLAGS):
            _check_two_admins(asker)
        for name, value in values.items():
            setattr(row, name, value)
        row.version += 1
        row.updated_by = asker.source
        row.save()
        return row


def _check_two_admins(asker: Asker) -> None:
    """Raises Invalid if nobody could confirm what one Admin asks for."""
    if Membership.objects.filter(tenant_id=asker.tenant_id, role=Role.ADMIN, user__is_active=True).count() < 2:
        raise Invalid([Fault("", "one_admin", "The tenant has one Admin, and nobody could confirm what they ask for. Make another one first.")])
