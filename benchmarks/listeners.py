"""Listens to the stream with many clients in one process, for `stream`: `python -m benchmarks.listeners FILE`.

Standard input: one line of JSON (`Task`), then a line `end`. Answers `ready` when every client is subscribed. After `end` each client goes
on until its heartbeats or entries have come to the log's end; then FILE holds, for each client, what it received.
"""

from __future__ import annotations

import array
import asyncio
import sys
import time
from pathlib import Path

import msgspec
import uvloop
from websockets.asyncio.client import ClientConnection, connect

CLOSE_SECONDS = 120


class Task(msgspec.Struct):
    """`questions`: one client each. `deaf`: so many more clients subscribe to everything and never read."""

    url: str
    api_key: str
    questions: list[str]
    deaf: int


class Heard(msgspec.Struct):
    """What one client received: positions, and for each the time (seconds since 1970) when its message came."""

    positions: bytes
    times: bytes
    gaps: int


class _Listener:
    def __init__(self, task: Task, question: str) -> None:
        self._task = task
        self._question = question
        self.positions = array.array("q")
        self.times = array.array("d")
        self.gaps = 0
        self.complete_to = -1
        self.ready = asyncio.Event()

    async def listen(self) -> None:
        async with _connection(self._task) as connection:
            await connection.send(msgspec.json.encode({"type": "subscribe", "q": self._question}).decode())
            async for text in connection:
                now = time.time()
                message = _decode(text)
                if message.type == "subscribed":
                    self.ready.set()
                elif message.type == "entry":
                    self._hear(message.position, now)
                elif message.type == "batch":
                    for one in message.entries:
                        self._hear(one.position, now)
                elif message.type == "gap":
                    self.gaps += 1
                elif message.type == "error":
                    sys.exit(f"{self._question!r}: {text!r}")
                elif message.type == "heartbeat":
                    self.complete_to = message.after

    def _hear(self, position: int, now: float) -> None:
        self.positions.append(position)
        self.times.append(now)
        self.complete_to = max(self.complete_to, position)


class _Place(msgspec.Struct):
    position: int


class _Message(msgspec.Struct):
    type: str
    position: int = -1
    after: int = -1
    entries: list[_Place] = []


_decode = msgspec.json.Decoder(_Message).decode


def _connection(task: Task) -> connect:
    # No compression: on one machine it would measure zlib.
    return connect(task.url, additional_headers={"Authorization": f"Bearer {task.api_key}"}, max_size=None, compression=None, ping_interval=None)


async def _deaf(task: Task) -> ClientConnection:
    connection = await _connection(task)
    await connection.send('{"type":"subscribe"}')
    await connection.recv()
    connection.transport.pause_reading()
    return connection


async def _listen(task: Task, file: Path) -> None:
    listeners = [_Listener(task, question) for question in task.questions]
    listening = [asyncio.create_task(listener.listen()) for listener in listeners]
    for listener in listeners:
        await listener.ready.wait()
    deaf = [await _deaf(task) for _ in range(task.deaf)]
    print("ready", flush=True)
    end = await asyncio.to_thread(sys.stdin.readline)
    tree_size = int(end.split()[1])
    async with asyncio.timeout(CLOSE_SECONDS):
        while any(listener.complete_to < tree_size - 1 for listener in listeners if not listener.gaps):
            await asyncio.sleep(0.1)
    for one in listening:
        one.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    file.write_bytes(msgspec.msgpack.encode([Heard(one.positions.tobytes(), one.times.tobytes(), one.gaps) for one in listeners]))
    for connection in deaf:
        connection.transport.abort()


def main() -> None:
    task = msgspec.json.decode(sys.stdin.readline(), type=Task)
    uvloop.run(_listen(task, Path(sys.argv[1])))


if __name__ == "__main__":
    main()
