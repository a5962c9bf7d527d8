"""The cold tier: archived entries, read where they lie.

`catalogue` (which segments have ids between these bounds) -> `files` (a segment's footer and pages, by ranges) -> `reading` (row groups
that may hold a match, the columns that tell, then the rest of the matches) -> `tier` (the door of `logs.extensions`).

Promises: no segment is downloaded as a whole; memory is bounded by a row group for each segment that is open, however large the answer;
what can't be read is said (503), and never left out; bytes that are not those that were archived are not taken for entries.
"""

from archival.cold.tier import SegmentsTier

__all__ = ["SegmentsTier"]
