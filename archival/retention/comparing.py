"""One set of policies beside another: does anything leave earlier, and is what locked policies promise kept? Pure.

The promise of a locked policy: whatever it matches is kept as long as it says, or as long as it is kept now if an earlier policy keeps it
less long. So nothing overtakes a locked policy that was not before it when it was locked, and what was before it can't be shortened
below it. Kinds of entries that no policy tells apart are compared once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from accounts.problems import Fault, Invalid
from archival.retention.policies import Kind, Policy, deciding
from logs.models import Severity

# More kinds are not compared: with as many policies as there may be it would take seconds.
MAX_KINDS = 20_000


def kinds_told_apart(policies: Sequence[Policy]) -> Iterator[Kind]:
    """One entry's kind for each way in which policies tell entries apart. Raises Invalid for more than MAX_KINDS."""
    types = _representatives([policy.resource_types for policy in policies])
    actions = _representatives([policy.actions for policy in policies])
    if len(types) * len(actions) * len(Severity) > MAX_KINDS:
        raise Invalid([Fault("", "too_many_kinds", "The policies tell too many kinds of entries apart. Name fewer resource types and actions.")])
    for resource_type, action, severity in itertools.product(types, actions, Severity.values):
        yield Kind(resource_type, action, severity)


def keeps_less(before: Sequence[Policy], after: Sequence[Policy]) -> bool:
    """Would anything be purged earlier than it was to be? Both in order."""
    return any(deciding(after, kind).kept.total_days < deciding(before, kind).kept.total_days for kind in kinds_told_apart((*before, *after)))


def check_locked(before: Sequence[Policy], after: Sequence[Policy]) -> None:
    """Raises Invalid if `after` breaks what a locked policy of `before` promises. Both in order."""
    locked = [policy for policy in before if policy.is_locked]
    if not locked:
        return
    by_id = {policy.id: policy for policy in after}
    for policy in locked:
        _check_same(policy, by_id.get(policy.id))
    for kind in kinds_told_apart((*before, *after)):
        was, would_be = deciding(before, kind).kept, deciding(after, kind)
        for policy in locked:
            if policy.matches(kind) and not _keeps_at_least(would_be, min(was.hot_days, policy.kept.hot_days), min(was.total_days, policy.kept.total_days)):
                detail = f"{would_be.name!r} would keep less long what the locked policy {policy.name!r} keeps."
                raise Invalid([Fault("", "locked_policy_overtaken", detail)])


def _keeps_at_least(policy: Policy, hot_days: float, total_days: float) -> bool:
    return policy.kept.hot_days >= hot_days and policy.kept.total_days >= total_days


def _check_same(policy: Policy, after: Policy | None) -> None:
    """Raises Invalid if a locked policy is gone, unlocked, shorter or narrower."""
    if after is None:
        raise Invalid([Fault("", "locked_policy", f"The policy {policy.name!r} is locked: it can't be deleted.")])
    faults = []
    if not after.is_locked:
        faults.append(Fault("/is_locked", "locked_policy", "A locked policy stays locked."))
    if after.kept.hot_days < policy.kept.hot_days:
        faults.append(Fault("/hot_days", "locked_policy", f"A locked policy can be lengthened, never shortened: at least {policy.hot_days} hot days."))
    if after.kept.total_days < policy.kept.total_days:
        least = "for ever" if policy.total_days is None else f"at least {policy.total_days} days, hot and cold together"
        faults.append(Fault("/cold_days", "locked_policy", f"A locked policy can be lengthened, never shortened: {least}."))
    if not after.covers(policy):
        faults.append(Fault("", "locked_policy", "A locked policy can match more, never less."))
    if faults:
        raise Invalid(faults)


def _representatives(named: Sequence[Sequence[str]]) -> list[str | None]:
    """Of the values that the same policies name, one; and None for all that nobody names."""
    naming: dict[str, list[int]] = {}
    for place, values in enumerate(named):
        for value in set(values):
            naming.setdefault(value, []).append(place)
    return [None, *{tuple(places): value for value, places in naming.items()}.values()]
