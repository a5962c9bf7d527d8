"""Waiting for positions without a thread for each who waits: one thread a process looks for all of them.

Invariants: each `done` is called exactly once, from the thread, at its deadline at the latest (and a look at the database later);
while nobody waits, nothing is asked of the database.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from django.db import DatabaseError, close_old_connections

from logs.storage.reading import tenant_transaction

logger = logging.getLogger(__name__)
POLL_SECONDS = 0.05
# Plan: the key of each batch.
SELECT_SEQUENCED = "SELECT id FROM auditlog.logs_batch_view WHERE id = ANY (%s) AND first_position IS NOT NULL"


@dataclass(frozen=True, eq=False)
class Wait:
    """Somebody waits for the position of a batch, until `deadline` (monotonic)."""

    tenant_id: uuid.UUID
    batch_id: int | None
    deadline: float
    done: Callable[[bool], None]


class Waiter:
    """The thread. `watch` may be called from any other."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._condition = threading.Condition()
        self._waits: list[Wait] = []
        threading.Thread(target=self._run, name="position-waiter", daemon=True).start()

    def watch(self, wait: Wait) -> None:
        """Have `wait.done(is_sequenced)` called when the batch has its position, or when that takes too long."""
        with self._condition:
            self._waits.append(wait)
            self._condition.notify()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._waits:
                    self._condition.wait()
                waits = list(self._waits)
            sequenced = self._find(waits)
            ended = [wait for wait in waits if wait in sequenced or time.monotonic() >= wait.deadline]
            with self._condition:
                self._waits = [wait for wait in self._waits if wait not in ended]
            for wait in ended:
                try:
                    wait.done(wait in sequenced)
                except Exception:
                    logger.exception("an answer that waited for its position could not be completed")
            time.sleep(POLL_SECONDS)

    def _find(self, waits: list[Wait]) -> set[Wait]:
        by_tenant: dict[uuid.UUID, list[Wait]] = defaultdict(list)
        for wait in waits:
            by_tenant[wait.tenant_id].append(wait)
        # Without a batch there is nothing to wait for: all of it was stored before.
        found = {wait for wait in waits if wait.batch_id is None}
        try:
            for tenant_id, members in by_tenant.items():
                with tenant_transaction(tenant_id) as cursor:
                    cursor.execute(SELECT_SEQUENCED, [list({wait.batch_id for wait in members if wait.batch_id is not None})])
                    ids = {row[0] for row in cursor.fetchall()}
                found |= {wait for wait in members if wait.batch_id in ids}
        except DatabaseError as error:
            logger.warning("could not look for positions: %s", error)
        finally:
            close_old_connections()
        return found


_lock = threading.Lock()
_waiter: Waiter | None = None


def watch(wait: Wait) -> None:
    """Have this process's waiter watch."""
    global _waiter
    with _lock:
        if _waiter is None or _waiter.pid != os.getpid():
            _waiter = Waiter()
    _waiter.watch(wait)
