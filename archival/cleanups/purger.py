"""Who purges: the door that the archiver fills."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from accounts.problems import Unavailable
from archival.due import Due
from logs.storage.engines import Partition


class Purger(Protocol):
    """Purges for good, under a signed purge record, what a `Due` finds. Doing it again purges nothing more.

    Raises DatabaseError, StorageError or Unavailable for what may pass.
    """

    def purge_hot(self, due: Due, partition: Partition) -> int:
        """Purge entries of one partition. Answers how many."""

    def purge_cold(self, due: Due) -> Iterator[int]:
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
