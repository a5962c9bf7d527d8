"""The stream as server-sent events (HTML Living Standard §9.2), for those who have only curl: `GET /api/v1/logs/stream`.

An ASGI application: a thread for each listener would be the end of the threads. `Last-Event-ID` (sent by browsers by themselves) or
`after` goes on after a position.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from django.http import HttpRequest, QueryDict

from accounts.addresses import meta_of_scope
from accounts.authentication import authenticate
from accounts.principals import Principal
from accounts.problems import Fault, NotAuthenticated, Problem
from logs.errors import InvalidQuery
from logs.streaming import messages
from logs.streaming.messages import MAX_LAST, Subscribe
from logs.streaming.reading import Streamed
from logs.streaming.session import Ended, Session

logger = logging.getLogger(__name__)
PATH = "/api/v1/logs/stream"
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # nginx would keep events back until its buffer is full.
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


class EventStream:
    """An ASGI application for `http` scopes at PATH whose client accepts text/event-stream."""

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        outlet = _Outlet(send)
        session = Session(outlet, _credential(scope), meta_of_scope(scope))
        work = asyncio.create_task(self._serve(scope, session, outlet, send))
        gone = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)
            session.close()

    async def _serve(self, scope: MutableMapping[str, Any], session: Session, outlet: _Outlet, send: Send) -> None:
        try:
            await session.open()
            await session.subscribe(_question(scope))
            await session.run()
        except Ended as ended:
            await outlet.end(ended.problem)
        except Problem as refused:
            await outlet.end(refused)
        except BaseExceptionGroup as group:
            found, others = group.split(Ended)
            if others is not None:
                logger.error("an event stream failed", exc_info=others)
            problem = Problem.internal() if found is None or others is not None else _first(found).problem
            with contextlib.suppress(Exception):
                await outlet.end(problem)


class _Outlet:
    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_begun = False

    async def entries(self, found: Sequence[Streamed]) -> None:
        await self._write(b"".join(b"id: %d\nevent: entry\ndata: %s\n\n" % (one.position, one.encoded) for one in found))

    async def say(self, kind: str, message: bytes, after: int | None = None) -> None:
        # Without an id where nothing is known to be sent up to: a browser would go on from there.
        place = b"" if after is None or after < 0 else b"id: %d\n" % after
        await self._write(b"%sevent: %s\ndata: %s\n\n" % (place, kind.encode(), message))

    async def end(self, problem: Problem | None) -> None:
        """The end of the answer: the problem as the answer itself if nothing was sent before, else as the last event."""
        if problem is not None and not self._is_begun:
            response = problem.response()
            headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
            await self._send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            await self._send({"type": "http.response.body", "body": response.content})
            return
        if problem is not None:
            await self.say("error", messages.error(problem))
        await self._send({"type": "http.response.body", "body": b""})

    async def _write(self, text: bytes) -> None:
        if not self._is_begun:
            await self._send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            self._is_begun = True
        await self._send({"type": "http.response.body", "body": text, "more_body": True})


def accepts_events(scope: MutableMapping[str, Any]) -> bool:
    """Is this a request for the stream of events?"""
    return scope["path"] == PATH and scope["method"] == "GET" and any(
        name.lower() == b"accept" and b"text/event-stream" in value for name, value in scope["headers"]
    )  # fmt: skip


def _question(scope: MutableMapping[str, Any]) -> Subscribe:
    """The question in the address and headers. Raises InvalidQuery."""
    query = QueryDict(scope["query_string"])
    last_event_id = next((value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"last-event-id"), None)
    after = query.get("after") if last_event_id is None else last_event_id
    filters = {name: [str(value) for value in values] for name, values in query.lists() if name not in ("after", "last", "q")}
    return Subscribe(query.get("q", ""), _number("after", after, 2**62, least=-1), _number("last", query.get("last"), MAX_LAST), filters)


def _number(name: str, text: str | None, most: int, *, least: int = 0) -> int | None:
    if text is None:
        return None
    digits = text.removeprefix("-") if least < 0 else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 19 and least <= int(text) <= most):
        raise InvalidQuery([Fault(name, "bad_number", f"{name} has to be a whole number from {least} to {most}.")])
    return int(text)


def _credential(scope: MutableMapping[str, Any]) -> Callable[[], Principal]:
    request = HttpRequest()
    for name, value in scope["headers"]:
        if name.lower() in (b"authorization", b"x-api-key", b"x-tenant"):
            request.META["HTTP_" + name.decode("latin-1").upper().replace("-", "_")] = value.decode("latin-1")

    def principal() -> Principal:
        found = authenticate(request)
        if found is None:
            raise NotAuthenticated
        return found

    return principal


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _first(group: BaseExceptionGroup[Ended]) -> Ended:
    found = group.exceptions[0]
    return found if isinstance(found, Ended) else _first(found)
