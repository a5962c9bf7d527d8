"""Making, changing, ordering and deleting policies, and what a change would do before it is made.

Invariants:
- Changes of one tenant's policies come one after the other (CHANGE_RETENTION, by tenant): what is checked against the others is true when
  it is committed.
- What a locked policy promises is kept (`comparing`). A change that would purge at once more than half of what is hot, or give an end to
  everything that had none so early, is made only if its maker says the policy's name once more.
"""

from __future__ import annotations

import copy
import datetime
import uuid
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeAlias

from django.db import transaction

from accounts.problems import Fault, Invalid
from accounts.versions import check_version
from archival.dual_control.acts import Asker, ask
from archival.dual_control.settings import needs_second
from archival.errors import ConfirmationNeeded
from archival.models import ActKind, PendingAct, RetentionPolicy
from archival.retention.comparing import check_locked, keeps_less
from archival.retention.counting import DueCount, count_due
from archival.retention.finding import list_policies, no_such_policy, policy_of
from archival.retention.held import held_in
from archival.retention.policies import Policy, in_order
from logs.storage.locks import lock_retention

MAX_POLICIES = 50
Step: TypeAlias = Literal["add", "change", "delete", "order"]


@dataclass(frozen=True)
class PolicyChange:
    """A change of a tenant's policies. `id`: of the policy, but for `add` and `order`; `values`: new ones of its fields; `ids`: of `order`.

    `etags`: the policy has to have one of them; None: whichever it has.
    """

    step: Step
    id: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    ids: list[int] = field(default_factory=list)
    etags: list[str] | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Outlook:
    """What a change would do: the policies before and after it in order, and what each would move and purge now.

    `confirm`: the name that has to be said once more, or empty. `keeps_less`: would anything be purged earlier than it was to be?
    """

    before: DueCount
    after: DueCount
    keeps_less: bool
    confirm: str


@dataclass(frozen=True)
class _Draft:
    """The rows as they would be, and as they are."""

    before: list[RetentionPolicy]
    after: list[RetentionPolicy]
    # What is to be written or deleted; None: of `order`, every row.
    row: RetentionPolicy | None

    @property
    def policies_before(self) -> tuple[Policy, ...]:
        return in_order([policy_of(row) for row in self.before])

    @property
    def policies_after(self) -> tuple[Policy, ...]:
        return in_order([policy_of(row) for row in self.after])


def preview(tenant_id: uuid.UUID, change: PolicyChange, now: datetime.datetime) -> Outlook:
    """What a change would do. Raises NotFound, or Invalid for one that can't be made."""
    return _outlook(tenant_id, _draft(list_policies(tenant_id), change), now)


def change_policies(
    asker: Asker, change: PolicyChange, now: datetime.datetime, *, confirm: str = "", is_confirmed: bool = False
) -> RetentionPolicy | PendingAct | None:
    """Make a change. Answers the policy, but for `delete` and `order`. Where anything would be kept less long, it may have to wait for a second
    Admin: then what waits is answered, and nothing is changed.

    `is_confirmed`: by one; then it need not be said twice either. Raises NotFound, Invalid, ConfirmationNeeded or NotAllowed.
    """
    tenant_id = asker.tenant_id
    with transaction.atomic():
        lock_retention(tenant_id)
        draft = _draft(list_policies(tenant_id), change)
        if not is_confirmed and keeps_less(draft.policies_before, draft.policies_after):
            _check_confirmed(_outlook(tenant_id, draft, now), confirm, sees_all=asker.principal is None or asker.principal.restriction.leaves_all)
            if needs_second(tenant_id, ActKind.POLICY):
                return ask(asker, ActKind.POLICY, _bound(draft, change).as_json(), "", now)
        return _write(draft, change, asker.source)


def _bound(draft: _Draft, change: PolicyChange) -> PolicyChange:
    """The change, of the policy as it is now: what a second Admin confirms is not done to another one."""
    row = next((row for row in draft.before if row.pk == change.id), None)
    return change if row is None else replace(change, etags=[row.etag])


def _check_confirmed(outlook: Outlook, confirm: str, *, sees_all: bool) -> None:
    """Raises ConfirmationNeeded; with counts for who sees the whole log."""
    if outlook.confirm and confirm != outlook.confirm:
        after = outlook.after
        much = f"{after.purged} of {after.hot} hot entries" if sees_all else "more than half of the hot entries"
        detail = f"It would purge {much} now, or give everything an earlier end. If it is meant so, send the name {outlook.confirm!r} as `confirm`."
        counts = {"would_purge": after.purged, "hot": after.hot, "counted_from": after.counted_from} if sees_all else {}
        raise ConfirmationNeeded(detail, **counts)


def _outlook(tenant_id: uuid.UUID, draft: _Draft, now: datetime.datetime) -> Outlook:
    before, after = draft.policies_before, draft.policies_after
    held, is_less = held_in(tenant_id), keeps_less(before, after)
    counted, would = count_due(tenant_id, before, held, now), count_due(tenant_id, after, held, now)
    is_much = would.purged > counted.purged and would.purged * 2 > would.hot
    named = draft.row.name if draft.row is not None else "order"
    return Outlook(counted, would, is_less, named if is_less and (is_much or _ends_everything(before, after)) else "")


def _ends_everything(before: Sequence[Policy], after: Sequence[Policy]) -> bool:
    """Is there a day on which all that a policy for all entries decides is gone, and was there none so early?"""
    ends = [min((policy.kept.total_days for policy in policies if policy.matches_all), default=float("inf")) for policies in (before, after)]
    return ends[1] < ends[0]


def _draft(rows: list[RetentionPolicy], change: PolicyChange) -> _Draft:
    """Raises NotFound or Invalid."""
    after = [copy.copy(row) for row in rows]
    row: RetentionPolicy | None
    if change.step == "add":
        if len(rows) >= MAX_POLICIES:
            raise Invalid([Fault("", "too_many_policies", f"There are {MAX_POLICIES} policies, and no more are kept. Delete one first.")])
        row = RetentionPolicy(tenant_id=rows[0].tenant_id, **change.values)
        after.append(row)
    elif change.step == "order":
        _order(after, change.ids)
        row = None
    else:
        row = _found(after, change.id or 0, change.etags)
        if change.step == "delete":
            after.remove(row)
            if row.is_default:
                raise Invalid([Fault("", "default_policy", "The default policy can be changed, and not deleted.")])
        else:
            for name, value in change.values.items():
                setattr(row, name, value)
    if row is not None and change.step != "delete":
        _check(row, after)
    draft = _Draft(rows, after, row)
    check_locked(draft.policies_before, draft.policies_after)
    return draft


def _order(rows: Sequence[RetentionPolicy], ids: Sequence[int]) -> None:
    """Give the rows the precedence that their place in `ids` says."""
    others = {row.pk: row for row in rows if not row.is_default}
    if sorted(ids) != sorted(others):
        raise Invalid([Fault("/ids", "wrong_ids", "Name the id of every policy but the default once, the first to count first.")])
    for place, id in enumerate(ids):
        others[id].precedence = 10 * (place + 1)


def _found(rows: Sequence[RetentionPolicy], id: int, etags: Collection[str] | None) -> RetentionPolicy:
    row = next((row for row in rows if row.pk == id), None)
    if row is None:
        raise no_such_policy(id)
    check_version(row, etags)
    return row


def _check(row: RetentionPolicy, rows: Sequence[RetentionPolicy]) -> None:
    """Raises Invalid for what only the row as a whole, or beside the others, can tell."""
    faults = []
    if not row.name.strip():
        faults.append(Fault("/name", "empty", "The name is empty."))
    if any(other.name == row.name and other is not row for other in rows):
        faults.append(Fault("/name", "exists", "There is a retention policy of this name already."))
    if row.is_default and not policy_of(row).matches_all:
        faults.append(Fault("", "default_policy", "The default policy matches every entry that no other does."))
    if faults:
        raise Invalid(faults)


def _write(draft: _Draft, change: PolicyChange, who: str) -> RetentionPolicy | None:
    if change.step == "delete" and draft.row is not None:
        RetentionPolicy.objects.filter(pk=draft.row.pk).delete()
        return None
    written = draft.after if draft.row is None else [draft.row]
    before = {row.pk: row.precedence for row in draft.before}
    for row in written:
        if change.step == "order" and row.precedence == before[row.pk]:
            continue
        if row.pk is not None:
            row.version += 1
        row.updated_by = who
        row.save()
    return draft.row
