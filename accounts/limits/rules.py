"""The limits as the admin has them, looked up again every few seconds."""

from __future__ import annotations

import logging
import threading
import time

from django.conf import settings
from django.db import DatabaseError, InterfaceError

from accounts.limits.policies import Policies, Policy, RateRow
from accounts.models import RateLimit

logger = logging.getLogger(__name__)
# A database that is away is not waited for by every request.
RETRY_SECONDS = 5.0
_lock = threading.Lock()
_BUILT_IN = Policies.of([])
_policies = _BUILT_IN
_looked_up_until = 0.0


def policies() -> Policies:
    """The limits that count now, at most `AUDITLOG_CREDENTIAL_CACHE_SECONDS` old. Without the database: those known last, or those built in."""
    global _policies, _looked_up_until
    # One request looks; the others go on with what is known. Of a new process they wait: what is built in may be too narrow for them.
    if time.monotonic() >= _looked_up_until and _lock.acquire(blocking=_policies is _BUILT_IN):
        try:
            if time.monotonic() < _looked_up_until:
                return _policies
            _policies = Policies.of(_rows())
            _looked_up_until = time.monotonic() + settings.AUDITLOG_CREDENTIAL_CACHE_SECONDS
        except (DatabaseError, InterfaceError) as error:
            _looked_up_until = time.monotonic() + RETRY_SECONDS
            logger.warning("the rate limits could not be looked up; those known last count: %s", error)
        finally:
            _lock.release()
    return _policies


def forget() -> None:
    """Look the limits up anew with the next request."""
    global _looked_up_until
    _looked_up_until = 0.0


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
