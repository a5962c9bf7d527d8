"""Who purges: the door that the archiver fills."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

from accounts.problems import Unavailable
from archival.due import Due
from logs.storage.engines import Partition

# What is to be purged, by the holds, policies and rights of the moment at which it is asked. Raises Refused: then nothing.
Plan: TypeAlias = Callable[[], Due]


class Purger(Protocol):
    """Purges for good, under a signed purge record, what a plan says. Doing it again purges nothing more.

    The plan is asked within the transaction that puts the purge on record, after `lock_erasures` of the tenant: no hold is placed between the
    two. Raises what the plan raises, and DatabaseError, StorageError or Unavailable for what may pass.
    """

    def purge_hot(self, tenant_id: uuid.UUID, plan: Plan, partition: Partition) -> int:
        """Purge entries of one partition. Answers how many."""

    def purge_cold(self, tenant_id: uuid.UUID, plan: Plan) -> Iterator[int]:
        """Purge archived entries, segment by segment. Answers of each how many."""


_purger: Purger | None = None


def register_purger(purger: Purger) -> None:
    """Fill the door. Called once, when Django starts."""
    global _purger
    _purger = purger


def purger() -> Purger:
    """The registered one. Raises Unavailable if there is none: then nothing may be promised to go."""
    if _purger is None:
        raise Unavailable("Nothing purges here: the archiver is not installed.")
    return _purger
