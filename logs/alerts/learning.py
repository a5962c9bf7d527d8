"""What a "first seen" rule knows: learned from history when it begins, and from every match after that.

Known groups are kept as hashes under the tenant's secret, so that the table tells nobody whom it knows.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import time
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from logs.alerts.definition import Compiled
from logs.alerts.reading import FOUND_COLUMNS, ReadEntry
from logs.errors import TooExpensive
from logs.models import AlertKnownValue
from logs.privacy.masking import hash_secret
from logs.search.finding import Search
from logs.search.tree import All, TimestampFrom
from logs.search.windows import moment_of_id
from logs.storage.reading import tenant_transaction

# Of one rule. Beyond it, nobody could tell what is new.
MAX_KNOWN = 100_000
DIGEST_BYTES = 16
PAGE_ENTRIES = 2_000
MAX_SECONDS = 10.0


@dataclass(frozen=True)
class Found:
    """Entries that a rule's query finds, newest first. `since`: all from then on were looked at; later than asked for if that took too long."""

    entries: list[ReadEntry]
    since: datetime.datetime


def find_matches(
    tenant_id: uuid.UUID, rule: Compiled, since: datetime.datetime, now: datetime.datetime, *, max_entries: int, max_seconds: float = MAX_SECONDS
) -> Found:
    """The entries of the time from `since` on, by their timestamps, that the rule's query finds; without their texts."""
    tree = All((*rule.tree.nodes, TimestampFrom(since)))
    deadline = time.monotonic() + max_seconds
    found, after = list[ReadEntry](), None
    while True:
        try:
            with tenant_transaction(tenant_id) as database:
                rows = Search(database, tenant_id, tree, FOUND_COLUMNS, now).rows(PAGE_ENTRIES, after=after)
        except TooExpensive as error:
            reached = error.members.get("searched_to")
            moments = [datetime.datetime.fromisoformat(reached)] if reached else []
            return Found(found, max([since, *moments]) if moments else (moment_of_id(after) if after else now))
        page = [ReadEntry(-1, row) for row in rows]
        found += [entry for entry in page if entry.is_for(rule)]
        if len(page) < PAGE_ENTRIES:
            return Found(found, since)
        after = page[-1].id
        if len(found) >= max_entries or time.monotonic() > deadline:
            return Found(found, moment_of_id(after))


def digests_of(tenant_id: uuid.UUID, rule_id: int, groups: Iterable[str]) -> dict[str, bytes]:
    """What is kept of groups, by group."""
    secret = hash_secret(tenant_id)
    return {group: hmac.digest(secret, f"{rule_id}:{group}".encode(), hashlib.sha256)[:DIGEST_BYTES] for group in groups}


def known_among(tenant_id: uuid.UUID, rule_id: int, groups: Collection[str]) -> list[str]:
    """Those of the groups that the rule has seen."""
    if not groups:
        return []
    digests = digests_of(tenant_id, rule_id, set(groups))
    rows = AlertKnownValue.objects.filter(rule_id=rule_id, digest__in=list(digests.values())).values_list("digest", flat=True)
    known = {bytes(digest) for digest in rows}
    return [group for group, digest in digests.items() if digest in known]


def keep_known(tenant_id: uuid.UUID, rule_id: int, groups: Iterable[str]) -> None:
    """Know these groups from now on."""
    rows = [AlertKnownValue(rule_id=rule_id, digest=digest) for digest in digests_of(tenant_id, rule_id, groups).values()]
    AlertKnownValue.objects.bulk_create(rows, batch_size=5_000, ignore_conflicts=True)
