"""The stream over a WebSocket (RFC 6455), as a Channels consumer.

A credential comes with the handshake (`Authorization`, `X-API-Key`, or the subprotocol `bearer.<token>` beside `auditlog.v1`) or in the
first message; never in the address, which servers on the way write down.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.http import HttpRequest
from django.http.request import validate_host

from accounts.addresses import meta_of_scope
from accounts.authentication import authenticate
from accounts.principals import Principal
from accounts.problems import NotAuthenticated, Problem, Refused
from logs.streaming import messages
from logs.streaming.messages import MAX_MESSAGE_BYTES, Authenticate, Pause, Resume, Subscribe
from logs.streaming.reading import Streamed
from logs.streaming.session import Close, Ended, Session

logger = logging.getLogger(__name__)
PROTOCOL = "auditlog.v1"
BEARER = "bearer."
TENANT = "tenant."
AUTHENTICATE_SECONDS = 10.0


class StreamConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels has no types
    """One connection. Channels calls `receive` for each message; a task of its own sends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # -- Channels' side ------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        offered: list[str] = self.scope.get("subprotocols", [])
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.scope["headers"]}
        if not _is_own_origin(headers.get("origin")):
            # The handshake is refused with 403.
            await self.close()
            return
        await self.accept(PROTOCOL if PROTOCOL in offered else None)
        token = next((unquote(name.removeprefix(BEARER)) for name in offered if name.startswith(BEARER)), None)
        tenant = next((name.removeprefix(TENANT) for name in offered if name.startswith(TENANT)), headers.get("x-tenant"))
        if token is not None or "authorization" in headers or "x-api-key" in headers:
            await self._begin(self._credential(headers, token, tenant))
        else:
            self._timer = asyncio.get_running_loop().call_later(AUTHENTICATE_SECONDS, self._nobody_came)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            await self._take(text_data if text_data is not None else (bytes_data or b""))
        except Ended as ended:
            await self._end(ended)
        except Problem as problem:
            await self._say(messages.error(problem))

    async def disconnect(self, code: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        if self._session is not None:
            self._session.close()

    # -- the conversation ----------------------------------------------------------------------------------------

    async def _take(self, message: str | bytes) -> None:
        """Do what one message asks. Raises a Problem, which ends nothing, or Ended."""
        if len(message) > MAX_MESSAGE_BYTES:
            raise Refused(f"A message may have {MAX_MESSAGE_BYTES} bytes.")
        try:
            asked = messages.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(f"The message is not understood: {error}.") from None
        session = self._session
        if isinstance(asked, Authenticate):
            if session is not None:
                raise Refused("You are known already.")
            await self._begin(self._credential({}, asked.token, asked.tenant))
        elif session is None:
            raise Ended(Close.NOT_AUTHENTICATED, NotAuthenticated('The first message has to be {"type": "authenticate", "token": "..."}.'))
        elif isinstance(asked, Subscribe):
            await session.subscribe(asked)
        elif isinstance(asked, Pause):
            await session.pause()
        elif isinstance(asked, Resume):
            session.resume()

    async def _begin(self, credential: Callable[[], Principal]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        session = Session(_Outlet(self), credential, meta_of_scope(self.scope))
        try:
            await session.open()
        except Ended as ended:
            await self._end(ended)
            return
        except Problem as problem:
            await self._end(Ended(Close.UNAVAILABLE, problem))
            return
        self._session = session
        self._task = asyncio.create_task(self._run(session))

    async def _run(self, session: Session) -> None:
        try:
            await session.run()
        except* Ended as ended:
            await self._end(_first(ended))
        except* Exception:
            logger.exception("a stream failed")
            await self._end(Ended(1011, Problem.internal()))

    async def _end(self, ended: Ended) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(5):
                if ended.problem is not None:
                    await self._say(messages.error(ended.problem))
                await self.close(ended.code)
        if self._session is not None:
            self._session.close()

    async def _say(self, message: bytes) -> None:
        await self.send(text_data=message.decode())

    def _nobody_came(self) -> None:
        problem = NotAuthenticated(f"No credential came within {AUTHENTICATE_SECONDS:g} seconds.")
        self._task = asyncio.create_task(self._end(Ended(Close.NOT_AUTHENTICATED, problem)))

    def _credential(self, headers: dict[str, str], token: str | None, tenant: str | None) -> Callable[[], Principal]:
        request = HttpRequest()
        if token is not None:
            request.META["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        for name in ("authorization", "x-api-key"):
            if name in headers:
                request.META["HTTP_" + name.upper().replace("-", "_")] = headers[name]
        if tenant is not None:
            request.META["HTTP_X_TENANT"] = tenant

        def principal() -> Principal:
            found = authenticate(request)
            if found is None:
                raise NotAuthenticated
            return found

        return principal


def _is_own_origin(origin: str | None) -> bool:
    """Programs send no Origin; a page in a browser sends its own, and may be anybody's."""
    if origin is None or origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    host = urlsplit(origin).hostname
    return host is not None and validate_host(f"[{host}]" if ":" in host else host, settings.ALLOWED_HOSTS)


class _Outlet:
    def __init__(self, consumer: StreamConsumer) -> None:
        self._consumer = consumer

    async def entries(self, found: Sequence[Streamed]) -> None:
        await self._consumer._say(messages.entries(found))

    async def say(self, kind: str, message: bytes, after: int | None = None) -> None:
        await self._consumer._say(message)


def _first(group: BaseExceptionGroup[Ended]) -> Ended:
    found = group.exceptions[0]
    return found if isinstance(found, Ended) else _first(found)
