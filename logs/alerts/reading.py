"""Entries in the order of positions as rules need them, and how far the log's clock has come."""

from __future__ import annotations

import datetime
import functools
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from psycopg import sql

from logs.alerts.definition import Compiled, group_of
from logs.integrity.storage import read_head
from logs.search.facts import Facts
from logs.search.positions import rows_between
from logs.search.tree import All, TextField
from logs.storage.ids import microseconds
from logs.storage.kinds import OWN_SOURCE
from logs.storage.reading import tenant_transaction

_EVERYTHING = All()
_TEXTS: tuple[TextField, ...] = ("user_id", "action", "resource_type", "resource_id", "request_id", "session_id", "source")
# What facts and groups are made of; the last two say where the entry stands.
_COLUMNS = (
    *_TEXTS, "id", "(extract(epoch FROM received_at) * 1000000)::bigint", "severity", "outcome", "abbrev(ip_address)", "message", "changed_fields",
    "metadata::text", "is_imported", "batch_id", "batch_index",
)  # fmt: skip
COLUMNS = [sql.SQL(text) for text in _COLUMNS]
# The same of entries that the database has found already: without what only a predicate reads.
FOUND_COLUMNS = [sql.SQL("NULL") if text in ("message", "changed_fields", "metadata::text") else sql.SQL(text) for text in _COLUMNS]
# The log's own entries about alerts and what is sent of them: a rule that they fired would go on for ever.
OF_ALERTS = ("audit_log_alert", "audit_log_delivery")
# Plan: logs_batch_waiting, which holds what came in within the last second.
SELECT_OLDEST_WAITING = "SELECT min(committed_at) FROM auditlog.logs_batch_view WHERE first_position IS NULL"
# Plan: for each position the newest batch at or below it by logs_batch_position, then logs_entry_batch of the partitions between its ids.
SELECT_IDS = """
SELECT p.position, e.id FROM unnest(%s::bigint[]) AS p (position)
CROSS JOIN LATERAL (SELECT id, first_position, lowest_id, highest_id FROM auditlog.logs_batch_view
                    WHERE first_position <= p.position ORDER BY first_position DESC LIMIT 1) AS b
JOIN auditlog.logs_entry_view AS e
  ON e.batch_id = b.id AND e.batch_index = p.position - b.first_position AND e.id >= b.lowest_id AND e.id <= b.highest_id
"""


class ReadEntry:
    """One entry. `moment_us`: when it was received, in microseconds since 1970; `position`: of one that has none yet, -1."""

    __slots__ = ("facts", "id", "ip_address", "is_imported", "moment_us", "position")

    def __init__(self, position: int, row: Sequence[Any]) -> None:
        *texts, id, moment_us, severity, outcome, ip_address, message, changed_fields, metadata, is_imported, _, _ = row
        self.position = position
        self.id: uuid.UUID = id
        self.moment_us: int = moment_us
        self.ip_address: str | None = ip_address
        self.is_imported: bool = is_imported
        self.facts = Facts(
            id=id,
            severity=severity,
            outcome=outcome,
            ip_address=ip_address,
            texts=dict(zip(_TEXTS, texts, strict=True)),
            message=message,
            changed_fields=changed_fields or (),
            metadata=metadata,
        )

    @property
    def is_own(self) -> bool:
        """Did the log make it of its own use?"""
        return self.facts.texts["source"] == OWN_SOURCE

    def is_for(self, rule: Compiled) -> bool:
        """Does the rule see the entry at all? The log's own only by name, and what alerts themselves write never."""
        return not self.is_own or (rule.sees_own_entries and self.facts.texts["resource_type"] not in OF_ALERTS)

    def group(self, group_by: Sequence[str]) -> str | None:
        """Its group; None if it lacks a value."""
        texts: Mapping[str, str | None] = self.facts.texts
        return group_of([self.ip_address if name == "ip_address" else texts[name] for name in group_by])


class _Seen:
    """Entries that some rules see, in order, and the same by their action."""

    def __init__(self, entries: list[ReadEntry]) -> None:
        self.entries = entries
        self.by_action: dict[str | None, list[ReadEntry]] = defaultdict(list)
        for entry in entries:
            self.by_action[entry.facts.texts["action"]].append(entry)


@dataclass(frozen=True)
class Chunk:
    """Entries up to the position `end`, in order. `until_us`: everything that was received before then has been read by now."""

    entries: Sequence[ReadEntry]
    end: int
    tree_size: int
    until_us: int

    def candidates(self, rule: Compiled, begins_at: int) -> Sequence[ReadEntry]:
        """The entries from the position `begins_at` on that the rule could find: what it sees, with its actions. Imported ones are history."""
        seen = self._with_own if rule.sees_own_entries else self._posted
        found = seen.entries
        if rule.actions is not None:
            found = [entry for action in rule.actions for entry in seen.by_action.get(action, ())]
            if len(rule.actions) > 1:
                found.sort(key=lambda entry: entry.position)
        if found and found[0].position < begins_at:
            found = [entry for entry in found if entry.position >= begins_at]
        return found

    @functools.cached_property
    def _posted(self) -> _Seen:
        return _Seen([entry for entry in self.entries if not entry.is_imported and not entry.is_own])

    @functools.cached_property
    def _with_own(self) -> _Seen:
        return _Seen([entry for entry in self.entries if not entry.is_imported and not (entry.is_own and entry.facts.texts["resource_type"] in OF_ALERTS)])


def read_chunk(tenant_id: uuid.UUID, after: int, limit: int, now: datetime.datetime) -> Chunk:
    """The entries at up to `limit` positions above `after`. `now`: the clock before anything is read."""
    # Received is earlier than committed, by no longer than a request waits for its commit.
    grace_us = int(settings.AUDITLOG_COMMIT_TIMEOUT_SECONDS * 1_000_000)
    with tenant_transaction(tenant_id) as database:
        # Before the head: what gets its position in between is read below.
        database.execute(SELECT_OLDEST_WAITING)
        (oldest_waiting,) = database.fetchone()
        head = read_head(database)
        size = head.tree_size if head else 0
        entries, end = list[ReadEntry](), after
        if after < size - 1:
            rows, high = rows_between(database, tenant_id, _EVERYTHING, after + 1, min(size, after + 1 + limit), COLUMNS)
            entries, end = [ReadEntry(position, row) for position, row in rows], high - 1
    if end == size - 1:
        until = now if oldest_waiting is None else min(now, oldest_waiting)
        return Chunk(entries, end, size, microseconds(until) - grace_us)
    return Chunk(entries, end, size, (entries[-1].moment_us if entries else 0) - grace_us)


def entry_ids_at(tenant_id: uuid.UUID, positions: Iterable[int]) -> dict[int, uuid.UUID]:
    """The ids of the entries at these positions, of those that are still there."""
    wanted = sorted(set(positions))
    if not wanted:
        return {}
    with tenant_transaction(tenant_id) as database:
        database.execute(SELECT_IDS, [wanted])
        return dict(database.fetchall())
