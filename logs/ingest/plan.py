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
from logs.ingest.check import CheckedEntry
from logs.storage.columns import ENTRY_COLUMNS, Columns

# What the server adds on its own does not count as content: a retry comes later, perhaps by another key.
_SERVER_SET = {"received_at", "source", "is_imported"}
_RECEIVED_AT = list(ENTRY_COLUMNS).index("received_at")
_CONTENT_INDEXES = tuple(index for index, name in enumerate(ENTRY_COLUMNS) if name not in _SERVER_SET)


class Status(enum.Enum):
    """What became of one entry."""

    STORED = "stored"
    REPLAYED = "replayed"
    CONFLICTING = "conflicting"


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry as it was stored the first time. `record`: 32 bytes."""

    content: Columns
    record: bytes
    received_at: str

    @classmethod
    def of(cls, columns: Columns, record: bytes) -> Stored:
        return cls(content_of(columns), record, columns[_RECEIVED_AT] or "")


@dataclass(slots=True)
class Plan:
    """`inserts[i]` are the entries of submission i to insert; `statuses[i]` one per entry of it; `firsts[i]` what is stored
    for those of its entries that are replays, by their index; `refused` the numbers of submissions that must not be stored at all."""

    inserts: list[list[CheckedEntry]] = field(default_factory=list)
    statuses: list[list[Status]] = field(default_factory=list)
    firsts: list[dict[int, Stored]] = field(default_factory=list)
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


def make_plan(group: Sequence[Asked], existing: Mapping[tuple[str, str], Stored]) -> Plan:
    """The plan for `group`, given what is stored already, by (tenant, id)."""
    plan = Plan()
    leaders: dict[tuple[str, str], Stored] = dict(existing)
    for number, asked in enumerate(group):
        if not asked.has_keys:
            plan.inserts.append(list(asked.entries))
            plan.statuses.append([Status.STORED] * len(asked.entries))
            plan.firsts.append({})
            continue
        inserts, statuses = [], []
        firsts: dict[int, Stored] = {}
        for index, entry in enumerate(asked.entries):
            if not entry.is_keyed:
                status = Status.STORED
            else:
                first = leaders.get((entry.tenant_id, entry.id))
                if first is None:
                    status = Status.STORED
                else:
                    status = Status.REPLAYED if first.content == content_of(entry.columns) else Status.CONFLICTING
                    firsts[index] = first
            statuses.append(status)
            if status is Status.STORED:
                inserts.append(entry)
        if Status.CONFLICTING in statuses and not asked.is_partial:
            plan.refused.add(number)
            inserts = []
        else:
            # Only now: a refused submission's entries lead nothing.
            leaders.update({(entry.tenant_id, entry.id): Stored.of(entry.columns, entry.record) for entry in inserts if entry.is_keyed})
        plan.inserts.append(inserts)
        plan.statuses.append(statuses)
        plan.firsts.append(firsts)
    return plan


def conflict_fault(pointer: str) -> Fault:
    return Fault(pointer + "/idempotency_key", "idempotency_conflict", "This key and timestamp belong to a stored entry with other content. Use a new key.")
