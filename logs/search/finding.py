"""Finding the rows of a page: window after window, until the page is full or there is nothing left to look at; then what the archive has of it."""

from __future__ import annotations

import datetime
import itertools
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.db import OperationalError
from psycopg import errors as psycopg_errors
from psycopg import sql

from logs.errors import TooExpensive
from logs.search.sql import Condition, select_page, select_page_by_index
from logs.search.tiers import ID, completed, is_asked, until
from logs.search.tree import Node
from logs.search.windows import HIGHEST, LOWEST, PROBE_ENTRIES, Window, bounds_of, days, entries, is_in_order, moment_of_id

# The bounds of the newest (or, going on, the oldest) entries of a range, as ids. Plan: the key, as far as it needs to.
_SELECT_PROBE = """
SELECT (SELECT e.id FROM auditlog.logs_entry_view AS e WHERE {where} ORDER BY e.id {order} LIMIT 1),
       (SELECT e.id FROM auditlog.logs_entry_view AS e WHERE {where} ORDER BY e.id {order} OFFSET {skipped} LIMIT 1)
"""
# So many windows of days, from the near end, are looked through for enough entries to probe: today, and the five days before.
PROBED_WINDOWS = 3
_RANGE = sql.SQL("e.id >= %s::uuid AND e.id < %s::uuid")


class Search:
    """A search through the log of one tenant. `database`: a cursor in a transaction that names the tenant.

    Raises TooExpensive if it takes longer than AUDITLOG_SEARCH_TIMEOUT_SECONDS.
    """

    def __init__(self, database: Any, tenant_id: uuid.UUID, tree: Node, columns: Sequence[sql.Composable], now: datetime.datetime) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self._tree = tree
        self._columns = [ID, *columns]
        self._now = now
        self._deadline = time.monotonic() + settings.AUDITLOG_SEARCH_TIMEOUT_SECONDS
        self._reached: datetime.datetime | None = None

    def rows(self, limit: int, *, after: uuid.UUID | None = None, before: uuid.UUID | None = None) -> list[Any]:
        """Up to `limit` rows, newest first, below the id `after`; or, oldest first, above the id `before`."""
        bounds = bounds_of(self._tree)
        if after is not None:
            bounds = Window(bounds.low, min(bounds.high, after))
        if before is not None:
            bounds = Window(max(bounds.low, uuid.UUID(int=before.int + 1)), bounds.high)
        is_ascending = before is not None
        hot = self._hot_rows(bounds, limit, is_ascending=is_ascending) if is_asked(self._tree, "hot") else []
        return [
            row[1:]
            for row in completed(
                self._database, self._tenant_id, self._tree, self._columns, hot, bounds, limit=limit, is_ascending=is_ascending, check=until(self._deadline)
            )
        ]

    def _hot_rows(self, bounds: Window, limit: int, *, is_ascending: bool) -> list[Any]:
        """Up to `limit` rows of PostgreSQL, each with its id before it."""
        found: list[Any] = []
        try:
            for statement, window in self._statements(bounds, found, limit, is_ascending=is_ascending):
                if self._reached is not None and time.monotonic() > self._deadline:
                    raise TooExpensive(searched_to=self._reached)
                self._database.execute(statement.text, statement.parameters)
                # In place: the next statement asks for as many fewer.
                found.extend(self._database.fetchall())
                self._reached = moment_of_id(window.high if is_ascending else window.low)
                if len(found) >= limit:
                    break
        except OperationalError as error:
            if isinstance(error.__cause__, psycopg_errors.QueryCanceled):
                raise TooExpensive(searched_to=self._reached) from error
            raise
        return found

    def _statements(self, bounds: Window, found: list[Any], limit: int, *, is_ascending: bool) -> Iterator[tuple[Condition, Window]]:
        """The statements to run one after the other, each with the window that it covers. Together they cover `bounds`.

        Each asks for what is missing of `limit` rows in `found`.
        """
        goes_back = not is_ascending
        start = self._start(bounds, goes_back=goes_back)
        if is_in_order(self._tree):
            for window in days(bounds, start, goes_back=goes_back):
                yield self._in_order(window, limit - len(found), is_ascending), window
            return
        probed = None
        # Shortly after midnight today's entries are few, and a small tenant's always are.
        for window in itertools.islice(days(bounds, start, goes_back=goes_back), PROBED_WINDOWS):
            near = Window(window.low, bounds.high) if goes_back else Window(bounds.low, window.high)
            probed = self._probe(near, is_ascending=is_ascending)
            if probed is not None:
                break
        if probed is None:
            for window in days(bounds, start, goes_back=goes_back):
                yield self._by_index(window, limit - len(found), is_ascending), window
            return
        near = Window(probed.low, bounds.high) if goes_back else Window(bounds.low, probed.high)
        yield self._in_order(near, limit - len(found), is_ascending), near
        for window in entries(bounds, probed, matches=len(found), missing=limit - len(found), goes_back=goes_back):
            yield self._by_index(window, limit - len(found), is_ascending), window

    def _start(self, bounds: Window, *, goes_back: bool) -> datetime.datetime:
        """The time at the near end of `bounds`."""
        if goes_back:
            return self._now if bounds.high == HIGHEST else min(self._now, moment_of_id(bounds.high))
        return self._now if bounds.low == LOWEST else moment_of_id(bounds.low)

    def _probe(self, window: Window, *, is_ascending: bool) -> Window | None:
        """The part of the window with its first PROBE_ENTRIES entries; None if it has fewer."""
        order = sql.SQL("ASC" if is_ascending else "DESC")
        statement = sql.SQL(_SELECT_PROBE).format(where=_RANGE, order=order, skipped=sql.Literal(PROBE_ENTRIES - 1))
        self._database.execute(statement, [window.low, window.high] * 2)
        near, far = self._database.fetchone()
        if far is None:
            return None
        # Of ids, so that the last entry is within: half-open.
        return Window(near, uuid.UUID(int=far.int + 1)) if is_ascending else Window(far, uuid.UUID(int=near.int + 1))

    def _in_order(self, window: Window, limit: int, is_ascending: bool) -> Condition:
        before = None if window.low == LOWEST else uuid.UUID(int=window.low.int - 1)
        after = None if window.high == HIGHEST else window.high
        return select_page(self._columns, self._tree, self._tenant_id, after=after, before=before, limit=limit, is_ascending=is_ascending)

    def _by_index(self, window: Window, limit: int, is_ascending: bool) -> Condition:
        return select_page_by_index(
            self._columns, self._tree, self._tenant_id, low=window.low, high=window.high, limit=limit, is_ascending=is_ascending
        )  # fmt: skip
