"""What is told, and putting it on its way."""

from __future__ import annotations

import datetime
import functools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import transaction

from logs.deliveries.waking import wake
from logs.models import Delivery, DeliveryTarget


@dataclass(frozen=True)
class Notice:
    """Something that people are to be told. `message_id`: the same for the same thing; `data`: JSON, what a machine wants to know of it."""

    message_id: str
    type: str
    title: str
    text: str
    severity: str
    at: datetime.datetime
    data: Mapping[str, Any] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"at": self.at.isoformat()}


def enqueue(tenant_id: uuid.UUID, target_ids: Sequence[int], notice: Notice, now: datetime.datetime) -> None:
    """Put a notice on its way to those of the targets that the tenant has and that are switched on, within the caller's transaction.

    Once for each target: with a `message_id` that it was told already nothing happens. Sending begins with the commit.
    """
    targets = DeliveryTarget.objects.filter(tenant_id=tenant_id, pk__in=target_ids, is_active=True)
    rows = [
        Delivery(
            tenant_id=tenant_id,
            target=target,
            message_id=notice.message_id,
            type=notice.type,
            notice=notice.values(),
            begun_at=now,
            next_attempt_at=now,
            created_at=now,
        )
        for target in targets
    ]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    for row in rows:
        # Robust: it is committed, whatever becomes of the waking.
        transaction.on_commit(functools.partial(wake, row.target_id), robust=True)
