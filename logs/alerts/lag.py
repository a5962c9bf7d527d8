"""How far the evaluation of a tenant's rules is behind its log."""

from __future__ import annotations

import uuid

from django.db.models import Min

from logs.models import AlertCursor, AlertRule
from logs.streaming.reading import tree_size_of


def waiting_count(tenant_id: uuid.UUID) -> int:
    """How many entries have a position and were not evaluated yet, though there are rules for them."""
    begins_at: int | None = AlertRule.objects.filter(tenant_id=tenant_id, is_active=True).aggregate(first=Min("begins_at"))["first"]
    cursor = AlertCursor.objects.filter(tenant_id=tenant_id).first()
    if begins_at is None or cursor is None:
        return 0
    return max(0, tree_size_of(tenant_id) - max(cursor.position + 1, begins_at))
