"""Doors of `accounts` that apps above it fill: here the recorder, which makes entries of what is done.

`record` is for what is no view of the API (sign-in, admin, commands, tasks); views have `accounts.recording`.
"""

from __future__ import annotations

import asyncio
import datetime
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from django.db import close_old_connections, connection

from accounts.deeds import Actor, Deed
from accounts.models import Membership, User
from accounts.principals import Principal
from accounts.problems import NotRecorded

Outcome = Literal["success", "failure"]
Severity = Literal["INFO", "WARNING", "ERROR", "CRITICAL"]


@dataclass(frozen=True, slots=True)
class Record:
    """One deed to be recorded. Texts may be of any length and hold any character; the recorder cuts and cleans them.

    `idempotency_key`, with `at`: recorded twice with the same key and moment, it is one entry, the first.
    """

    tenant_id: uuid.UUID
    user_id: str
    deed: Deed
    outcome: Outcome
    resource_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    ip_address: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    severity: Severity | None = None
    idempotency_key: str | None = None
    at: datetime.datetime | None = None


class Recording(Protocol):
    """Records on their way to the disk."""

    def wait(self) -> NotRecorded | None:
        """Block until they are committed. Answers why they are not."""

    def call_when_done(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        """Have `callback()` called in `loop` when `problem` is known."""

    @property
    def problem(self) -> NotRecorded | None:
        """Why they are not recorded; None if they are. Known once done."""

    def give_up(self) -> NotRecorded:
        """Wait no longer."""


class Recorder(Protocol):
    """What makes entries of records."""

    def prepare(self, tenant_ids: Sequence[uuid.UUID]) -> None:
        """Have at hand what recording in these tenants' logs needs."""

    def submit(self, records: Sequence[Record]) -> Recording:
        """Begin to store all of them, or none. Raises NotRecorded."""


_recorder: Recorder | None = None
# The entry of a deed is committed before the deed, on its own: whatever recording reads or writes has to be outside of the deed's transaction.
_outside = ThreadPoolExecutor(max_workers=2, thread_name_prefix="recording")


def register_recorder(recorder: Recorder) -> None:
    """Fill the door. Called once, when Django starts."""
    global _recorder
    _recorder = recorder


def recorder() -> Recorder:
    """The registered recorder. Raises NotRecorded if there is none: then nothing may be done that has to be recorded."""
    if _recorder is None:
        raise NotRecorded
    return _recorder


def submit(records: Sequence[Record]) -> Recording:
    """Begin to store records, outside of the transaction that this thread may be in. Raises NotRecorded."""
    if not connection.in_atomic_block:
        return recorder().submit(records)
    return _outside.submit(_submit_outside, records).result()


def _submit_outside(records: Sequence[Record]) -> Recording:
    try:
        return recorder().submit(records)
    finally:
        # To the pool, if it was needed.
        close_old_connections()


def record_all(records: Sequence[Record]) -> None:
    """Store records, all or none of them, and come back when they are on disk. Raises NotRecorded."""
    if not records:
        return
    problem = submit(records).wait()
    if problem is not None:
        raise problem


def record(
    tenant_id: uuid.UUID,
    deed: Deed,
    *,
    actor: Actor | Principal | User | str,
    outcome: Outcome = "success",
    resource_id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    ip_address: str | None = None,
    user_agent: str | None = None,
    request_id: str | None = None,
    severity: Severity | None = None,
) -> None:
    """Make an entry of a deed in the tenant's log, and come back when it is on disk. Raises NotRecorded, an Unavailable.

    `actor` as text is the `user_id` itself. `severity` is INFO, or of a failure WARNING, if it is not given.
    """
    user_id, source = _names_of(actor, tenant_id)
    told = dict(metadata or {}) | ({"principal": source} if source else {})
    record_all([Record(tenant_id, user_id, deed, outcome, resource_id, told, ip_address, user_agent, request_id, severity)])


def _names_of(actor: Actor | Principal | User | str, tenant_id: uuid.UUID) -> tuple[str, str | None]:
    """The actor's `user_id` and source."""
    match actor:
        case str():
            return actor, None
        case Actor():
            return actor.user_id, actor.source
        case Principal():
            return actor.acts_as, actor.source
        case User():
            membership = Membership.objects.select_related("user").filter(user=actor, tenant_id=tenant_id).first()
            return membership.own_user_id if membership else actor.get_username(), f"user:{actor.get_username()}"
