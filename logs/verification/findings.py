"""What a verification may find."""

from __future__ import annotations

import enum

import msgspec


class Kind(enum.Enum):
    """What is wrong."""

    CHANGED = "changed"
    MISSING = "missing"
    ADDED = "added"
    MOVED = "moved"
    REORDERED = "re-ordered"
    RECORD_ALTERED = "record altered"
    TILE_ALTERED = "tile altered"
    CHECKPOINT_FORGED = "checkpoint forged"
    CHECKPOINT_MISSING = "checkpoint missing"
    ROLLED_BACK = "rolled back"
    UNREADABLE = "unreadable"
    TOO_MANY = "too many"


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is not as it was signed. `position`: of the entry, from 0; `entry_id` where a row is there to name."""

    kind: Kind
    detail: str
    position: int | None = None
    entry_id: str | None = None

    def __str__(self) -> str:
        where = "".join([f" position {self.position}" if self.position is not None else "", f" entry {self.entry_id}" if self.entry_id else ""])
        return f"{self.kind.value.upper()}{where}: {self.detail}"
