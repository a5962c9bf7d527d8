"""Holding a segment's file against the log: what has to be so before a single row of PostgreSQL may go.

Invariants:
- The file is read back from the storage, to its last byte: nothing that the writer remembers of it counts.
- Each row is held against the record that its batch has kept since it came in, and its position against the batch's. So a file that passes
  holds what was acknowledged, whatever happened to the rows, the writer or the storage on the way.
- Memory: a row group, and the parts under way.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from archival.cold.catalogue import SegmentFile
from archival.cold.reading import archived_rows
from archival.segments import SEGMENT_SCHEMA
from auditlog_verify.merkle import HASH_BYTES
from logs.integrity.entries import record
from logs.integrity.storage import read_places
from logs.storage import objects
from logs.storage.columns import ENTRY_COLUMNS, INDEX

READ_BYTES = 8 * 2**20


class SegmentDiffers(Exception):
    """The file is not what the catalogue or the log says of it. The message names the segment, and the first entry where they part."""


def check_segment(cursor: Any, store: objects.ObjectStore, segment: SegmentFile) -> int:
    """Hold a segment against the catalogue and the log. Answers how many entries were held against their records: all of it.

    `cursor`: in a transaction of the tenant (`storage.reading.tenant_transaction`). Raises SegmentDiffers; objects.StorageError if the
    storage is away, which says nothing of the file.
    """
    if _sha256(store, segment) != segment.sha256:
        raise SegmentDiffers(f"{segment.path}: its bytes are not those that were written")
    checked = 0
    last_id = ""
    try:
        file = pq.ParquetFile(objects.open_file(store, segment.path, segment.size_bytes), page_checksum_verification=True)
        if not file.schema_arrow.equals(SEGMENT_SCHEMA):
            raise SegmentDiffers(f"{segment.path}: its columns are not those of a segment")
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            last_id = _check_rows(cursor, segment, table, last_id)
            checked += table.num_rows
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SegmentDiffers(f"{segment.path}: it is not readable as Parquet: {error}") from error
    if checked != segment.entry_count:
        raise SegmentDiffers(f"{segment.path}: it holds {checked} entries, and the catalogue says {segment.entry_count}")
    return checked


def _check_rows(cursor: Any, segment: SegmentFile, table: pa.Table, last_id: str) -> str:
    """Hold rows against their records. Answers the id of the last."""
    try:
        rows = archived_rows(table, str(segment.tenant_id))
    except KeyError as error:
        raise SegmentDiffers(f"{segment.path}: {error} is no severity or outcome, in an entry behind {last_id or 'its beginning'}") from error
    positions = table.column("position").to_pylist()
    places = read_places(cursor, [(row[len(ENTRY_COLUMNS)], row[len(ENTRY_COLUMNS) + 1]) for row in rows])
    for row, position, place in zip(rows, positions, places, strict=True):
        id = row[INDEX["id"]]
        if id <= last_id:
            raise SegmentDiffers(f"{segment.path}: entry {id} is not in order, or is there twice")
        # An index beyond the end of its batch has a number that looks like a position, and no record.
        if place is None or place.position is None or len(place.record) != HASH_BYTES:
            raise SegmentDiffers(f"{segment.path}: the log has no place for entry {id}")
        if place.position != position:
            raise SegmentDiffers(f"{segment.path}: entry {id} says position {position}, and the log says {place.position}")
        if record(row) != place.record:
            raise SegmentDiffers(f"{segment.path}: entry {id} at position {position} is not what came in")
        last_id = id
    return last_id


def _sha256(store: objects.ObjectStore, segment: SegmentFile) -> str:
    found = hashlib.sha256()
    for start in range(0, segment.size_bytes, READ_BYTES):
        found.update(objects.read_range(store, segment.path, start, min(start + READ_BYTES, segment.size_bytes)))
    return found.hexdigest()
