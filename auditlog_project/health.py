"""Health checks: is the process alive, and can it do its work?"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable
from typing import Any

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

from logs.ingest import writer_is_alive
from logs.integrity.lag import read_lag
from logs.storage import partitions

logger = logging.getLogger(__name__)


def healthz(request: HttpRequest) -> JsonResponse:
    """200 as long as the process answers. For restarting a process that hangs."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 if every part needed for work answers, else 503 with the part that doesn't. For taking traffic off."""
    checks: dict[str, Callable[[], bool]] = {
        "database": _database_answers,
        "redis": _redis_answers,
        "partitions": _partitions_are_ready,
        "writer": writer_is_alive,
    }
    results = {name: _passes(name, check) for name, check in checks.items()}
    is_ready = all(results.values())
    body: dict[str, Any] = {
        "status": "ok" if is_ready else "unavailable",
        "checks": {name: "ok" if passed else "failed" for name, passed in results.items()},
        # To be watched, not a reason to take traffic off: ingest never waits for it.
        "sequencer": _sequencer_lag() if results["database"] else None,
    }
    return JsonResponse(body, status=200 if is_ready else 503, headers={} if is_ready else {"Retry-After": "2"})


def _sequencer_lag() -> dict[str, float] | None:
    try:
        lag = read_lag()
    except DatabaseError as error:
        logger.warning("the sequencer's lag can't be read: %s", error)
        return None
    return {"waiting_batches": lag.batches, "lag_seconds": round(lag.seconds, 3), "stopped_tenants": lag.stopped_tenants}


def _passes(name: str, check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Exception as error:
        # The reason goes to the log, not to whoever asks: it may name hosts and roles.
        logger.warning("readiness check %s failed: %s", name, error)
        return False


def _database_answers() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return bool(cursor.fetchone() == (1,))


def _redis_answers() -> bool:
    cache.set("readyz", 1, timeout=10)
    return bool(cache.get("readyz") == 1)


def _partitions_are_ready() -> bool:
    """There is a partition for now and for this time tomorrow."""
    now = datetime.datetime.now(datetime.UTC)
    return all(partitions.is_covered(moment) for moment in (now, now + datetime.timedelta(days=1)))
