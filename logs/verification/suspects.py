"""What differences mean when they are seen together: a row that is somewhere else than its record was moved, not lost and added. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from logs.verification.findings import Finding, Kind


class LostPlace(msgspec.Struct, frozen=True):
    """A position whose entry is not there. `record`: 32 bytes."""

    position: int
    record: bytes
    detail: str


class ChangedRow(msgspec.Struct, frozen=True):
    """A row at a position whose record is another. `actual`: the row's record, None if it has none."""

    position: int
    entry_id: str
    expected: bytes
    actual: bytes | None
    detail: str


class StrayRow(msgspec.Struct, frozen=True):
    """A row that has no place in the log."""

    entry_id: str
    actual: bytes | None
    detail: str


class Suspects(msgspec.Struct):
    """Everything that did not agree."""

    lost: list[LostPlace] = []
    changed: list[ChangedRow] = []
    strays: list[StrayRow] = []

    @property
    def count(self) -> int:
        return len(self.lost) + len(self.changed) + len(self.strays)

    def findings(self) -> Iterator[Finding]:
        """What it comes to."""
        homes = {place.record: place.position for place in self.lost} | {row.expected: row.position for row in self.changed}
        found_again: set[int] = set()
        for row in self.changed:
            home = None if row.actual is None else homes.get(row.actual)
            if home is None:
                yield Finding(Kind.CHANGED, row.detail, row.position, row.entry_id)
            else:
                found_again.add(home)
                yield Finding(Kind.REORDERED, f"the entry belongs to position {home}", row.position, row.entry_id)
        for stray in self.strays:
            home = None if stray.actual is None else homes.get(stray.actual)
            if home is None:
                yield Finding(Kind.ADDED, stray.detail, None, stray.entry_id)
            else:
                found_again.add(home)
                yield Finding(Kind.MOVED, f"the entry belongs to position {home}; {stray.detail}", home, stray.entry_id)
        for place in self.lost:
            if place.position not in found_again:
                yield Finding(Kind.MISSING, place.detail, place.position)
