"""Saving, changing and deleting saved searches: by persons, each their own; Admins the shared ones too."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from django.db import IntegrityError, transaction

from accounts.models import Membership
from accounts.principals import Principal
from accounts.problems import ChangedMeanwhile, Fault, Invalid, NotAllowed, NotFound, escape_pointer
from logs.errors import InvalidQuery
from logs.models import SavedSearch
from logs.saved_searches.finding import KeptSearch, forget, kept_of, query_of
from logs.search.filters import filters_of

MAX_PER_OWNER = 200
MAX_QUERY_BYTES = 8 * 1024


@dataclass(frozen=True)
class Changes:
    """New values of a saved search's fields; None: as it is."""

    name: str | None = None
    description: str | None = None
    query: dict[str, list[str]] | None = None
    is_shared: bool | None = None

    def values(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}


def save_search(principal: Principal, changes: Changes) -> KeptSearch:
    """Keep a new one for the person who calls. Raises Invalid, or NotAllowed for callers that are no person."""
    if principal.user_pk is None:
        raise NotAllowed("Saved searches belong to persons: an API key can read and run the shared ones. Sign in with an access token.")
    _check(changes)
    try:
        with transaction.atomic():
            # Its lock makes one owner's requests come one after the other, or two at once would pass the limit together.
            if not Membership.objects.select_for_update().filter(user_id=principal.user_pk, tenant_id=principal.tenant_id).exists():
                raise NotAllowed("You belong to this tenant no longer.")
            if SavedSearch.objects.filter(tenant_id=principal.tenant_id, owner_id=principal.user_pk).count() >= MAX_PER_OWNER:
                raise Invalid([Fault("", "too_many_saved_searches", f"You have {MAX_PER_OWNER} saved searches, and no more are kept. Delete one first.")])
            row = SavedSearch.objects.create(tenant_id=principal.tenant_id, owner_id=principal.user_pk, **changes.values())
            transaction.on_commit(lambda: forget(principal.tenant_id))
            return _kept(row)
    except IntegrityError as error:
        raise _exists() from error


def change_saved_search(principal: Principal, id: int, changes: Changes, etags: Collection[str] | None) -> KeptSearch:
    """Change one, if it still has one of `etags` (None: whichever it has).

    Raises NotFound, NotAllowed, ChangedMeanwhile or Invalid.
    """
    _check(changes)
    try:
        with transaction.atomic():
            row = _locked(principal, id, etags)
            if not changes.values():
                return _kept(row)
            for name, value in changes.values().items():
                setattr(row, name, value)
            row.version += 1
            row.save()
            transaction.on_commit(lambda: forget(principal.tenant_id))
            return _kept(row)
    except IntegrityError as error:
        raise _exists() from error


def delete_saved_search(principal: Principal, id: int, etags: Collection[str] | None) -> None:
    """Delete one, if it still has one of `etags` (None: whichever it has). Raises NotFound, NotAllowed or ChangedMeanwhile."""
    with transaction.atomic():
        _locked(principal, id, etags).delete()
        transaction.on_commit(lambda: forget(principal.tenant_id))


def _locked(principal: Principal, id: int, etags: Collection[str] | None) -> SavedSearch:
    """The row, for the rest of the transaction nobody else's to change. Raises NotFound, NotAllowed or ChangedMeanwhile."""
    row = SavedSearch.objects.select_for_update().filter(tenant_id=principal.tenant_id, pk=id).first()
    kept = _kept(row) if row else None
    if row is None or kept is None or not kept.is_seen_by(principal):
        raise NotFound(f"There is no saved search {id}, or none that you may see.")
    if not kept.may_be_changed_by(principal):
        raise NotAllowed("Its owner and Admins may change or delete a saved search.")
    if etags is not None and kept.etag not in etags:
        raise ChangedMeanwhile(kept.etag)
    return row


def _kept(row: SavedSearch) -> KeptSearch:
    (kept,) = kept_of(SavedSearch.objects.filter(pk=row.pk))
    return kept


def _check(changes: Changes) -> None:
    """Raises Invalid for a name of spaces, and for a question that search itself would refuse or that is too large."""
    if changes.name is not None and not changes.name.strip():
        raise Invalid([Fault("/name", "empty", "The name is empty.")])
    if changes.query is None:
        return
    if len(msgspec.json.encode(changes.query)) > MAX_QUERY_BYTES:
        raise Invalid([Fault("/query", "query_too_large", f"The question is over {MAX_QUERY_BYTES} bytes.")])
    try:
        filters_of(query_of(changes.query)).tree()
    except InvalidQuery as error:
        raise Invalid([replace(fault, pointer=f"/query/{escape_pointer(fault.pointer)}") for fault in error.faults]) from error


def _exists() -> Invalid:
    return Invalid([Fault("/name", "exists", "Its owner has a saved search of this name already.")])
