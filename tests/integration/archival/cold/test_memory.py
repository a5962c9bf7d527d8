"""However large a segment and an answer are, what is held of them is a few row groups."""

from __future__ import annotations

import datetime
import json
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
from django.db import connection

from archival.cold import SegmentsTier
from archival.models import Segment
from logs.extensions import ColdQuestion
from logs.search.tree import All, MetadataExists, Node
from logs.search.windows import HIGHEST, LOWEST
from logs.storage.ids import entry_id, microseconds
from logs.storage.parquet import ENTRY_SCHEMA
from tests.archiving import archive_at, keep
from tests.storing import new_tenant

START = datetime.datetime(2025, 8, 1, tzinfo=datetime.UTC)
COUNT, GROUP_ROWS, TEXT_BYTES = 12_000, 500, 4_000


def row(number: int) -> list[Any]:
    moment = START + datetime.timedelta(seconds=number)
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    # Hardly to be packed, so that a group is as large in the file as it is here.
    text = json.dumps({"t": uuid.uuid5(uuid.NAMESPACE_OID, str(number)).hex * (TEXT_BYTES // 32)})
    given = {
        "id": entry_id(microseconds(moment), number),
        "timestamp": stamp,
        "received_at": stamp,
        "user_id": "alice",
        "action": "UPDATE",
        "resource_type": "invoice",
        "severity": "INFO",
        "outcome": "success",
        "source": "key:testing",
        "is_imported": "false",
        "metadata": text,
        "position": number,
    }
    return [*(given.get(name) for name in ENTRY_SCHEMA.names), 1, number]


def test_memory_does_not_grow_with_the_answer(tmp_path: Path) -> None:
    tenant = new_tenant()
    with archive_at(tmp_path / "archive"), connection.cursor() as cursor:
        keep(tenant, [row(number) for number in range(COUNT)], GROUP_ROWS)
        group_bytes = GROUP_ROWS * (TEXT_BYTES + 200)
        asked: list[tuple[Node, bool]] = [(All(), False), (All(), True), (MetadataExists(("t",)), False)]
        for tree, is_ascending in asked:
            before, most, found = pa.total_allocated_bytes(), 0, 0
            rows = SegmentsTier().rows(cursor, ColdQuestion(tenant.id, tree, LOWEST, HIGHEST, lambda reached: None, is_ascending))
            assert rows is not None
            for _ in rows:
                found += 1
                most = max(most, pa.total_allocated_bytes() - before)
            assert found == COUNT
            # Twice a group: as its file has it, and unpacked; and the rows that are made of it.
            assert most < 5 * group_bytes < COUNT * TEXT_BYTES / 4
    assert Segment.objects.get(tenant=tenant).entry_count == COUNT
