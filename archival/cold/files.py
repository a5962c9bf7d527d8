"""A segment's file, read by ranges.

Invariants:
- A file is what was archived: its length and the hash of its footer are those in the catalogue, and every page carries a checksum that is
  looked at when it is read. So bytes that were altered are found by whoever reads them, before they are taken for entries.
- Footers are kept in memory, bounded; a path never gets other bytes, so a kept footer is never out of date.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings

from archival.cold.catalogue import SegmentFile
from archival.segments import END_BYTES
from logs.errors import ArchiveUnavailable
from logs.storage import objects

logger = logging.getLogger(__name__)
# Where a footer may begin: one request for most files, two for the others.
TAIL_BYTES = 256 * 2**10
# What footers may take, as they are written; in memory each is a few times as large.
MAX_KEPT_BYTES = 16 * 2**20


class AlteredSegment(OSError):
    """The file is not the one that was archived."""


class Footers:
    """The footers that were read last, as many as come to `max_bytes`. For all threads of a process."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, pq.FileMetaData] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, name: str) -> pq.FileMetaData | None:
        with self._lock:
            found = self._kept.get(name)
            if found is not None:
                self._kept.move_to_end(name)
            return found

    def keep(self, name: str, footer: pq.FileMetaData) -> None:
        with self._lock:
            if name in self._kept or footer.serialized_size > self._max_bytes:
                return
            self._kept[name] = footer
            self._bytes += footer.serialized_size
            while self._bytes > self._max_bytes:
                self._bytes -= self._kept.popitem(last=False)[1].serialized_size


_footers = Footers(MAX_KEPT_BYTES)


def open_segment(segment: SegmentFile) -> pq.ParquetFile:
    """The segment, ready to read row groups of. Raises what `told` turns into ArchiveUnavailable."""
    source = objects.open_file(objects.open_store(settings.AUDITLOG_ARCHIVE_URL), segment.path, segment.size_bytes)
    name = f"{segment.path} {segment.sha256}"
    footer = _footers.get(name)
    if footer is None:
        footer = _read_footer(source, segment)
        _footers.keep(name, footer)
    return pq.ParquetFile(source, metadata=footer, pre_buffer=True, page_checksum_verification=True)


def _read_footer(source: objects.RangedFile, segment: SegmentFile) -> pq.FileMetaData:
    tail = source.range(max(segment.size_bytes - TAIL_BYTES, 0), segment.size_bytes)
    length = int.from_bytes(tail[-END_BYTES:-4], "little") + END_BYTES
    if length > len(tail):
        tail = source.range(max(segment.size_bytes - length, 0), segment.size_bytes)
    end = tail[-length:]
    if hashlib.sha256(end).hexdigest() != segment.footer_sha256:
        raise AlteredSegment(f"the footer of {segment.path} is not the one that was archived")
    # A file of nothing but its footer: whoever reads a footer needs no more.
    return pq.read_metadata(pa.BufferReader(b"PAR1" + end))


@contextmanager
def told(segment: SegmentFile) -> Iterator[None]:
    """Around everything that reads a segment: what goes wrong is logged with its name. Raises ArchiveUnavailable."""
    try:
        yield
    except (*objects.StorageError, pa.ArrowException, KeyError, ValueError, OverflowError) as error:
        logger.error("the segment %s of tenant %s can't be read: %s: %s", segment.path, segment.tenant_id, type(error).__name__, error)
        raise ArchiveUnavailable(str(segment.id)) from error
