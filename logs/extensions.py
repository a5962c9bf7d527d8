"""Doors of the log that apps above it fill: what may keep a data subject from being erased."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, TypeAlias

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
