"""The door of `logs.extensions`, filled: archived entries, in order, from however many segments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from archival.cold.catalogue import segments_between
from logs.extensions import ColdQuestion, ColdRow


class SegmentsTier:
    """Entries in the segments that the catalogue says are serving."""

    def rows(self, cursor: Any, question: ColdQuestion) -> Iterator[ColdRow] | None:
        segments = segments_between(cursor, question.tenant_id, question.low, question.high)
        if not segments:
            return None
        # 50 MiB of pyarrow, for processes that are asked for archived entries.
        from archival.cold.reading import read

        return read(segments, question)
