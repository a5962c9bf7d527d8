"""The rules that a tenant masks by, as people see them."""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass

from accounts.problems import NotFound
from logs.models import BuiltInMasking, MaskingRule
from logs.privacy.masking import BUILT_IN, BUILT_IN_BY_NAME, BuiltIn


@dataclass(frozen=True)
class KeptRule:
    """A rule of the tenant's own."""

    id: int
    name: str
    kind: str
    pattern: str
    fields: list[str]
    resource_types: list[str]
    action: str
    position: int
    is_active: bool
    created_by: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    version: int

    @property
    def etag(self) -> str:
        return f'"{self.id}-{self.version}"'


@dataclass(frozen=True)
class KeptBuiltIn:
    """A built-in rule as the tenant has it."""

    name: str
    description: str
    action: str
    default_action: str
    is_active: bool


def list_rules(tenant_id: uuid.UUID) -> list[KeptRule]:
    """The tenant's own rules, in the order in which they count."""
    return [kept_rule(row) for row in MaskingRule.objects.filter(tenant_id=tenant_id).order_by("position", "id")]


def find_rule(tenant_id: uuid.UUID, id: int) -> KeptRule:
    """Raises NotFound."""
    row = MaskingRule.objects.filter(tenant_id=tenant_id, pk=id).first()
    if row is None:
        raise no_such_rule(id)
    return kept_rule(row)


def list_built_in(tenant_id: uuid.UUID) -> list[KeptBuiltIn]:
    """The built-in rules, in the order in which they count."""
    rows = {row.name: row for row in BuiltInMasking.objects.filter(tenant_id=tenant_id)}
    return [_kept_built_in(rule, rows.get(rule.name)) for rule in BUILT_IN]


def find_built_in(tenant_id: uuid.UUID, name: str) -> KeptBuiltIn:
    """Raises NotFound."""
    rule = built_in_rule(name)
    return _kept_built_in(rule, BuiltInMasking.objects.filter(tenant_id=tenant_id, name=rule.name).first())


def built_in_rule(name: str) -> BuiltIn:
    """Raises NotFound."""
    try:
        return BUILT_IN_BY_NAME[name]
    except KeyError:
        raise NotFound("There is no built-in rule of that name.") from None


def no_such_rule(id: int) -> NotFound:
    return NotFound(f"There is no masking rule {id}.")


def kept_rule(row: MaskingRule) -> KeptRule:
    return KeptRule(
        row.pk,
        row.name,
        row.kind,
        row.pattern,
        list(row.fields),
        list(row.resource_types),
        row.action,
        row.position,
        row.is_active,
        row.created_by,
        row.created_at,
        row.updated_at,
        row.version,
    )


def _kept_built_in(rule: BuiltIn, row: BuiltInMasking | None) -> KeptBuiltIn:
    action = row.action if row is not None and row.action else rule.action.value
    return KeptBuiltIn(rule.name, rule.description, action, rule.action.value, row is None or row.is_active)
