"""Doors of the log that apps above it fill: what may keep a data subject from being erased, who else has to want it, and the tier of archived entries."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from accounts.principals import Principal
from accounts.recording import Whence

if TYPE_CHECKING:
    from logs.search.tree import Node

# Given the tenant, the data subject and a cursor in a transaction that names the tenant: why the subject may not be erased now, or None.
# What can't be told in time is a reason.
ErasureGuard: TypeAlias = Callable[[uuid.UUID, str, Any], str | None]
_erasure_guards: list[ErasureGuard] = []
# An archived entry: a row of `storage.columns.ENTRY_AS_TEXT`, then its batch and its place in it, as numbers.
ColdRow: TypeAlias = Sequence[Any]


@dataclass(frozen=True)
class ColdQuestion:
    """Archived entries of a tenant with `low <= id < high` that `tree` finds.

    `check` is called again and again while segments are read, with the id that the order has come to; what it raises ends the reading.
    `batches`: of these batches only.
    """

    tenant_id: uuid.UUID
    tree: Node
    low: uuid.UUID
    high: uuid.UUID
    check: Callable[[uuid.UUID], None]
    is_ascending: bool = False
    batches: frozenset[int] | None = None


class ColdTier(Protocol):
    """Where entries are once they have left PostgreSQL. An entry is here before it leaves there, so whoever asks PostgreSQL first and this
    tier afterwards (or both of one snapshot) finds every entry at least once; in both tiers it is the same entry."""

    def rows(self, cursor: Any, question: ColdQuestion) -> Iterator[ColdRow] | None:
        """The rows in order of id, each once, read as they are asked for; None if no segment has ids between the bounds.

        `cursor` is asked which segments there are, before this comes back. The iterator raises ArchiveUnavailable where a
        segment can't be read: it never ends early without a word.
        """


_cold_tier: ColdTier | None = None


def register_cold_tier(tier: ColdTier) -> None:
    """Fill the door. Called once, when Django starts."""
    global _cold_tier
    _cold_tier = tier


def cold_tier() -> ColdTier | None:
    """The tier of archived entries, if there is one."""
    return _cold_tier


def register_erasure_guard(guard: ErasureGuard) -> None:
    """Fill the door. Called once for each guard, when Django starts."""
    if guard not in _erasure_guards:
        _erasure_guards.append(guard)


def reason_against_erasure(tenant_id: uuid.UUID, subject: str, cursor: Any) -> str | None:
    """The first guard's reason against erasing the subject; None if there is none."""
    return next((reason for guard in _erasure_guards if (reason := guard(tenant_id, subject, cursor)) is not None), None)


@dataclass(frozen=True)
class Deferral:
    """An erasure that waits for somebody else to confirm it. `path`: where to watch that."""

    pending_act: int
    path: str


# Given who asks, the data subject, the reason and where from: what waits now, or None if nobody else has to confirm it. Raises Problem.
ErasureGate: TypeAlias = Callable[[Principal, str, str, Whence], Deferral | None]
_erasure_gates: list[ErasureGate] = []


def register_erasure_gate(gate: ErasureGate) -> None:
    """Fill the door. Called once for each gate, when Django starts."""
    if gate not in _erasure_gates:
        _erasure_gates.append(gate)


def deferral_of_erasure(principal: Principal, subject: str, reason: str, whence: Whence) -> Deferral | None:
    """What the first gate that wants so has waiting; None: the erasure needs nobody else."""
    return next((found for gate in _erasure_gates if (found := gate(principal, subject, reason, whence)) is not None), None)
