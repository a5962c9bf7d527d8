"""Deciding what a group of submissions comes to: which entries to insert, which are replays, which are refused.

Pure. An entry with an idempotency key may meet its own earlier self: in the database, or in another submission of the
same group. The same content again is a replay (the first id stands); other content is a conflict, which refuses the
whole submission unless it is partial.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from accounts.problems import Fault
from logs.ingest.check import CheckedEntry, Columns
from logs.storage.columns import ENTRY_COLUMNS

# What the server adds on its own does not count as content: a retry comes later, perhaps by another key.
_SERVER_SET = {"received_at", "source", "is_imported"}
_CONTENT_INDEXES = tuple(index for index, name in enumerate(ENTRY_COLUMNS) if name not in _SERVER_SET)


class Status(enum.Enum):
    """What became of one entry."""

    STORED = "stored"
    REPLAYED = "replayed"
    CONFLICTING = "conflicting"


@dataclass(slots=True)
class Plan:
    """`inserts[i]` are the entries of submission i to insert; `statuses[i]` one per entry of it; `refused` the numbers
    of submissions that must not be stored at all."""

    inserts: list[list[CheckedEntry]] = field(default_factory=list)
    statuses: list[list[Status]] = field(default_factory=list)
    refused: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Asked:
    """A submission as the plan sees it."""

    entries: Sequence[CheckedEntry]
    is_partial: bool
    has_keys: bool


def content_of(columns: Columns) -> Columns:
    """The part of an entry's columns that a replay has to repeat."""
    return tuple(columns[index] for index in _CONTENT_INDEXES)


def make_plan(group: Sequence[Asked], existing: Mapping[tuple[str, str], Columns]) -> Plan:
    """The plan for `group`, given the content of already stored entries by (tenant, id)."""
    plan = Plan()
    leaders: dict[tuple[str, str], Columns] = dict(existing)
    for number, asked in enumerate(group):
        if not asked.has_keys:
            plan.inserts.append(list(asked.entries))
            plan.statuses.append([Status.STORED] * len(asked.entries))
            continue
        inserts, statuses = [], []
        for entry in asked.entries:
            if not entry.is_keyed:
                status = Status.STORED
            else:
                first = leaders.get((entry.tenant_id, entry.id))
                if first is None:
                    status = Status.STORED
                else:
                    status = Status.REPLAYED if first == content_of(entry.columns) else Status.CONFLICTING
            statuses.append(status)
            if status is Status.STORED:
                inserts.append(entry)
        if Status.CONFLICTING in statuses and not asked.is_partial:
            plan.refused.add(number)
            inserts = []
        else:
            # Only now: a refused submission's entries lead nothing.
            leaders.update({(entry.tenant_id, entry.id): content_of(entry.columns) for entry in inserts if entry.is_keyed})
        plan.inserts.append(inserts)
        plan.statuses.append(statuses)
    return plan


def conflict_fault(pointer: str) -> Fault:
    return Fault(pointer + "/idempotency_key", "idempotency_conflict", "This key and timestamp belong to a stored entry with other content. Use a new key.")
