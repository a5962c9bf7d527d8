"""What a tenant wants a second Admin for."""

from __future__ import annotations

import uuid

from archival.models import ActKind, DualControl


def dual_control_of(tenant_id: uuid.UUID) -> DualControl:
    """What the tenant has said; without a row, that nothing needs a second Admin."""
    return DualControl.objects.filter(pk=tenant_id).first() or DualControl(tenant_id=tenant_id)


def needs_second(tenant_id: uuid.UUID, kind: ActKind) -> bool:
    """Is such an act under dual control?"""
    found = dual_control_of(tenant_id)
    match kind:
        case ActKind.CLEANUP | ActKind.POLICY:
            return found.is_for_purges
        case ActKind.ERASURE:
            return found.is_for_erasures
        case ActKind.RELEASE:
            return found.is_for_releases
        case ActKind.DUAL_CONTROL:
            return found.is_for_purges or found.is_for_erasures or found.is_for_releases


def waiting_hours(tenant_id: uuid.UUID) -> int:
    return dual_control_of(tenant_id).waiting_hours
