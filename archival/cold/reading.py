"""Rows out of segments: lazily, in order of id, with as little read as tells what matches.

Of a segment only those row groups are read whose statistics leave a match possible; of a row group first the columns that the question's
expression names, then, where that does not say it all, the columns that a predicate looks at, and the rest only of groups with matches.
Measured on 10 million entries (docs/decisions/0033).
"""

from __future__ import annotations

import bisect
import functools
import heapq
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from archival.cold.catalogue import SegmentFile
from archival.cold.files import open_segment, told
from archival.segments import PLACE_FIELDS, SEGMENT_SCHEMA
from logs.extensions import ColdQuestion, ColdRow
from logs.models import Outcome, Severity
from logs.search.cold import ColdFilter, cold_filter_of
from logs.search.facts import Facts
from logs.search.windows import HIGHEST, LOWEST
from logs.storage.columns import ENTRY_COLUMNS
from logs.storage.parquet import ENTRY_SCHEMA, rows_of

# Rows are made of a row group's matches by so many: few at first, for most pages end with them; never more than come to so many bytes.
FIRST_ROWS, MOST_ROWS = 64, 2_048
MOST_BYTES = 4 * 2**20
# Of so many row groups, and so many bytes, the columns that tell are read at once.
MOST_GROUPS = 16
_PLACE_COLUMNS = [field.name for field in PLACE_FIELDS]
_TEXTS: tuple[Any, ...] = ("user_id", "action", "resource_type", "resource_id", "request_id", "session_id", "source")
_FACTS = ["id", "severity", "outcome", "ip_address", *_TEXTS, "message", "changed_fields", "metadata"]
_SEVERITIES = {str(choice.label): choice.value for choice in Severity}
_OUTCOMES = {str(choice.label): choice.value for choice in Outcome}
_NUMBER = "#"
# The bounds of a row group that does not tell its own.
_WHOLE = (str(LOWEST), str(HIGHEST))


def read(segments: Sequence[SegmentFile], question: ColdQuestion) -> Iterator[ColdRow]:
    """The rows of all the segments in order, each id once. Opens a segment only when the order comes to it."""
    wanted = cold_filter_of(question.tree)
    # Of a heap's items the least comes first: going back, ids are turned round.
    sign = 1 if question.is_ascending else -1
    waiting = sorted(segments, key=lambda segment: sign * _near(segment, question).int, reverse=True)
    heap: list[tuple[int, int, ColdRow, Iterator[ColdRow]]] = []
    last: str | None = None
    while waiting or heap:
        while waiting and (not heap or sign * _near(waiting[-1], question).int <= heap[0][0]):
            _push(heap, len(waiting), sign, SegmentReader(waiting.pop(), wanted, question).rows())
        if not heap:
            continue
        _, number, row, rows = heapq.heappop(heap)
        _push(heap, number, sign, rows)
        if row[0] != last:
            last = row[0]
            yield row


def _near(segment: SegmentFile, question: ColdQuestion) -> uuid.UUID:
    """The end of a segment with which its rows begin."""
    return segment.min_id if question.is_ascending else segment.max_id


def _push(heap: list[tuple[int, int, ColdRow, Iterator[ColdRow]]], number: int, sign: int, rows: Iterator[ColdRow]) -> None:
    row = next(rows, None)
    if row is not None:
        # The number is a segment's own, so rows themselves are never compared.
        heapq.heappush(heap, (sign * uuid.UUID(row[0]).int, number, row, rows))


class SegmentReader:
    """One segment, asked one question."""

    def __init__(self, segment: SegmentFile, wanted: ColdFilter, question: ColdQuestion) -> None:
        self._segment = segment
        self._wanted = wanted
        self._question = question
        self._expression = self._bounded(wanted.expression)
        names = [*wanted.columns, *(["id"] if self._is_cut else []), *(["batch_id"] if question.batches is not None else [])]
        self._first_columns = list(dict.fromkeys(names))

    @property
    def _is_cut(self) -> bool:
        """Do the question's bounds go through the segment?"""
        return not (self._question.low <= self._segment.min_id and self._segment.max_id < self._question.high)

    def _bounded(self, expression: pc.Expression | None) -> pc.Expression | None:
        question = self._question
        found = [] if expression is None else [expression]
        if self._is_cut:
            found.append((pc.field("id") >= str(question.low)) & (pc.field("id") < str(question.high)))
        if question.batches is not None:
            found.append(pc.field("batch_id").isin(pa.array(sorted(question.batches), pa.int64())))
        whole: pc.Expression | None = None
        for one in found:
            whole = one if whole is None else whole & one
        return whole

    def rows(self) -> Iterator[ColdRow]:
        """The matching rows, in the question's order. Raises ArchiveUnavailable, and what the question's `check` raises."""
        with told(self._segment):
            file = open_segment(self._segment)
            groups = self._groups(file.metadata)
        reached = self._question.low if self._question.is_ascending else self._question.high
        for group, near, candidates in self._candidates(file, groups):
            self._question.check(max(reached, near) if self._question.is_ascending else min(reached, near))
            with told(self._segment):
                matches = self._matches(file, group, candidates)
                table = file.read_row_group(group, columns=SEGMENT_SCHEMA.names, use_threads=False) if matches else None
            if table is None:
                continue
            size, most = FIRST_ROWS, max(1, min(MOST_ROWS, MOST_BYTES * table.num_rows // max(table.nbytes, 1)))
            while matches:
                chosen, matches = matches[: min(size, most)], matches[min(size, most) :]
                with told(self._segment):
                    rows = archived_rows(table.take(pa.array(chosen, pa.int64())), str(self._segment.tenant_id))
                yield from rows
                size *= 2

    def _groups(self, footer: pq.FileMetaData) -> list[tuple[int, uuid.UUID]]:
        """The row groups that may hold a match, in the question's order, each with the id that it begins with."""
        places = {footer.schema.column(number).path: number for number in range(footer.num_columns)}
        found = []
        rows = 0
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            rows += group.num_rows
            low, high = (uuid.UUID(bound) for bound in _statistics(group, places, "id") or _WHOLE)
            is_wanted = low < self._question.high and high >= self._question.low and self._has_batch(group, places)
            if is_wanted and self._wanted.may_hold(lambda name, group=group: _statistics(group, places, name)):  # type: ignore[misc]  # bound now
                found.append((number, low if self._question.is_ascending else high))
        if rows != self._segment.entry_count:
            raise ValueError(f"it holds {rows} entries, not {self._segment.entry_count}")
        return found if self._question.is_ascending else found[::-1]

    def _has_batch(self, group: pq.RowGroupMetaData, places: dict[str, int]) -> bool:
        bounds = None if self._question.batches is None else _statistics(group, places, "batch_id")
        return bounds is None or any(bounds[0] <= batch <= bounds[1] for batch in self._question.batches or ())

    def _candidates(self, file: pq.ParquetFile, groups: Sequence[tuple[int, uuid.UUID]]) -> Iterator[tuple[int, uuid.UUID, list[int]]]:
        """Of each row group, in their order, the numbers of the rows that the expression leaves, ascending.

        What the expression names is read of several groups at once, first of one, then of ever more: most pages end with the first.
        """
        expression = self._expression
        if expression is None:
            yield from ((group, near, list(range(file.metadata.row_group(group).num_rows))) for group, near in groups)
            return
        for some in self._batches(file.metadata, groups):
            with told(self._segment):
                counts = [file.metadata.row_group(group).num_rows for group, _ in some]
                table = file.read_row_groups([group for group, _ in some], columns=self._first_columns, use_threads=False)
                numbers = table.append_column(_NUMBER, _numbers(sum(counts))).filter(expression).column(_NUMBER).to_pylist()
                del table
            first = begin = 0
            for (group, near), count in zip(some, counts, strict=True):
                end = bisect.bisect_left(numbers, first + count, begin)
                yield group, near, [number - first for number in numbers[begin:end]]
                first, begin = first + count, end

    def _batches(self, footer: pq.FileMetaData, groups: Sequence[tuple[int, uuid.UUID]]) -> Iterator[list[tuple[int, uuid.UUID]]]:
        """The groups, as many together as are read at once."""
        places = [number for number in range(footer.num_columns) if footer.schema.column(number).path.partition(".")[0] in self._first_columns]
        batch: list[tuple[int, uuid.UUID]] = []
        size, most = 0, 1
        for group, near in groups:
            row_group = footer.row_group(group)
            own = sum(row_group.column(place).total_uncompressed_size for place in places)
            if batch and (len(batch) >= most or size + own > MOST_BYTES):
                yield batch
                batch, size, most = [], 0, min(2 * most, MOST_GROUPS)
            batch.append((group, near))
            size += own
        if batch:
            yield batch

    def _matches(self, file: pq.ParquetFile, group: int, numbers: list[int]) -> list[int]:
        """The numbers of the matching rows of a row group, in the question's order. `numbers`: those that the expression leaves."""
        if not self._question.is_ascending:
            numbers.reverse()
        if self._wanted.is_exact or not numbers:
            return numbers
        table = file.read_row_group(group, columns=_FACTS, use_threads=False)
        found = []
        for start in range(0, len(numbers), MOST_ROWS):
            chosen = numbers[start : start + MOST_ROWS]
            columns = table.take(pa.array(chosen, pa.int64())).to_pydict()
            facts = (_facts(dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True))
            found += [number for number, one in zip(chosen, facts, strict=True) if self._wanted.predicate(one)]
        return found


@functools.lru_cache(maxsize=16)
def _numbers(count: int) -> pa.Array:
    """The numbers of so many rows. Most row groups have as many as the others."""
    return pa.array(range(count), pa.int64())


def _statistics(group: pq.RowGroupMetaData, places: dict[str, int], name: str) -> tuple[Any, Any] | None:
    found = group.column(places[name]).statistics
    return (found.min, found.max) if found is not None and found.has_min_max else None


def _facts(row: dict[str, Any]) -> Facts:
    return Facts(
        id=uuid.UUID(row["id"]),
        severity=_SEVERITIES[row["severity"]],
        outcome=_OUTCOMES[row["outcome"]],
        ip_address=row["ip_address"],
        texts={name: row[name] for name in _TEXTS},
        message=row["message"],
        changed_fields=row["changed_fields"] or (),
        metadata=row["metadata"],
    )


_PLACE = {name: number for number, name in enumerate(ENTRY_SCHEMA.names)}
_SOURCES = [_PLACE.get(name) for name in ENTRY_COLUMNS]
_SEVERITY, _OUTCOME, _TENANT = (list(ENTRY_COLUMNS).index(name) for name in ("severity", "outcome", "tenant_id"))


def archived_rows(table: pa.Table, tenant_id: str) -> list[ColdRow]:
    """Rows of a segment in the form of `storage.columns.ENTRY_AS_TEXT`, each with its place."""
    places = zip(*(table.column(name).to_pylist() for name in _PLACE_COLUMNS), strict=True)
    found: list[ColdRow] = []
    for row, place in zip(rows_of(table.select(ENTRY_SCHEMA.names)), places, strict=True):
        values: list[Any] = [None if source is None else row[source] for source in _SOURCES]
        values[_TENANT] = tenant_id
        values[_SEVERITY], values[_OUTCOME] = str(_SEVERITIES[values[_SEVERITY]]), str(_OUTCOMES[values[_OUTCOME]])
        found.append((*values, *place))
    return found
