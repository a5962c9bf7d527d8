"""How far the sequencer is behind what is committed, over all tenants."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

# Plan: logs_batch_waiting alone; the count stops at 10,000.
SELECT_LAG = "SELECT batches, seconds, stopped_tenants FROM auditlog.logs_waiting"


@dataclass(frozen=True)
class Lag:
    """`batches` without a position, `seconds` since the oldest of them was committed, tenants whose log the sequencer does not go on with."""

    batches: int
    seconds: float
    stopped_tenants: int


def read_lag() -> Lag:
    """The lag as the database has it now."""
    with connection.cursor() as cursor:
        cursor.execute(SELECT_LAG)
        return Lag(*cursor.fetchone())
