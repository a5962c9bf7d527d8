"""Carrying out a clean-up: partition by partition, oldest first, then the archive.

Invariants:
- What is purged is what the asker may purge at that moment, of what was confirmed: legal holds, locked policies and rights are looked at anew
  before each partition.
- Whatever dies, the next attempt goes through everything once more, and finds what is left.
"""

from __future__ import annotations

import functools
import logging
import uuid

from django.db import DatabaseError, connection
from django.db.models import F
from django.db.models.functions import Now

from accounts.deeds import Deed
from accounts.extensions import Outcome, record
from accounts.principals import Principal
from accounts.problems import NotAllowed, NotRecorded, Refused, Unavailable
from accounts.standing import of_now
from archival.cleanups import jobs
from archival.cleanups.asking import CleanupQuestion, purgeable_tree
from archival.cleanups.purger import purger
from archival.due import Due
from archival.holds import RETENTION
from archival.models import Cleanup, CleanupState
from logs.storage import objects
from logs.storage.engines import Partition, engine

logger = logging.getLogger(__name__)
CLEAN_UP = Deed("CLEAN_UP", RETENTION)
GAVE_UP = f"It was begun {jobs.MAX_ATTEMPTS} times, and never came to its end."


def run(id: uuid.UUID) -> None:
    """Carry out a clean-up, if it is free. However that goes is on record; nothing is raised but what ends this process."""
    cleanup = jobs.take(id)
    if cleanup is None:
        return
    logger.info("clean-up %s: attempt %d", cleanup.id, cleanup.attempts)
    if cleanup.attempts > jobs.MAX_ATTEMPTS:
        # Its workers died each time, and may have died of it.
        _fail(cleanup, GAVE_UP)
        return
    try:
        _purge(cleanup)
        _end(cleanup, CleanupState.DONE, "success", "")
    except Refused as problem:
        _fail(cleanup, problem.detail)
    except (DatabaseError, Unavailable, *objects.StorageError) as error:
        logger.warning("clean-up %s: attempt %d failed: %s", cleanup.id, cleanup.attempts, error)
        _put_back(cleanup, f"{type(error).__name__}: the database or the storage failed; it is tried again")
    except Exception:
        logger.exception("clean-up %s failed", cleanup.id)
        _fail(cleanup, "The server failed on this clean-up. The failure was logged with its id.")


def _purge(cleanup: Cleanup) -> None:
    """Purge what is left of it. Raises Refused, DatabaseError, Unavailable, StorageError."""
    partitions = [partition for partition in _partitions() if partition.lower_at < cleanup.before]
    # The archive counts as one more.
    Cleanup.objects.filter(pk=cleanup.pk).update(partitions_total=len(partitions) + 1, partitions_done=0)
    plan = functools.partial(_due, cleanup)
    for partition in partitions:
        _tell(cleanup, purger().purge_hot(cleanup.tenant_id, plan, partition), partitions=1)
    for count in purger().purge_cold(cleanup.tenant_id, plan):
        _tell(cleanup, count)
    _tell(cleanup, 0, partitions=1)


def _due(cleanup: Cleanup) -> Due:
    """What may go of it now. Raises NotAllowed if its asker may not do it any more, and InvalidQuery if its policy is gone."""
    question = CleanupQuestion(cleanup.query, cleanup.before, cleanup.policy, cleanup.dry_run_at)
    return Due(cleanup.tenant_id, cleanup.policy, f"clean-up {cleanup.id}", "purge", purgeable_tree(question, _asker_of(cleanup)))


def _asker_of(cleanup: Cleanup) -> Principal:
    user_pk = cleanup.asked_by_user_id
    principal = None if user_pk is None else of_now(cleanup.tenant_id, cleanup.asked_by, user_pk)
    if principal is None or not (principal.may_administer and principal.may_manage_retention and principal.restriction.leaves_all):
        raise NotAllowed("Whoever asked for it may not do it any more.")
    return principal


def _partitions() -> list[Partition]:
    with connection.cursor() as cursor:
        return engine().partitions(cursor)


def _tell(cleanup: Cleanup, purged: int, *, partitions: int = 0) -> None:
    """Say how far it is, and that it goes on."""
    Cleanup.objects.filter(pk=cleanup.pk).update(
        entries_purged=F("entries_purged") + purged, partitions_done=F("partitions_done") + partitions, heartbeat_at=Now()
    )  # fmt: skip


def _end(cleanup: Cleanup, state: CleanupState, outcome: Outcome, error: str) -> None:
    """Record the end, then end it. Raises NotRecorded, an Unavailable: then it is not ended."""
    cleanup.refresh_from_db()
    told = {
        "phase": "ended",
        "purged": cleanup.entries_purged,
        "expected": cleanup.entries_expected,
        "before": cleanup.before.isoformat(),
        "asked": cleanup.query,
        "principal": cleanup.asked_by,
    } | ({"error": error} if error else {})
    record(cleanup.tenant_id, CLEAN_UP, actor="auditlog", outcome=outcome, resource_id=f"cleanup-{cleanup.id}", metadata=told)
    Cleanup.objects.filter(pk=cleanup.pk, state=CleanupState.RUNNING).update(state=state, error=error, finished_at=Now())


def _fail(cleanup: Cleanup, error: str) -> None:
    try:
        _end(cleanup, CleanupState.FAILED, "failure", error)
    except (NotRecorded, DatabaseError):
        logger.exception("clean-up %s has failed, and that is recorded later", cleanup.id)
        _put_back(cleanup, error)


def _put_back(cleanup: Cleanup, error: str) -> None:
    """Let it be tried again a while from now; after MAX_ATTEMPTS it has failed."""
    try:
        if cleanup.attempts >= jobs.MAX_ATTEMPTS:
            _end(cleanup, CleanupState.FAILED, "failure", f"{GAVE_UP} {error}")
            return
        Cleanup.objects.filter(pk=cleanup.pk, state=CleanupState.RUNNING).update(state=CleanupState.QUEUED, error=error, heartbeat_at=Now())
    except (NotRecorded, DatabaseError):
        # Its heartbeat stops, and the next run takes it over.
        logger.exception("clean-up %s can't be put back now", cleanup.id)
