"""A tenant's active rules, ready to be evaluated, with what is remembered of each."""

from __future__ import annotations

import datetime
import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from accounts.problems import Invalid
from logs.alerts.conditions import Condition, FirstSeen, State
from logs.alerts.definition import Compiled, compiled_of, condition_of, quiet_of
from logs.alerts.quieting import Quiet, QuietState
from logs.models import AlertCursor, AlertProgress, AlertRule
from logs.storage.ids import microseconds

logger = logging.getLogger(__name__)
# Of a rule, by its key: the version that was read.
Versions = frozenset[tuple[int, int]]


@dataclass
class RunningRule:
    """A rule that is evaluated. `progress` holds what people see of it; what the condition and the quiet remember is decoded."""

    row: AlertRule
    compiled: Compiled
    condition: Condition
    quiet: Quiet
    progress: AlertProgress
    state: State
    quiet_state: QuietState

    @property
    def has_to_learn(self) -> bool:
        return isinstance(self.condition, FirstSeen) and not self.progress.is_learned


@dataclass
class Loaded:
    """The rules as they were read at a revision of the cursor; those that have failed are left out. `versions` has all that are active."""

    position: int
    revision: int
    versions: Versions
    rules: list[RunningRule]


def versions_of(tenant_id: uuid.UUID) -> Versions:
    return frozenset(AlertRule.objects.filter(tenant_id=tenant_id, is_active=True).values_list("pk", "version"))


def load(tenant_id: uuid.UUID, known: Loaded | None, now: datetime.datetime) -> Loaded:
    """The active rules and the cursor; `known` itself, if nobody has changed either since."""
    versions = versions_of(tenant_id)
    if not versions:
        return Loaded(-1, -1, versions, [])
    cursor, _ = AlertCursor.objects.get_or_create(tenant_id=tenant_id, defaults={"moved_at": now})
    if known is not None and (known.revision, known.versions) == (cursor.revision, versions):
        return known
    # Changed since the versions were read? Then moving the cursor finds that out.
    rows = AlertRule.objects.filter(tenant_id=tenant_id, is_active=True).select_related("progress").order_by("pk")
    return Loaded(cursor.position, cursor.revision, versions, [rule for row in rows for rule in _running(row, now)])


def encoded(state: State | QuietState) -> bytes:
    return msgspec.msgpack.encode(state)


def _running(row: AlertRule, now: datetime.datetime) -> Iterator[RunningRule]:
    """The rule, if it can be evaluated."""
    progress: AlertProgress | None = getattr(row, "progress", None)
    if progress is not None and progress.definition == row.definition and progress.error:
        return
    try:
        compiled, condition, quiet = compiled_of(row.query, row.group_by, now), condition_of(row), quiet_of(row)
    except (Invalid, msgspec.ValidationError) as error:
        # It was right when it was kept: only a newer version of this program can see it otherwise.
        logger.error("alert rule %s of tenant %s can't be read: %s", row.pk, row.tenant_id, error)
        failed = {"definition": row.definition, "begins_at": row.begins_at, "error": f"It can't be read: {error}", "failed_at": now}
        AlertProgress.objects.update_or_create(rule=row, defaults=failed)
        return
    if progress is None or progress.definition != row.definition:
        state = condition.start(microseconds(row.began_at), is_grouped=bool(row.group_by))
        yield RunningRule(row, compiled, condition, quiet, AlertProgress(rule=row, definition=row.definition, begins_at=row.begins_at), state, QuietState())
        return
    state = msgspec.msgpack.decode(progress.condition_state, type=State)
    yield RunningRule(row, compiled, condition, quiet, progress, state, msgspec.msgpack.decode(progress.quiet_state, type=QuietState))
