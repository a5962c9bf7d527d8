"""A tenant's masker: its rules looked up and compiled, and looked up again every few seconds."""

from __future__ import annotations

import functools
import logging
import time
import uuid

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from accounts.problems import Invalid
from logs.catalogue import catalogue_of
from logs.models.masking import BuiltInMasking, MaskedField, MaskingAction, MaskingKind, MaskingRule
from logs.privacy.masking.built_in import BUILT_IN
from logs.privacy.masking.masker import Masker
from logs.privacy.masking.rules import OwnRule, RuleSet, check_rule

logger = logging.getLogger(__name__)

_HASHES = b"auditlog: hashes of masked values, v1"
_cached: dict[uuid.UUID, tuple[float, Masker]] = {}


def masker_of(tenant_id: uuid.UUID) -> Masker:
    """The tenant's masker, at most `AUDITLOG_CREDENTIAL_CACHE_SECONDS` old."""
    hit = _cached.get(tenant_id)
    now = time.monotonic()
    if hit is not None and hit[0] > now:
        return hit[1]
    rules = rules_of(tenant_id)
    # Compiling takes a few milliseconds, so it is done only for other rules.
    masker = hit[1] if hit is not None and hit[1].rules == rules else Masker(rules, hash_secret(tenant_id))
    _cached[tenant_id] = (now + settings.AUDITLOG_CREDENTIAL_CACHE_SECONDS, masker)
    return masker


def forget() -> None:
    """Look every tenant's rules up again."""
    _cached.clear()


def rules_of(tenant_id: uuid.UUID) -> RuleSet:
    """The tenant's active rules, in their order."""
    built_in = {rule.name: rule.action for rule in BUILT_IN}
    for row in BuiltInMasking.objects.filter(tenant_id=tenant_id):
        if row.name in built_in:
            if not row.is_active:
                del built_in[row.name]
            elif row.action:
                built_in[row.name] = MaskingAction(row.action)
    rows = MaskingRule.objects.filter(tenant_id=tenant_id, is_active=True).order_by("position", "id")
    return RuleSet(tuple(rule for row in rows if (rule := _checked(row)) is not None), built_in)


def own_rule(row: MaskingRule) -> OwnRule:
    return OwnRule(
        row.name,
        MaskingKind(row.kind),
        row.pattern,
        MaskingAction(row.action),
        tuple(MaskedField(field) for field in row.fields),
        tuple(row.resource_types),
    )


@functools.lru_cache(maxsize=1000)
def hash_secret(tenant_id: uuid.UUID) -> bytes:
    """The key of the tenant's hashes: never another, or equal values would be equal no longer."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_HASHES).derive(catalogue_of(tenant_id).id_secret)


def _checked(row: MaskingRule) -> OwnRule | None:
    rule = own_rule(row)
    try:
        check_rule(rule.kind, rule.pattern)
    except Invalid as error:
        # It was right when it was saved; one rule that a newer RE2 refuses must not stop all that the tenant sends.
        logger.error("masking rule %s of tenant %s is left out: %s", row.pk, row.tenant_id, error.detail)
        return None
    return rule
