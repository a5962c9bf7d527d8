"""Whose saved searches there are for a principal, and what one asks. Looked up in Redis first.

Invariants of the cache:
- What is kept there is what the table says, never what somebody may: that is asked of every principal anew.
- Keys hold the tenant and a random generation. A change writes a new generation after its commit and before its answer, so what a reader looked
  up before the commit and stores after it lies under a generation that nobody asks for any more.
- Should that write fail (Redis is away, or the process dies in between), what is cached is `KEPT_SECONDS` old at most.
"""

from __future__ import annotations

import datetime
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from django.core.cache import cache
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

from accounts.principals import Principal
from logs.models import SavedSearch
from logs.search import Question, question_of

logger = logging.getLogger(__name__)
KEPT_SECONDS = 60
_UNREACHABLE = (ConnectionInterrupted, RedisError, OSError)


class KeptSearch(msgspec.Struct, frozen=True):
    """One saved search as the table has it."""

    id: int
    owner_id: int
    owner: str
    name: str
    description: str
    query: dict[str, list[str]]
    is_shared: bool
    version: int
    created_at: datetime.datetime
    updated_at: datetime.datetime

    @property
    def etag(self) -> str:
        return f'"{self.id}-{self.version}"'

    def is_of(self, principal: Principal) -> bool:
        return self.owner_id == principal.user_pk

    def is_seen_by(self, principal: Principal) -> bool:
        """Within the tenant that both belong to."""
        return self.is_shared or self.is_of(principal)

    def may_be_changed_by(self, principal: Principal) -> bool:
        return self.is_of(principal) or (self.is_shared and principal.may_administer)


@dataclass(frozen=True)
class SearchPage:
    """Newest first. `before`: where the next page begins; None, there is none."""

    results: list[KeptSearch]
    before: int | None


def find_saved_search(principal: Principal, id: int) -> KeptSearch | None:
    """The saved search with this id, if there is one that the principal may see."""
    rows = _remembered(principal.tenant_id, f"one:{id}", lambda: kept_of(SavedSearch.objects.filter(tenant_id=principal.tenant_id, pk=id)))
    return next((kept for kept in rows if kept.is_seen_by(principal)), None)


def list_saved_searches(principal: Principal, before: int, limit: int) -> SearchPage:
    """The principal's own and the shared ones with ids below `before`, newest first."""
    theirs = Q(is_shared=True) if principal.user_pk is None else Q(is_shared=True) | Q(owner_id=principal.user_pk)
    # One more than asked tells whether there is another page.
    rows = _remembered(
        principal.tenant_id,
        f"list:{principal.user_pk}:{before}:{limit}",
        lambda: kept_of(SavedSearch.objects.filter(theirs, tenant_id=principal.tenant_id, pk__lt=before).order_by("-pk")[: limit + 1]),
    )
    return SearchPage(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


def question_of_saved(kept: KeptSearch, page: QueryDict, principal: Principal) -> Question:
    """What the search asks when `principal` runs it; `page` has `limit` and `cursor`. Raises InvalidQuery."""
    return question_of(query_of(kept.query, page), principal)


def query_of(query: dict[str, list[str]], page: QueryDict | None = None) -> QueryDict:
    """A saved question as a query string has it, with the parameters of `page`."""
    found = QueryDict(mutable=True)
    for name, values in query.items():
        found.setlist(name, values)
    for name, values in page.lists() if page else ():
        found.setlist(name, values)
    return found


def kept_of(rows: QuerySet[SavedSearch]) -> list[KeptSearch]:
    return [
        KeptSearch(
            row.pk,
            row.owner_id,
            row.owner.get_username(),
            row.name,
            row.description,
            row.query,
            row.is_shared,
            row.version,
            row.created_at,
            row.updated_at,
        )
        for row in rows.select_related("owner")
    ]


def forget(tenant_id: uuid.UUID) -> None:
    """Have everybody look the tenant's saved searches up again. To be called after a commit."""
    try:
        cache.set(_generation_key(tenant_id), uuid.uuid4().hex, timeout=None)
    except _UNREACHABLE as error:
        logger.warning("saved searches may be %s s old, for Redis is away: %s", KEPT_SECONDS, error)


def _remembered(tenant_id: uuid.UUID, what: str, look_up: Callable[[], list[KeptSearch]]) -> list[KeptSearch]:
    """What `look_up()` gives, or gave `KEPT_SECONDS` ago at most. Without Redis it is looked up every time."""
    try:
        generation = cache.get_or_set(_generation_key(tenant_id), lambda: uuid.uuid4().hex, timeout=None)
        key = f"{_generation_key(tenant_id)}:{generation}:{what}"
        found = cache.get(key)
    except _UNREACHABLE:
        return look_up()
    if found is not None:
        return msgspec.json.decode(found, type=list[KeptSearch])
    rows = look_up()
    # What there is not is not kept: ids that somebody tries out would fill Redis.
    if rows:
        try:
            cache.set(key, msgspec.json.encode(rows).decode(), timeout=KEPT_SECONDS)
        except _UNREACHABLE as error:
            logger.warning("saved searches are not cached, for Redis is away: %s", error)
    return rows


def _generation_key(tenant_id: uuid.UUID) -> str:
    return f"saved-searches:{tenant_id}"
