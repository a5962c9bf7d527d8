"""The reader's door: a transaction that sees the entries of one tenant and nothing of any other."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

# `true`: for this transaction only, so that it works through PgBouncer and can't leak to the next user of a connection. No JIT, no
# parallel workers: over many partitions it takes longer to compile a question, or to start workers for it, than to answer it.
NAME_TENANT = """
SELECT set_config('auditlog.tenant', %s, true), set_config('statement_timeout', %s, true), set_config('jit', 'off', true),
       set_config('max_parallel_workers_per_gather', '0', true)
"""


def tenant_parameters(tenant_id: uuid.UUID | str, timeout_seconds: float | None = None) -> list[str]:
    """Parameters of NAME_TENANT. The second bounds how long each statement of the transaction may run."""
    seconds = settings.AUDITLOG_DATABASE_TIMEOUT_SECONDS if timeout_seconds is None else timeout_seconds
    return [str(tenant_id), f"{seconds * 1000:.0f}"]


# One moment for all statements, as the first of the transaction.
ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


@contextmanager
def tenant_snapshot(tenant_id: uuid.UUID, timeout_seconds: float) -> Iterator[CursorWrapper]:
    """As `tenant_transaction`, and all statements see the same moment; each may run for so many seconds."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(ONE_MOMENT)
        cursor.execute(NAME_TENANT, tenant_parameters(tenant_id, timeout_seconds))
        yield cursor


@contextmanager
def tenant_transaction(tenant_id: uuid.UUID, timeout_seconds: float | None = None) -> Iterator[CursorWrapper]:
    """A cursor inside a transaction for which `auditlog.logs_entry_view` shows the entries of `tenant_id`.

    Each of its statements may run for `timeout_seconds`, AUDITLOG_DATABASE_TIMEOUT_SECONDS if that is not given.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(NAME_TENANT, tenant_parameters(tenant_id, timeout_seconds))
        yield cursor
