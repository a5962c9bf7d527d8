"""Making, changing and deleting masking rules. Whoever calls has made sure that the principal is an Admin."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from accounts.principals import Principal
from accounts.problems import Fault, Invalid
from accounts.versions import locked
from logs.masking_rules.finding import KeptBuiltIn, KeptRule, built_in_rule, find_built_in, kept_rule, no_such_rule
from logs.models import BuiltInMasking, LogSettings, MaskingKind, MaskingRule
from logs.privacy.masking import MAX_RULES, check_rule, forget


@dataclass(frozen=True)
class RuleChanges:
    """New values of a rule's fields; None: as it is."""

    name: str | None = None
    kind: str | None = None
    pattern: str | None = None
    fields: list[str] | None = None
    resource_types: list[str] | None = None
    action: str | None = None
    position: int | None = None
    is_active: bool | None = None

    def values(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}


def add_rule(principal: Principal, changes: RuleChanges) -> KeptRule:
    """Keep a new rule. Raises Invalid."""
    row = MaskingRule(tenant_id=principal.tenant_id, created_by=principal.source, **changes.values())
    _check(row)
    try:
        with transaction.atomic():
            # Its lock makes requests come one after the other, or two at once would pass the limit together.
            LogSettings.objects.get_or_create(pk=principal.tenant_id)
            LogSettings.objects.select_for_update().get(pk=principal.tenant_id)
            if MaskingRule.objects.filter(tenant_id=principal.tenant_id).count() >= MAX_RULES:
                raise Invalid([Fault("", "too_many_masking_rules", f"There are {MAX_RULES} rules, and no more are kept. Delete one first.")])
            row.save()
            transaction.on_commit(forget)
            return kept_rule(row)
    except IntegrityError as error:
        raise _exists() from error


def change_rule(principal: Principal, id: int, changes: RuleChanges, etags: Collection[str] | None) -> KeptRule:
    """Change one, if it still has one of `etags` (None: whichever it has). Raises NotFound or Invalid."""
    try:
        with transaction.atomic():
            row = _locked(principal.tenant_id, id, etags)
            if not changes.values():
                return kept_rule(row)
            for name, value in changes.values().items():
                setattr(row, name, value)
            _check(row)
            row.version += 1
            row.save()
            transaction.on_commit(forget)
            return kept_rule(row)
    except IntegrityError as error:
        raise _exists() from error


def delete_rule(principal: Principal, id: int, etags: Collection[str] | None) -> None:
    """Delete one, if it still has one of `etags` (None: whichever it has). Raises NotFound or ChangedMeanwhile."""
    with transaction.atomic():
        _locked(principal.tenant_id, id, etags).delete()
        transaction.on_commit(forget)


def change_built_in(principal: Principal, name: str, *, is_active: bool | None, action: str | None) -> KeptBuiltIn:
    """Switch a built-in rule on or off, or give it an action; None: as it is. Raises NotFound."""
    rule = built_in_rule(name)
    with transaction.atomic():
        row, _ = BuiltInMasking.objects.select_for_update().get_or_create(tenant_id=principal.tenant_id, name=rule.name)
        if is_active is not None:
            row.is_active = is_active
        if action is not None:
            row.action = action
        row.save()
        transaction.on_commit(forget)
    return find_built_in(principal.tenant_id, rule.name)


def _locked(tenant_id: uuid.UUID, id: int, etags: Collection[str] | None) -> MaskingRule:
    """The row, for the rest of the transaction nobody else's to change. Raises NotFound or ChangedMeanwhile."""
    return locked(MaskingRule.objects.select_for_update().filter(tenant_id=tenant_id, pk=id), etags, no_such_rule(id))


def _check(row: MaskingRule) -> None:
    """Raises Invalid for a name of spaces, and for a pattern that is none."""
    if not row.name.strip():
        raise Invalid([Fault("/name", "empty", "The name is empty.")])
    check_rule(MaskingKind(row.kind), row.pattern)


def _exists() -> Invalid:
    return Invalid([Fault("/name", "exists", "There is a masking rule of this name already.")])
