"""A log that was there before statistics were: its counts are made from its entries when it is migrated."""

from __future__ import annotations

import datetime
from typing import Any

from django.db import connections

from logs.storage.sql_file import RunSQLFile
from tests.asking import asking_of
from tests.compacting import compact_all
from tests.sequencing import sequence_all
from tests.storing import new_tenant, store

NOW = datetime.datetime.now(datetime.UTC)
MIGRATION = "0005_statistics"


def test_statistics_of_entries_from_before_the_migration_are_whole() -> None:
    tenant = new_tenant()
    api = asking_of(tenant)
    asked: dict[str, Any] = {"from": (NOW - datetime.timedelta(days=40)).strftime("%Y-%m-%dT00:00:00Z"), "bucket": "day"}
    moments = [NOW - datetime.timedelta(hours=7 * number) for number in range(100)]
    store(tenant, [{"timestamp": moment.isoformat(), "user_id": f"u{number % 7}"} for number, moment in enumerate(moments)])
    sequence_all()
    compact_all(NOW)
    store(tenant, [{"user_id": 'u"\\ 1'}, {"user_id": "u1"}])
    before = api.get("/api/v1/logs/stats", **asked, top=20).json()
    operation = RunSQLFile(MIGRATION)
    with connections["maintenance"].schema_editor() as editor:
        operation.database_backwards("logs", editor, None, None)
    with connections["maintenance"].schema_editor() as editor:
        operation.database_forwards("logs", editor, None, None)
    # Another question to the cache, with the same answer.
    for top in (21, 22, 23):
        found = api.get("/api/v1/logs/stats", **asked, top=top).json()
        assert found["totals"] == before["totals"] | {"distinct_users": found["totals"]["distinct_users"]}
        assert (found["by"], found["buckets"]) == (before["by"], before["buckets"])
        # First from rows and what waits, then sequenced, then compacted.
        sequence_all()
        if top == 22:
            compact_all(NOW)
    assert found["totals"] == before["totals"]
