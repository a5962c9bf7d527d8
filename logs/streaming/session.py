"""One client's conversation on the stream, whatever carries it: who they are, what they asked, and sending them what is found.

Invariants:
- Rights are those of now: they are looked at anew every RECHECK_SECONDS, and at once when the subscription changes. A credential that
  ended closes the connection; other rights make the same question anew, from the same position.
- After a subscription to `after`, matches are sent in order, each once, until the client changes it, is too slow, or goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, QueryDict

from accounts.deeds import Deed
from accounts.extensions import record
from accounts.limits import count_address, count_more, count_principal
from accounts.models import EndpointClass
from accounts.principals import Principal
from accounts.problems import Fault, NotAllowed, Problem, RateLimited, Unavailable
from logs.errors import InvalidQuery
from logs.integrity.lag import read_lag
from logs.search.filters import filters_of
from logs.search.sight import asked_by
from logs.search.tree import All
from logs.streaming import messages
from logs.streaming.feed import Feed, Feeds, in_reader
from logs.streaming.messages import Subscribe
from logs.streaming.reading import Streamed, read_after, read_last, tree_size_of
from logs.streaming.subscription import Subscription

logger = logging.getLogger(__name__)
RECHECK_SECONDS = 2.0
# Positions looked at in one read of what a client missed, and entries of one message.
REPLAYED_AT_ONCE = 5_000
SENT_AT_ONCE = 200
OWN_PARAMETERS = ("after", "last")


class Close:
    """Why the server ends a connection: codes of RFC 6455 §7.4.2."""

    NOT_AUTHENTICATED = 4401
    NOT_ALLOWED = 4403
    TOO_SLOW = 4408
    TOO_MANY = 4429
    UNAVAILABLE = 1013


class Outlet(Protocol):
    """What carries messages to the client. Each call comes back when the client's side has taken it, as far as that can be known."""

    async def entries(self, found: Sequence[Streamed]) -> None: ...

    async def say(self, kind: str, message: bytes, after: int | None = None) -> None: ...


class Ended(Exception):
    """The server ends the connection. `problem` is told before, if there is one."""

    def __init__(self, code: int, problem: Problem | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.problem = problem


# Recorded before the first entry is sent.
SUBSCRIBE = Deed("SUBSCRIBE", "audit_log_stream")
feeds = Feeds()
_open: Counter[tuple[object, str]] = Counter()


class Session:
    """Runs until `Ended` is raised or its task is cancelled. `authenticate`: the principal of now, from a thread; raises a Problem.

    `meta` says where the connection comes from (accounts.addresses). To open a stream, and each other question, counts as a search.
    """

    def __init__(self, outlet: Outlet, authenticate: Callable[[], Principal], meta: Mapping[str, Any]) -> None:
        self._outlet = outlet
        self._counted = HttpRequest()
        self._counted.META.update(meta)
        self._authenticate = authenticate
        self._principal: Principal | None = None
        self._asked: Subscribe | None = None
        self._subscription: Subscription | None = None
        self._feed: Feed | None = None
        self._is_paused = False
        self._changed = asyncio.Event()
        self._beat()

    async def open(self) -> Principal:
        """Find out who it is. Raises Ended."""
        await self._count(count_address, EndpointClass.SEARCH)
        principal = await self._principal_of_now()
        await self._count(count_principal, principal)
        key = (principal.tenant_id, principal.source)
        if _open[key] >= settings.AUDITLOG_STREAM_CONNECTIONS:
            detail = f"{principal.source} has {settings.AUDITLOG_STREAM_CONNECTIONS} streams open in this process. Close one, or ask for several things in one."
            raise Ended(Close.TOO_MANY, Unavailable(detail, retry_after_seconds=10))
        _open[key] += 1
        self._principal = principal
        return principal

    def close(self) -> None:
        """Let go of everything. May be called twice."""
        self._leave()
        if self._principal is not None:
            key = (self._principal.tenant_id, self._principal.source)
            _open[key] -= 1
            if not _open[key]:
                del _open[key]
            self._principal = None

    # -- what the client says ------------------------------------------------------------------------------------

    async def subscribe(self, asked: Subscribe) -> None:
        """Take the question in place of the one before. A wrong one raises a Problem, and nothing has changed."""
        principal = self._known()
        # Users may have pseudonyms, which are looked up.
        tree = await in_reader(functools.partial(tree_of, asked, principal))
        if self._asked is not None:
            await in_reader(functools.partial(count_more, self._counted, 1))
        feed = feeds.of(principal.tenant_id)
        await feed.ready()
        if asked.after is not None and asked.after >= max(feed.tree_size, 0):
            # The feed may be a moment behind.
            size = await in_reader(functools.partial(tree_size_of, principal.tenant_id))
            if asked.after >= max(size, 0):
                raise InvalidQuery([Fault("after", "unknown_position", f"The log has {size} entries, none at position {asked.after}.")])
        told = {"asked": {name: value for name, value in msgspec.to_builtins(asked).items() if value is not None}}
        await in_reader(functools.partial(record, principal.tenant_id, SUBSCRIBE, actor=principal, metadata=told))
        self._leave()
        first: list[Streamed] = []
        if asked.last:
            first, size = await in_reader(functools.partial(read_last, principal, tree, asked.last))
            after = size - 1
        else:
            after = feed.cursor if asked.after is None else asked.after
        while (now := self._known()) != principal:
            # Other rights meanwhile: what was looked up by the old ones is not for this client.
            principal, first = now, []
            tree = await in_reader(functools.partial(tree_of, asked, principal))
        self._asked, self._feed, self._is_paused = asked, feed, False
        before, self._subscription = self._subscription, Subscription(tree, after)
        if before is not None:
            # While the last entries were read, what sends may have gone back to wait for more of the one before.
            before.wake()
        await self._outlet.say("subscribed", messages.subscribed(after, feed.tree_size), after)
        if first:
            await self._outlet.entries(first)
        self._changed.set()

    async def pause(self) -> None:
        subscription = self._subscription
        self._is_paused = True
        self._leave()
        await self._outlet.say("paused", messages.paused(-1 if subscription is None else subscription.after))

    def resume(self) -> None:
        self._is_paused = False
        if self._subscription is not None:
            self._subscription = Subscription(self._subscription.tree, self._subscription.after)
        self._changed.set()

    # -- what is sent --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Send what the subscription finds. Raises Ended."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._recheck())
            tasks.create_task(self._pump())

    async def _pump(self) -> None:
        while True:
            subscription = self._subscription
            if subscription is None or self._is_paused:
                self._changed.clear()
                await self._changed.wait()
                continue
            try:
                await self._catch_up(subscription)
                while subscription is self._subscription and not self._is_paused:
                    await self._send_live(subscription)
            except DatabaseError as error:
                logger.warning("a stream could not read what it missed: %s", error)
                await asyncio.sleep(1)

    async def _catch_up(self, subscription: Subscription) -> None:
        """Send what is between the subscription and the feed, read by the question itself, then join the feed."""
        tenant_id = self._known().tenant_id
        while subscription is self._subscription and not self._is_paused:
            feed = feeds.of(tenant_id)
            self._feed = feed
            await feed.ready()
            if feed.join(subscription):
                return
            read = functools.partial(read_after, tenant_id, subscription.after, REPLAYED_AT_ONCE, subscription.tree)
            found, upto, size = await in_reader(read)
            if subscription is not self._subscription or self._is_paused:
                return
            for start in range(0, len(found), SENT_AT_ONCE):
                await self._send(found[start : start + SENT_AT_ONCE])
                subscription.skip_to(found[start : start + SENT_AT_ONCE][-1].position)
            subscription.skip_to(upto)
            if not found:
                await self._outlet.say("heartbeat", messages.heartbeat(upto, size, None), upto)

    async def _send_live(self, subscription: Subscription) -> None:
        found = subscription.take(SENT_AT_ONCE)
        if found:
            await self._send(found)
        elif subscription.gap is not None:
            gap = subscription.gap
            await self._outlet.say("gap", messages.gap(gap.first_position, gap.after), gap.after)
            raise Ended(Close.TOO_SLOW)
        elif (remaining := self._heartbeat_at - time.monotonic()) > 0:
            # What comes and does not match is no sign of life for the client.
            await subscription.wait(remaining)
        elif self._feed is not None:
            self._beat()
            await self._outlet.say("heartbeat", messages.heartbeat(subscription.after, self._feed.tree_size, await _lag_seconds()), subscription.after)

    async def _send(self, found: Sequence[Streamed]) -> None:
        try:
            async with asyncio.timeout(settings.AUDITLOG_STREAM_STALL_SECONDS):
                await self._outlet.entries(found)
                self._beat()
        except TimeoutError:
            raise Ended(Close.TOO_SLOW) from None

    def _beat(self) -> None:
        self._heartbeat_at = time.monotonic() + settings.AUDITLOG_STREAM_HEARTBEAT_SECONDS

    # -- rights --------------------------------------------------------------------------------------------------

    async def _recheck(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            before = self._known()
            try:
                now = await self._principal_of_now()
            except Unavailable:
                # The database is away; what was allowed a moment ago is, until it can be asked again.
                continue
            if now.restriction.is_over(datetime.datetime.now(datetime.UTC)):
                raise Ended(Close.NOT_ALLOWED, NotAllowed("The grant that allowed it is over."))
            if now == before:
                continue
            if (now.tenant_id, now.source) != (before.tenant_id, before.source):
                raise Ended(Close.NOT_AUTHENTICATED)
            asked = self._asked
            try:
                tree = None if asked is None else await in_reader(functools.partial(tree_of, asked, now))
            except DatabaseError:
                continue
            if asked is not self._asked:
                # Another question was asked meanwhile, with the rights of before: the next look sees to it.
                continue
            self._principal = now
            if self._subscription is not None and tree is not None:
                after = self._subscription.after
                self._leave()
                self._subscription = Subscription(tree, after)
                self._changed.set()

    async def _principal_of_now(self) -> Principal:
        try:
            principal = await in_reader(self._authenticate)
        except DatabaseError as error:
            raise Unavailable("The database does not answer.") from error
        except Unavailable:
            raise
        except Problem as problem:
            raise Ended(Close.NOT_ALLOWED if problem.status == 403 else Close.NOT_AUTHENTICATED, problem) from None
        if not principal.may_read:
            raise Ended(Close.NOT_ALLOWED, NotAllowed("Reading entries needs the scope logs:read."))
        return principal

    async def _count(self, count: Callable[..., None], *arguments: Any) -> None:
        try:
            await in_reader(functools.partial(count, self._counted, *arguments))
        except RateLimited as problem:
            raise Ended(Close.TOO_MANY, problem) from None

    def _known(self) -> Principal:
        if self._principal is None:
            raise Ended(Close.NOT_AUTHENTICATED)
        return self._principal

    def _leave(self) -> None:
        if self._feed is not None and self._subscription is not None:
            self._feed.leave(self._subscription)
            self._subscription.wake()


def tree_of(asked: Subscribe, principal: Principal) -> All:
    """What is asked, and what the principal may see. Raises InvalidQuery."""
    query = QueryDict(mutable=True)
    if asked.q:
        query["q"] = asked.q
    for name, values in asked.filters.items():
        query.setlist(name, values)
    return asked_by(principal, filters_of(query).tree())


async def _lag_seconds() -> float | None:
    with contextlib.suppress(DatabaseError):
        return round((await in_reader(read_lag)).seconds, 3)
    return None
