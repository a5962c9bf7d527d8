"""Entries on their way to the archive without the archiver: segments and their rows in the catalogue as it writes them, at a test's command."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from psycopg import sql

from accounts.models import Tenant
from archival.models import Segment, SegmentState
from archival.segments import batch_of_segment, path_of, write_segment
from logs.search.windows import HIGHEST, LOWEST, moment_of_id
from logs.storage import objects
from logs.storage.table import TABLE_COLUMNS
from tests.superuser import superuser

_POSITION = sql.SQL("(SELECT b.first_position + e.batch_index FROM auditlog.logs_batch AS b WHERE b.id = e.batch_id)")
_SELECT = sql.SQL(
    "SELECT {}, {}, batch_id, batch_index FROM auditlog.logs_entry AS e WHERE tenant_id = %s AND id >= %s AND id < %s AND {} IS NOT NULL ORDER BY e.id"
).format(sql.SQL(", ").join(TABLE_COLUMNS.values()), _POSITION, _POSITION)
_DELETE = "DELETE FROM auditlog.logs_entry WHERE tenant_id = %s AND id = ANY (%s::uuid[])"
BATCH_ROWS = 1_000


@contextmanager
def archive_at(folder: Path) -> Iterator[Path]:
    """An archive of a test's own."""
    before, settings.AUDITLOG_ARCHIVE_URL = settings.AUDITLOG_ARCHIVE_URL, folder.as_uri()
    yield folder
    settings.AUDITLOG_ARCHIVE_URL = before


def archive(tenant: Tenant, *, low: uuid.UUID = LOWEST, high: uuid.UUID = HIGHEST, group_rows: int = 40, frees: bool = True) -> Segment:
    """Write the tenant's sequenced entries between two ids (there is one) to a segment that serves, and free their rows."""
    with superuser() as connection:
        rows = [(str(row[0]), *row[1:]) for row in connection.execute(_SELECT, [tenant.id, low, high]).fetchall()]
        segment = keep(tenant, rows, group_rows)
        if frees:
            connection.execute(_DELETE, [tenant.id, [row[0] for row in rows]])
    return segment


def keep(tenant: Tenant, rows: Sequence[Sequence[Any]], group_rows: int) -> Segment:
    """Rows of SEGMENT_SCHEMA as a segment that serves."""
    begin = moment_of_id(uuid.UUID(rows[0][0])).replace(hour=0, minute=0, second=0, microsecond=0)
    path = path_of(tenant.id, begin, begin + datetime.timedelta(days=1), f"{rows[0][0]}-{uuid.uuid4()}")
    batches = (batch_of_segment(rows[start : start + BATCH_ROWS]) for start in range(0, len(rows), BATCH_ROWS))
    written = write_segment(objects.open_store(settings.AUDITLOG_ARCHIVE_URL), path, batches, group_rows=group_rows)
    now = datetime.datetime.now(datetime.UTC)
    return Segment.objects.create(
        tenant=tenant,
        partition=f"logs_entry_{begin:%Y%m%d}",
        lower_at=begin,
        upper_at=begin + datetime.timedelta(days=1),
        sequence=Segment.objects.filter(tenant=tenant).count(),
        **dataclasses.asdict(written),
        state=SegmentState.SERVING,
        written_at=now,
        verified_at=now,
        serving_at=now,
    )


def file_of(segment: Segment) -> Path:
    """The segment's file, where the archive is a folder."""
    return Path(settings.AUDITLOG_ARCHIVE_URL.removeprefix("file://")) / segment.path
