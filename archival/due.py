"""What the archiver is told: which entries of a partition leave the hot log now, and where they go."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from logs.search.tree import All
from logs.storage.engines import Partition


@dataclass(frozen=True)
class Due:
    """Entries of one tenant that are due, and what becomes of them. The trees of one tenant are disjoint; what a legal hold keeps is not purged."""

    tenant_id: uuid.UUID
    policy_id: int | None
    policy_name: str
    fate: Literal["archive", "purge"]
    tree: All


Planner: TypeAlias = Callable[[datetime.datetime, Partition], list[Due]]
