"""The policies of a tenant, in the order in which they count."""

from __future__ import annotations

import uuid

from accounts.problems import NotFound
from archival.models import RetentionPolicy
from archival.models.policy import DEFAULT_HOT_DAYS, DEFAULT_NAME
from archival.retention.policies import Policy, in_order
from logs.models import Severity


def policies_of(tenant_id: uuid.UUID) -> tuple[Policy, ...]:
    """What counts now: what the tenant has said, and a default."""
    return in_order([policy_of(row) for row in RetentionPolicy.objects.filter(tenant_id=tenant_id)])


def policies_by_tenant() -> dict[uuid.UUID, tuple[Policy, ...]]:
    """The same of every tenant that has said something."""
    found: dict[uuid.UUID, list[Policy]] = {}
    for row in RetentionPolicy.objects.order_by():
        found.setdefault(row.tenant_id, []).append(policy_of(row))
    return {tenant_id: in_order(policies) for tenant_id, policies in found.items()}


def policy_of(row: RetentionPolicy) -> Policy:
    return Policy(
        id=row.pk,
        name=row.name,
        hot_days=row.hot_days,
        cold_days=row.cold_days,
        resource_types=tuple(row.resource_types),
        actions=tuple(row.actions),
        severities=tuple(int(Severity[name]) for name in row.severities),
        is_default=row.is_default,
        is_locked=row.is_locked,
        precedence=row.precedence,
    )


def see_to_default(tenant_id: uuid.UUID) -> None:
    """Have a row for the tenant's default policy, which has an address then. It says what counts without it."""
    RetentionPolicy.objects.get_or_create(
        tenant_id=tenant_id, is_default=True, defaults={"name": DEFAULT_NAME, "hot_days": DEFAULT_HOT_DAYS, "cold_days": None}
    )  # fmt: skip


def list_policies(tenant_id: uuid.UUID) -> list[RetentionPolicy]:
    """The rows, the default among them, in the order in which they count."""
    see_to_default(tenant_id)
    return list(RetentionPolicy.objects.filter(tenant_id=tenant_id).order_by("is_default", "precedence", "id"))


def find_policy(tenant_id: uuid.UUID, id: int) -> RetentionPolicy:
    """Raises NotFound."""
    row = RetentionPolicy.objects.filter(tenant_id=tenant_id, pk=id).first()
    if row is None:
        raise no_such_policy(id)
    return row


def no_such_policy(id: int) -> NotFound:
    return NotFound(f"There is no retention policy {id}, or none that you may see.")
