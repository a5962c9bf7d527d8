"""What a legal hold would hold, counted before it is placed."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from django.conf import settings
from django.db import OperationalError
from psycopg.errors import QueryCanceled

from accounts.principals import Principal
from accounts.problems import NotAllowed
from archival.holds import NewHold, check_hold
from archival.models import LegalHold
from archival.retention.counting import count_matches
from archival.retention.held import held_by
from logs.catalogue import catalogue_of
from logs.errors import TooExpensive
from logs.storage.reading import tenant_transaction


@dataclass(frozen=True)
class HoldCount:
    """Hot entries that a hold would hold, of all."""

    entries: int
    of: int


def preview_hold(principal: Principal, hold: NewHold, now: datetime.datetime) -> HoldCount:
    """Raises Invalid for a hold that can't be placed, TooExpensive, and NotAllowed for who could learn from a count what they may not see."""
    tenant_id = principal.tenant_id
    if not principal.restriction.leaves_all:
        raise NotAllowed("Counting what a hold would hold is for who sees the whole log.")
    if catalogue_of(tenant_id).encryption.pseudonymises_users and not principal.may_decrypt:
        raise NotAllowed("The log has pseudonyms for its users: counting what a hold would hold is for who may decrypt.")
    check_hold(hold, now)
    row = LegalHold(tenant_id=tenant_id, holds=hold.holds, query=hold.query, subject=hold.subject, placed_at=now)
    try:
        with tenant_transaction(tenant_id, settings.AUDITLOG_SEARCH_TIMEOUT_SECONDS) as cursor:
            of, entries = count_matches(cursor, tenant_id, [held_by(row, cursor)])
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooExpensive("It can be placed all the same.") from error
        raise
    return HoldCount(entries, of)
