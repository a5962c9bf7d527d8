"""Which segments a question is asked of."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

# Plan: archival_segment_serving, those of the tenant.
SELECT_SEGMENTS = """
SELECT id, path, size_bytes, sha256, footer_sha256, entry_count, min_id, max_id FROM archival_segment
WHERE tenant_id = %s AND state = 'serving' AND max_id >= %s AND min_id < %s
"""


@dataclass(frozen=True)
class SegmentFile:
    """A segment that serves: entries of one tenant with `min_id <= id <= max_id`, sorted by id, at `path` of the archive's storage."""

    id: int
    tenant_id: uuid.UUID
    path: str
    size_bytes: int
    sha256: str
    footer_sha256: str
    entry_count: int
    min_id: uuid.UUID
    max_id: uuid.UUID


def segments_between(cursor: Any, tenant_id: uuid.UUID, low: uuid.UUID, high: uuid.UUID) -> list[SegmentFile]:
    """The tenant's serving segments that may have entries with `low <= id < high`, as the cursor's transaction sees them."""
    cursor.execute(SELECT_SEGMENTS, [tenant_id, low, high])
    return [SegmentFile(row[0], tenant_id, *row[1:]) for row in cursor.fetchall()]
