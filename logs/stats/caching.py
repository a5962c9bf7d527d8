"""Answers kept in Redis for a while, under keys that can't go stale.

A key is made of the tenant, the question with all that the principal may see in it, and how many entries the tenant's log was sent.
Entries are only ever added, so the same number means the same entries, whether they have their positions yet or not; a new entry
makes a new key. The log's entries about its own use do not count in it: else every look, which is one, would make the answer to the
next one stale. They are in an answer that is computed, and so in any that is older than the time for which answers are kept. That time
also bounds what else may change: an archive that takes entries out, a restored backup.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from django.conf import settings
from django.core.cache import cache
from django.db import OperationalError
from django_redis.exceptions import ConnectionInterrupted
from psycopg.errors import QueryCanceled
from redis.exceptions import RedisError

from logs.errors import TooExpensive
from logs.storage.kinds import OWN_SOURCE
from logs.storage.reading import tenant_snapshot, tenant_transaction

logger = logging.getLogger(__name__)
# Plan: the key of the head; logs_batch_waiting.
SELECT_STATE = """
SELECT coalesce((SELECT origin FROM auditlog.logs_head_view), ''),
       coalesce((SELECT tree_size - own_count FROM auditlog.logs_head_view), 0)
       + coalesce((SELECT sum(entry_count - CASE WHEN strpos(b.kinds, %(own)s) = 0 THEN 0 ELSE (
           SELECT coalesce(sum((kind->>6)::bigint), 0) FROM jsonb_array_elements(b.kinds::jsonb) AS kind WHERE kind->>5 = %(own)s) END)
         FROM auditlog.logs_batch_view AS b WHERE first_position IS NULL), 0)
"""
_AWAY = (ConnectionInterrupted, RedisError, OSError)
_is_away = False


class LogState(NamedTuple):
    """Which log, and how many entries it was sent."""

    origin: str
    entry_count: int


def cached_answer(tenant_id: uuid.UUID, identity: str, compute: Callable[[Any], Any]) -> bytes:
    """`compute(cursor)` as JSON, from Redis if it is there. The cursor is of `tenant_snapshot`.

    Raises TooExpensive if a statement takes longer than statistics may.
    """
    with tenant_transaction(tenant_id) as cursor:
        state = _state(cursor)
    hit = _get(key_of(tenant_id, identity, state))
    if hit is not None:
        return hit
    try:
        with tenant_snapshot(tenant_id, settings.AUDITLOG_STATS_TIMEOUT_SECONDS) as cursor:
            # Of the moment that is counted, which may be a later one than was looked up.
            state = _state(cursor)
            answer = msgspec.json.encode(compute(cursor))
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooExpensive from None
        raise
    _set(key_of(tenant_id, identity, state), answer)
    return answer


def key_of(tenant_id: uuid.UUID, identity: str, state: LogState) -> str:
    """The key of one answer. Each part is given with its length, so that no two sets of parts run into one text."""
    parts = [str(tenant_id), identity, state.origin, str(state.entry_count)]
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return "stats:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _state(cursor: Any) -> LogState:
    cursor.execute(SELECT_STATE, {"own": OWN_SOURCE})
    origin, entry_count = cursor.fetchone()
    return LogState(origin, int(entry_count))


def _get(key: str) -> bytes | None:
    try:
        found: str | None = cache.get(key)
    except _AWAY as error:
        _tell_away(error)
        return None
    _tell_back()
    return None if found is None else found.encode()


def _set(key: str, answer: bytes) -> None:
    try:
        cache.set(key, answer.decode(), timeout=settings.AUDITLOG_STATS_CACHE_SECONDS)
    except _AWAY as error:
        _tell_away(error)


def _tell_away(error: Exception) -> None:
    """Once, and again only after Redis was back."""
    global _is_away
    if not _is_away:
        _is_away = True
        logger.warning("statistics are computed without a cache: %s", error)


def _tell_back() -> None:
    global _is_away
    _is_away = False
