"""Doors of the log that apps above it fill: what may keep a data subject from being erased, and who else has to want it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from accounts.principals import Principal
from accounts.recording import Whence

# Given the tenant, the data subject and a cursor in a transaction that names the tenant: why the subject may not be erased now, or None.
# What can't be told in time is a reason.
ErasureGuard: TypeAlias = Callable[[uuid.UUID, str, Any], str | None]
_erasure_guards: list[ErasureGuard] = []


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
