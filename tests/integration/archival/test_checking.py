"""A segment is held against the log before it counts: what was altered, however skilfully, is named."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from accounts.models import Tenant
from archival.checking import SegmentDiffers, check_segment
from archival.cold.catalogue import SegmentFile
from archival.models import Segment
from archival.segments import WrittenSegment, write_segment
from logs.storage import objects
from logs.storage.reading import tenant_transaction
from tests.archiving import archive, archive_at, file_of
from tests.sequencing import sequence_all
from tests.storing import new_tenant, store

START = datetime.datetime(2025, 7, 1, tzinfo=datetime.UTC)
COUNT = 30


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Segment]:
    tenant = new_tenant()
    minute = datetime.timedelta(minutes=1)
    store(tenant, [{"timestamp": (START + number * minute).isoformat(), "user_id": f"u{number % 4}", "before": {"a": 1}} for number in range(COUNT)])
    sequence_all()
    with archive_at(tmp_path / "archive"):
        yield archive(tenant, group_rows=8)


def checked(tenant: Tenant, segment: Segment | WrittenSegment) -> int:
    file = SegmentFile(
        0, tenant.id, segment.path, segment.size_bytes, segment.sha256, segment.footer_sha256, segment.entry_count, segment.min_id, segment.max_id
    )  # fmt: skip
    with tenant_transaction(tenant.id) as cursor:
        return check_segment(cursor, objects.open_store(settings.AUDITLOG_ARCHIVE_URL), file)


def rewritten(segment: Segment, change: Callable[[list[dict[str, Any]]], Any]) -> WrittenSegment:
    """A file that is whole and whose hashes are right, with rows that somebody changed."""
    rows = pq.read_table(file_of(segment)).to_pylist()
    change(rows)
    schema = pq.read_schema(file_of(segment))
    batch = pa.Table.from_pylist(rows, schema).combine_chunks().to_batches()
    return write_segment(objects.open_store(settings.AUDITLOG_ARCHIVE_URL), f"{segment.path}.changed", batch)


def test_each_entry_is_held_against_its_record(segment: Segment) -> None:
    assert checked(segment.tenant, segment) == COUNT
    assert checked(segment.tenant, rewritten(segment, lambda rows: None)) == COUNT


@pytest.mark.parametrize("place", [0, 0.25, 0.5, 0.75, 1])
def test_one_altered_byte_is_found(segment: Segment, place: float) -> None:
    content = bytearray(file_of(segment).read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    file_of(segment).write_bytes(content)
    with pytest.raises(SegmentDiffers, match="not those that were written"):
        checked(segment.tenant, segment)


def test_an_entry_changed_by_somebody_who_mends_the_hashes_is_named(segment: Segment) -> None:
    rows = pq.read_table(file_of(segment)).to_pylist()
    changed = rewritten(segment, lambda rows: rows[11].update(user_id="mallory"))
    with pytest.raises(SegmentDiffers, match=f"{rows[11]['id']} at position {rows[11]['position']} is not what came in"):
        checked(segment.tenant, changed)


def test_a_word_that_is_no_severity_is_found(segment: Segment) -> None:
    changed = rewritten(segment, lambda rows: rows[11].update(severity="MILD"))
    with pytest.raises(SegmentDiffers, match="'MILD' is no severity"):
        checked(segment.tenant, changed)


def test_an_entry_at_another_position_is_named(segment: Segment) -> None:
    changed = rewritten(segment, lambda rows: rows[3].update(position=rows[3]["position"] + 1))
    with pytest.raises(SegmentDiffers, match="and the log says"):
        checked(segment.tenant, changed)


def test_an_entry_that_never_came_in_is_named(segment: Segment) -> None:
    changed = rewritten(segment, lambda rows: rows[-1].update(batch_index=COUNT + 1_000))
    with pytest.raises(SegmentDiffers, match="no place for entry"):
        checked(segment.tenant, changed)


def test_a_file_with_fewer_entries_than_the_catalogue_says_is_found(segment: Segment) -> None:
    changed = rewritten(segment, lambda rows: rows.pop())
    segment.path, segment.size_bytes, segment.sha256 = changed.path, changed.size_bytes, changed.sha256
    with pytest.raises(SegmentDiffers, match=f"it holds {COUNT - 1} entries, and the catalogue says {COUNT}"):
        checked(segment.tenant, segment)


def test_entries_of_another_tenant_do_not_pass(segment: Segment) -> None:
    with pytest.raises(SegmentDiffers):
        checked(new_tenant(), segment)


def test_a_file_that_is_cut_short_or_gone_does_not_pass(segment: Segment) -> None:
    content = file_of(segment).read_bytes()
    file_of(segment).write_bytes(content[: len(content) // 2])
    with pytest.raises((SegmentDiffers, *objects.StorageError)):
        checked(segment.tenant, segment)
    file_of(segment).unlink()
    with pytest.raises(objects.StorageError):
        checked(segment.tenant, segment)


def test_the_command_names_what_is_altered_and_what_is_missing(segment: Segment, capsys: pytest.CaptureFixture[str]) -> None:
    slug, file = segment.tenant.slug, file_of(segment)
    call_command("check_archive", tenant=slug)
    assert f"{COUNT} entries in 1 of 1 segments" in capsys.readouterr().out
    content = file.read_bytes()
    file.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    for expected in ("not those that were written", "it is missing"):
        with pytest.raises(CommandError, match="1 segment not as archived") as refused:
            call_command("check_archive", tenant=slug)
        out = capsys.readouterr().out
        assert refused.value.returncode == 1
        assert segment.path in out
        assert expected in out
        file.unlink(missing_ok=True)


def test_the_command_knows_no_stranger() -> None:
    with pytest.raises(CommandError, match="no tenant") as refused:
        call_command("check_archive", tenant="nobody-of-that-name")
    assert refused.value.returncode == 2
