"""An ASGI middleware for WebSockets that the server has to be able to close at any moment.

The web server does not send a close while the application waits for the client's next message (granian 2.8: the close is lost, and the
connection stays open for as long as the client likes). So messages are taken by a task of its own, which ends before a close is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
# A client that floods is read no faster than it is answered.
MAX_WAITING_MESSAGES = 16


class HangingUp:
    """`application` for `websocket` scopes, with closes that arrive."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        waiting: asyncio.Queue[Message] = asyncio.Queue(MAX_WAITING_MESSAGES)

        async def take() -> None:
            while True:
                message = await receive()
                await waiting.put(message)
                if message["type"] == "websocket.disconnect":
                    return

        async def give(message: Message) -> None:
            if message["type"] != "websocket.close":
                await send(message)
                return
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
            await send(message)
            # What the client said last is of no more interest; the application has to learn that it is over.
            while not waiting.empty():
                waiting.get_nowait()
            waiting.put_nowait({"type": "websocket.disconnect", "code": message.get("code", 1000)})

        taking = asyncio.create_task(take())
        try:
            await self._application(scope, waiting.get, give)
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
