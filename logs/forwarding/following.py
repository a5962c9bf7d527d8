"""The follower of one forwarder: reads on from the cursor, sends, and moves the cursor when the destination has it.

Invariants:
- The cursor moves after the destination took what it moves over, by compare-and-set: who dies in between, or is one of two, sends again.
  So every entry arrives at least once, in the order of positions apart from what is repeated.
- An object's end is on record before it is written: nobody ever writes another object that begins where it does.
- A change of the row (pause, replay, another address) gives it another version, and who works by the old one moves nothing.
"""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Callable

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.db.models import F

from accounts.problems import Unavailable
from logs.deliveries.channels import cleaned
from logs.errors import InvalidQuery, TooExpensive
from logs.following import Follower
from logs.forwarding.destinations import Batch, Destination, NotTaken, destination_of
from logs.models import Forwarder, ForwarderKind
from logs.privacy.encryption.master_keys import KeyLost
from logs.search.qualifiers import Reader
from logs.search.tree import All
from logs.streaming.reading import Streamed, read_after

logger = logging.getLogger(__name__)
BATCH_POSITIONS = 500
# Objects are not written for each entry: when so many wait, or the oldest waits for so long.
OBJECT_POSITIONS = 2_000
OBJECT_SECONDS = 60.0


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class ForwarderFollower:
    """Sends one forwarder's entries. For one thread."""

    def __init__(self, id: int, clock: Callable[[], datetime.datetime] = _now, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.name = f"forwarder:{id}"
        self._id = id
        self._clock = clock
        self._monotonic = monotonic
        self._version = -1
        self._destination: Destination | None = None
        self._tree = All(())
        # The last position that was sent: the cursor, or ahead of it while what was sent settles.
        self._sent = -1

    def step(self) -> bool:
        """`Follower.step`. What goes wrong stands in the row; raises NotTaken for it, so that it is tried again after a pause that grows."""
        row = Forwarder.objects.select_related("tenant").filter(pk=self._id, is_active=True).first()
        if row is None:
            self._close()
            return False
        try:
            if row.version != self._version:
                self._begin(row)
            return self._send(row)
        except DatabaseError:
            # It can't be told in the row.
            self._close()
            raise
        except Exception as error:
            self._close()
            is_foreseen = isinstance(error, (NotTaken, KeyLost, ImproperlyConfigured, InvalidQuery, Unavailable, TooExpensive))
            # The text of what nobody foresaw may hold anything; it is in the server's log.
            text = cleaned(str(error) if is_foreseen and str(error) else type(error).__name__, 300)
            Forwarder.objects.filter(pk=row.pk).update(failure_count=F("failure_count") + 1, last_error=text, failed_at=self._clock())
            raise NotTaken(f"forwarder {row.pk} of tenant {row.tenant_id}: {text}") from error

    def _begin(self, row: Forwarder) -> None:
        self._close()
        self._tree = Reader(row.created_at).tree(row.query)
        self._destination = destination_of(row)
        self._version, self._sent = row.version, row.position

    def _close(self) -> None:
        if self._destination is not None:
            self._destination.close()
        self._destination, self._version = None, -1

    def _send(self, row: Forwarder) -> bool:
        destination = self._destination
        if destination is None:
            return False
        entries, last, size = read_after(row.tenant_id, self._sent, OBJECT_POSITIONS if row.kind == ForwarderKind.OBJECTS else BATCH_POSITIONS, self._tree)
        if row.kind == ForwarderKind.OBJECTS:
            entries, last = self._object_of(row, entries, last)
        if entries:
            # To the pool: a thread that waits for somebody else's server holds no connection.
            connection.close()
            destination.send(Batch(row.tenant_id, row.tenant.slug, self._sent + 1, last, entries))
        self._sent = last
        settled = destination.settled(self._monotonic())
        done = last if settled is None else max(settled, row.position)
        self._move(row, done, len(entries), is_caught_up=done >= size - 1)
        return last < size - 1 and bool(entries or row.kind != ForwarderKind.OBJECTS)

    def _object_of(self, row: Forwarder, entries: list[Streamed], last: int) -> tuple[list[Streamed], int]:
        """What is to be one object now: of one hour, enough or old enough; nothing: (none, where it is)."""
        if row.pending_last is not None:
            kept = [one for one in entries if one.position <= row.pending_last]
            return kept, row.pending_last
        if not entries:
            return [], last
        hour = entries[0].entry.received_at[:13]
        kept = [one for one in entries if one.entry.received_at[:13] == hour]
        age_seconds = (self._clock() - datetime.datetime.fromisoformat(entries[0].entry.received_at)).total_seconds()
        if len(kept) == len(entries) and last - row.position < OBJECT_POSITIONS and age_seconds < OBJECT_SECONDS:
            return [], self._sent
        end = last if len(kept) == len(entries) else kept[-1].position
        if not Forwarder.objects.filter(pk=row.pk, version=row.version, position=row.position, pending_last=None).update(pending_last=end):
            raise NotTaken("Somebody else sends, or the forwarder was changed.")
        return kept, end

    def _move(self, row: Forwarder, position: int, count: int, *, is_caught_up: bool) -> None:
        """Move the cursor, if it is where it was. Raises NotTaken if it is not: then another one sends."""
        now = self._clock()
        changes: dict[str, object] = {}
        if is_caught_up:
            changes["caught_up_at"] = now
        if count:
            changes |= {"sent_count": F("sent_count") + count, "sent_at": now, "failure_count": 0, "last_error": "", "failed_at": None}
        if position > row.position:
            changes |= {"position": position, "pending_last": None}
        elif not count and row.caught_up_at is not None and is_caught_up and (now - row.caught_up_at).total_seconds() < 1:
            # Nothing to do, as a moment ago: no row is written for it.
            return
        if changes and not Forwarder.objects.filter(pk=row.pk, version=row.version, position=row.position).update(**changes):
            self._close()
            logger.info("forwarder %s was moved or changed by somebody else: it begins again", row.pk)


_followers: dict[int, ForwarderFollower] = {}


def followers() -> list[Follower]:
    """One for each forwarder that is on. What each remembers stays from call to call."""
    wanted = set(Forwarder.objects.filter(is_active=True, tenant__is_active=True).values_list("pk", flat=True))
    for id in wanted - _followers.keys():
        _followers[id] = ForwarderFollower(id)
    for id in _followers.keys() - wanted:
        # Its connection is closed by its own next step, if there is one, or with the process.
        del _followers[id]
    return list(_followers.values())
