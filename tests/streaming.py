"""Clients of the stream, and a web server with a sequencer to stream from."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect

WAIT_SECONDS = 30
PATH = "/api/v1/logs/stream"


class Client:
    """One WebSocket client. `received` has every message, as sent."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.received: list[dict[str, Any]] = []

    async def say(self, **message: Any) -> None:
        await self.connection.send(msgspec.json.encode(message).decode())

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_SECONDS):
            message: dict[str, Any] = msgspec.json.decode(await self.connection.recv())
        self.received.append(message)
        return message

    async def until(self, kind: str) -> dict[str, Any]:
        """The next message of a kind; what comes before it is passed over."""
        while (message := await self.next())["type"] != kind:
            pass
        return message

    async def entries(self, count: int) -> list[tuple[int, dict[str, Any]]]:
        """The next `count` entries (or a few more, if a batch has them), with their positions."""
        found: list[tuple[int, dict[str, Any]]] = []
        while len(found) < count:
            found += entries_in(await self.next())
        return found

    async def end(self) -> int:
        """The code that the server closes with."""
        with contextlib.suppress(Exception):
            while True:
                await self.next()
        async with asyncio.timeout(WAIT_SECONDS):
            await self.connection.wait_closed()
        code = self.connection.close_code
        assert code is not None
        return code


def entries_in(message: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """The entries of a message."""
    if message["type"] == "entry":
        return [(message["position"], message["entry"])]
    if message["type"] == "batch":
        return [(one["position"], one["entry"]) for one in message["entries"]]
    return []


@contextlib.asynccontextmanager
async def client(url: str, token: str | None, **options: Any) -> AsyncIterator[Client]:
    """A client at the web server `url`, with its credential in the handshake."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with connect(url.replace("http", "ws") + PATH, additional_headers=headers, max_size=None, **options) as connection:
        yield Client(connection)


def run(scenario: Callable[[], Awaitable[None]], seconds: float = 120) -> None:
    """Run a scenario to its end."""

    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await scenario()

    asyncio.run(bounded())
