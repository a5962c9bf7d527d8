"""Erasing a data subject: decided once, recorded before and after, carried through whatever dies.

Invariants:
- One transaction decides: it sees the legal holds (no hold is placed meanwhile, DECIDE_ERASURE), commits the entry that the erasure is
  begun, and only then itself, as state `begun`. If that entry can't be written, nothing is erased and nothing is on record. If the
  process dies between the two commits, the log tells of an erasure that did not come to pass, and nothing is erased.
- `begun` is the point of no return: from there on every step may be repeated, by anybody, until the state is `done`. First the ledger
  outside of the database, then the key, then the entry that it is done (twice, if the process dies before the row says so).
- The row is locked while a step is taken; two that carry on the same erasure take turns.
"""

from __future__ import annotations

import datetime
import logging
import uuid
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from accounts.deeds import Actor, Deed
from accounts.extensions import record
from accounts.principals import Principal
from accounts.recording import Whence
from logs.erasure import copies, keys
from logs.erasure.ledger import Ledger
from logs.errors import Held
from logs.export.jobs import new_id
from logs.extensions import Deferral, deferral_of_erasure, reason_against_erasure
from logs.models import Erasure, ErasureState
from logs.models.erasure import UNFINISHED
from logs.privacy.encryption.subject_keys import forget
from logs.storage.locks import lock_erasures
from logs.storage.reading import tenant_transaction
from logs.subjects import digest_of, is_named_in_log

logger = logging.getLogger(__name__)
ERASE = Deed("ERASE", "audit_log_erasure")
# An erasure that nobody has moved on for so long is carried on by `tend_erasures`.
STALE_AFTER = datetime.timedelta(seconds=30)


@dataclass(frozen=True)
class NewErasure:
    """What is asked for. `whence`: where the request came from, as `accounts.extensions.record` takes it."""

    subject: str
    reason: str
    whence: Whence


def erase(principal: Principal, asked: NewErasure, *, is_confirmed: bool = False) -> Erasure | Deferral:
    """Erase a data subject of the principal's tenant. Answers the erasure, which goes on if it is not `done`; or, where somebody else has to
    confirm it (and it is not `is_confirmed`), what waits for that.

    Raises Held, which is on record, NotAllowed and NotRecorded: then nothing was erased.
    """
    deferral = None if is_confirmed else deferral_of_erasure(principal, asked.subject, asked.reason, asked.whence)
    if deferral is not None:
        return deferral
    erasure = _decide(principal, asked)
    if erasure.state == ErasureState.HELD:
        metadata = {"erasure": str(erasure.id), "held_because": erasure.held_because}
        record(principal.tenant_id, ERASE, actor=principal, outcome="failure", resource_id=str(erasure.id), metadata=metadata, **asked.whence)
        raise Held(erasure.held_because, str(erasure.id))
    try:
        return carry_on(erasure.id)
    except Exception:
        # It is decided, and will be carried on. Whoever asked is told how far it is.
        logger.exception("erasure %s is begun, and is carried on later", erasure.id)
        return Erasure.objects.get(pk=erasure.id)


def unfinished(now: datetime.datetime) -> list[uuid.UUID]:
    """The erasures that were begun and that nobody seems to carry on."""
    return list(Erasure.objects.filter(state__in=UNFINISHED, updated_at__lt=now - STALE_AFTER).order_by("id").values_list("id", flat=True))


def carry_on(erasure_id: uuid.UUID) -> Erasure:
    """Take the steps that are left. Raises objects.StorageError, DatabaseError or NotRecorded; then it is begun still."""
    _destroy(erasure_id)
    return _finish(erasure_id)


def _decide(principal: Principal, asked: NewErasure) -> Erasure:
    """The erasure, begun or held; or the one of the same subject that goes on already. Raises NotRecorded."""
    tenant_id, now = principal.tenant_id, timezone.now()
    digest = digest_of(tenant_id, asked.subject)
    with tenant_transaction(tenant_id) as cursor:
        lock_erasures(tenant_id)
        erasure = Erasure.objects.filter(tenant_id=tenant_id, subject_digest=digest, state__in=UNFINISHED).first()
        if erasure is not None:
            return erasure
        erasure = Erasure(
            id=new_id(now),
            tenant_id=tenant_id,
            subject=asked.subject,
            subject_digest=digest,
            reason=asked.reason,
            asked_by=principal.source,
            asked_as=principal.acts_as,
            created_at=now,
        )
        reason = reason_against_erasure(tenant_id, asked.subject, cursor)
        if reason is not None:
            erasure.state, erasure.held_because, erasure.finished_at = ErasureState.HELD, reason, now
            _forget_name(cursor, erasure)
        else:
            found = keys.live_keys_of(cursor, tenant_id, digest)
            erasure.state = ErasureState.BEGUN
            erasure.key_ids, erasure.pseudonyms = [key.id for key in found], [key.pseudonym for key in found]
            if not found:
                erasure.repeats = Erasure.objects.filter(tenant_id=tenant_id, subject_digest=digest, state=ErasureState.DONE).order_by("-id").first()
            told = _told(erasure, "begun")
            record(tenant_id, ERASE, actor=principal, outcome="success", resource_id=_name_of(erasure), metadata=told, **asked.whence)
        erasure.save(force_insert=True)
    return erasure


def _destroy(erasure_id: uuid.UUID) -> None:
    """The ledger, the keys, the copies: from `begun` to `destroyed`."""
    tenant_id = Erasure.objects.values_list("tenant_id", flat=True).get(pk=erasure_id)
    with tenant_transaction(tenant_id) as cursor:
        erasure = Erasure.objects.select_for_update().get(pk=erasure_id)
        if erasure.state != ErasureState.BEGUN:
            return
        # First, for it takes the key to know the subject's pseudonym.
        erasure.exports = copies.remove_exports(cursor, tenant_id, erasure.subject)
        for key_id, pseudonym in zip(erasure.key_ids, erasure.pseudonyms, strict=True):
            Ledger().add(keys.DataKey(tenant_id, key_id, pseudonym), erasure.id, timezone.now())
            keys.destroy(cursor, key_id)
        erasure.state = ErasureState.DESTROYED
        erasure.save()


def _finish(erasure_id: uuid.UUID) -> Erasure:
    """The files, the entry that it is done: from `destroyed` to `done`."""
    forget()
    tenant_id = Erasure.objects.values_list("tenant_id", flat=True).get(pk=erasure_id)
    with tenant_transaction(tenant_id) as cursor:
        erasure = Erasure.objects.select_for_update().get(pk=erasure_id)
        if erasure.state != ErasureState.DESTROYED:
            return erasure
        copies.clean_up(erasure.exports)
        subject = erasure.subject
        actor = Actor(tenant_id, erasure.asked_as, erasure.asked_by)
        record(tenant_id, ERASE, actor=actor, resource_id=_name_of(erasure), metadata=_told(erasure, "done"))
        erasure.state, erasure.finished_at = ErasureState.DONE, timezone.now()
        _forget_name(cursor, erasure)
        if not erasure.subject:
            copies.forget_reports(tenant_id, subject)
        erasure.save()
    return erasure


def _name_of(erasure: Erasure) -> str:
    """What the log calls the subject: the pseudonym of their key, which says nothing of them; without a key, the erasure's id."""
    return erasure.pseudonyms[0] if erasure.pseudonyms else str(erasure.id)


def _told(erasure: Erasure, phase: str) -> dict[str, object]:
    """The metadata of the entry. Not the reason: people write names there."""
    told: dict[str, object] = {"phase": phase, "erasure": str(erasure.id), "keys": len(erasure.key_ids)}
    return told if phase == "begun" else told | {"exports": len(erasure.exports)}


def _forget_name(cursor: Any, erasure: Erasure) -> None:
    """Keep the name only where the log itself keeps it."""
    if not is_named_in_log(cursor, erasure.tenant_id, erasure.pseudonyms):
        erasure.subject, erasure.subject_digest = "", None
