"""The limits as the admin has them, looked up again every few seconds, beside the requests and not in their way.

A request that waited for a database that is away would wait in vain: its other limits, and the entry that it posts, have their own ways to fail.
"""

from __future__ import annotations

import logging
import threading
import time

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from accounts.limits.policies import Policies, Policy, RateRow
from accounts.models import RateLimit

logger = logging.getLogger(__name__)
# A database that is away is asked no more often than this.
RETRY_SECONDS = 5.0
# Held by whoever looks.
_lock = threading.Lock()
_policies: Policies | None = None
_looked_up_until = 0.0


def policies() -> Policies:
    """The limits that count now.

    Known within `AUDITLOG_CREDENTIAL_CACHE_SECONDS`; the first request after an idle time is counted by those known before it. Without the database:
    those known last, or those built in.
    """
    found = _policies
    if found is None:
        # A new process waits, for what is built in may be narrower than what the installation was given.
        with _lock:
            found = _policies or _look_up()
    elif time.monotonic() >= _looked_up_until and _lock.acquire(blocking=False):
        try:
            threading.Thread(target=_look_up_beside, name="rate-limits", daemon=True).start()
        except RuntimeError:
            _lock.release()
            raise
    return found


def forget() -> None:
    """Look the limits up before the next request."""
    global _policies
    with _lock:
        _policies = None


def _look_up_beside() -> None:
    try:
        _look_up()
    finally:
        # To the pool: this thread ends.
        connection.close()
        _lock.release()


def _look_up() -> Policies:
    global _policies, _looked_up_until
    try:
        found = Policies.of(_rows())
        _looked_up_until = time.monotonic() + settings.AUDITLOG_CREDENTIAL_CACHE_SECONDS
    except (DatabaseError, InterfaceError) as error:
        found = _policies or Policies.of([])
        _looked_up_until = time.monotonic() + RETRY_SECONDS
        logger.warning("the rate limits could not be looked up; those known last count: %s", error)
    _policies = found
    return found


def _rows() -> list[RateRow]:
    found = []
    for row in RateLimit.objects.filter(is_active=True).select_related("api_key", "membership__user"):
        policy = Policy(row.endpoint_class, row.subject_kind, row.amount, row.window_seconds)
        if row.api_key is not None:
            found.append(RateRow(policy, row.api_key.tenant_id, f"key:{row.api_key.prefix}"))
        elif row.membership is not None:
            found.append(RateRow(policy, row.membership.tenant_id, f"user:{row.membership.user.get_username()}"))
        else:
            found.append(RateRow(policy, row.tenant_id))
    return found
