"""Explains the statements of one search: `python -m benchmarks.explaining TENANT_ID QUERY_STRING`, in the product's environment."""

from __future__ import annotations

import datetime
import os
import sys
import time
import uuid
from typing import Any

import django
from django.http import QueryDict
from psycopg import sql


class Recorder:
    """A cursor that keeps what it was asked and how long that took."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self.statements: list[tuple[Any, Any, float]] = []

    def execute(self, statement: Any, parameters: Any = None) -> None:
        begun = time.perf_counter()
        self._cursor.execute(statement, parameters)
        self.statements.append((statement, parameters, (time.perf_counter() - begun) * 1000))

    def fetchall(self) -> Any:
        return self._cursor.fetchall()

    def fetchone(self) -> Any:
        return self._cursor.fetchone()


def main(tenant: str, query: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "auditlog_project.settings"
    django.setup()
    from logs.search.filters import filters_of
    from logs.search.finding import Search
    from logs.search.output import COLUMNS
    from logs.storage.reading import tenant_transaction

    tenant_id, now = uuid.UUID(tenant), datetime.datetime.now(datetime.UTC)
    with tenant_transaction(tenant_id) as cursor:
        recorder = Recorder(cursor)
        rows = Search(recorder, tenant_id, filters_of(QueryDict(query)).tree(), COLUMNS, now).rows(51)
        print(f"{query}: {len(rows)} rows by {len(recorder.statements)} statements")
        for statement, parameters, milliseconds in recorder.statements:
            text = sql.SQL("EXPLAIN (ANALYZE, BUFFERS) ") + (statement if isinstance(statement, sql.Composable) else sql.SQL(statement))
            cursor.execute(text, parameters)
            print(f"\n{milliseconds:.1f} ms, planning included")
            # Partitions that were not opened say nothing.
            print("\n".join(line[:200] for (line,) in cursor.fetchall() if "never executed" not in line))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
