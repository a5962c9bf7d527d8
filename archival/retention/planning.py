"""The planner: which entries of a partition, or of a segment, are due now. Pure, but for `plan` and `plan_segment`, which read the rows.

For each policy, of the entries that it decides (it matches them, and none before it does):
- what its days hot and cold are over of, and no hold keeps, is purged, wherever it lies;
- what its hot days are over of and is not purged is archived. What a hold keeps of a policy without cold days is archived as well, and
  purged from there once nobody holds it any more: a hold does not keep the database large.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator, Sequence
from typing import Protocol

from accounts.models import Tenant
from archival.due import Due
from archival.retention.finding import policies_by_tenant, policies_of
from archival.retention.held import held_in, tenants_that_hold
from archival.retention.policies import Policy, cutoff, decided_by, in_order
from logs.search.tree import All, AnyOf, Node, Not, TimestampBefore, TimestampFrom
from logs.storage.engines import Partition
from logs.storage.ids import EPOCH

EVERYTHING = All(())
LATEST = datetime.datetime.max.replace(tzinfo=datetime.UTC)


class Stretch(Protocol):
    """Entries of one tenant with `lower_at <= timestamp < upper_at`: a segment, as the planner sees it."""

    tenant_id: uuid.UUID
    lower_at: datetime.datetime
    upper_at: datetime.datetime


def plan(now: datetime.datetime, partition: Partition) -> list[Due]:
    """What of a partition is due, of every tenant. An `archival.due.Planner`."""
    # Nobody keeps less than a day: the partitions of yesterday and later are left alone without a question.
    if partition.lower_at >= cutoff(now, 1):
        return []
    # Three questions for all tenants: there may be thousands of both, partitions and tenants.
    policies, holding = policies_by_tenant(), tenants_that_hold()
    found: list[Due] = []
    for tenant_id in Tenant.objects.order_by("id").values_list("id", flat=True):
        held = held_in(tenant_id) if tenant_id in holding else ()
        found += due_hot(tenant_id, policies.get(tenant_id, in_order([])), held, now, partition.lower_at, partition.upper_at)
    return found


def plan_segment(now: datetime.datetime, segment: Stretch) -> list[Due]:
    """What of a segment is due to be purged."""
    return due_cold(segment.tenant_id, policies_of(segment.tenant_id), held_in(segment.tenant_id), now, segment.lower_at, segment.upper_at)


def due_hot(
    tenant_id: uuid.UUID,
    policies: Sequence[Policy],
    held: Sequence[Node],
    now: datetime.datetime,
    lower_at: datetime.datetime = EPOCH,
    upper_at: datetime.datetime = LATEST,
) -> list[Due]:
    """What is due of a tenant's hot entries within `[lower_at, upper_at)`. `policies` in order; `held`: what legal holds keep."""
    found: list[Due] = []
    for place, policy in enumerate(policies):
        decided = decided_by(policies, place)
        leaves_at, ends_at = cutoff(now, policy.hot_days), _ends_at(policy, now)
        if ends_at > lower_at and not _is_all_held(held):
            tree = All((*decided, *_before(ends_at, upper_at), *_not_held(held)))
            found.append(Due(tenant_id, policy.id, policy.name, "purge", tree))
        if leaves_at > lower_at:
            staying = _not_purged(held, ends_at, lower_at, min(leaves_at, upper_at))
            if staying is not None:
                found.append(Due(tenant_id, policy.id, policy.name, "archive", All((*decided, *_before(leaves_at, upper_at), *staying))))
    return found


def due_cold(
    tenant_id: uuid.UUID,
    policies: Sequence[Policy],
    held: Sequence[Node],
    now: datetime.datetime,
    lower_at: datetime.datetime = EPOCH,
    upper_at: datetime.datetime = LATEST,
) -> list[Due]:
    """What is due to be purged of a tenant's archived entries within `[lower_at, upper_at)`."""
    return [due for due in due_hot(tenant_id, policies, held, now, lower_at, upper_at) if due.fate == "purge"]


def _ends_at(policy: Policy, now: datetime.datetime) -> datetime.datetime:
    """Entries before are to be purged."""
    total_days = policy.total_days
    return EPOCH if total_days is None else cutoff(now, total_days)


def _before(moment: datetime.datetime, upper_at: datetime.datetime) -> Iterator[Node]:
    """The condition that an entry is before `moment`, if not all are."""
    if moment < upper_at:
        yield TimestampBefore(moment)


def _is_all_held(held: Sequence[Node]) -> bool:
    return EVERYTHING in held


def _not_held(held: Sequence[Node]) -> list[Node]:
    return [Not(node) for node in held]


def _not_purged(held: Sequence[Node], ends_at: datetime.datetime, lower_at: datetime.datetime, upper_at: datetime.datetime) -> list[Node] | None:
    """Conditions that an entry is not among those that are purged: none, if none is; None if all are."""
    if ends_at <= lower_at or _is_all_held(held):
        return []
    staying = [*([TimestampFrom(ends_at)] if ends_at < upper_at else []), *held]
    return [AnyOf(tuple(staying))] if staying else None
