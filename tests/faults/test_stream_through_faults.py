"""The live tail while the web server, Redis and the sequencer are killed: clients that come back end with exactly what the database has."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import to_thread
from typing import Any

import pytest
from websockets.exceptions import InvalidHandshake, WebSocketException

from tests.faults.rig import Ledger, Load, Rig
from tests.sequencing import SequencerProcess
from tests.streaming import Client, client, entries_in, run
from tests.web import Web

pytestmark = pytest.mark.slow
QUESTIONS = ("", "user:user-3", "user:user-3 OR user:user-5", "metadata.place:<10", "-user:user-1")
CLIENTS = 10


class Listener:
    """A client that comes back whenever it is cut off, and goes on after the last position that it was told to be complete up to."""

    def __init__(self, rig: Rig, web: Web, question: str) -> None:
        self._rig, self._web, self._question = rig, web, question
        self.after = -1
        self.found: list[tuple[int, str]] = []

    async def listen(self) -> None:
        while True:
            with contextlib.suppress(WebSocketException, InvalidHandshake, OSError, TimeoutError):
                async with client(self._web.url, self._rig.api_key) as one:
                    # Subscriptions are entries too, and come again with each.
                    await one.say(type="subscribe", q=f"-source:auditlog ({self._question})" if self._question else "-source:auditlog", after=self.after)
                    await self._take(one)
            await asyncio.sleep(0.2)

    async def _take(self, one: Client) -> None:
        while True:
            message = await one.next()
            if message["type"] == "error":
                return
            for position, entry in entries_in(message):
                self.found.append((position, entry["id"]))
                self.after = position
            if message["type"] == "heartbeat":
                self.after = max(self.after, message["after"])


def expected(rig: Rig, condition: str) -> list[tuple[int, str]]:
    with rig.maintenance() as connection:
        rows: list[Any] = connection.execute(
            "SELECT b.first_position + e.batch_index, e.id::text FROM auditlog.logs_entry AS e JOIN auditlog.logs_batch AS b ON b.id = e.batch_id "
            f"WHERE b.first_position IS NOT NULL AND e.source <> 'auditlog' AND {condition} ORDER BY 1"
        ).fetchall()
    return rows


CONDITIONS = {
    "": "true",
    "user:user-3": "e.user_id = 'user-3'",
    "user:user-3 OR user:user-5": "e.user_id IN ('user-3', 'user-5')",
    "metadata.place:<10": "(e.metadata ->> 'place')::int < 10",
    "-user:user-1": "e.user_id <> 'user-1'",
}


def waiting(rig: Rig) -> int:
    with rig.maintenance() as connection:
        row: Any = connection.execute("SELECT count(*) FROM auditlog.logs_batch WHERE first_position IS NULL").fetchone()
    return int(row[0])


def test_listeners_end_with_exactly_the_entries_of_the_database(rig: Rig) -> None:
    async def scenario() -> None:
        with contextlib.ExitStack() as stack:
            web = stack.enter_context(rig.web())
            sequencer = stack.enter_context(SequencerProcess(rig.environment))
            listeners = [Listener(rig, web, QUESTIONS[number % len(QUESTIONS)]) for number in range(CLIENTS)]
            tasks = [asyncio.create_task(listener.listen()) for listener in listeners]
            with Load(rig, web, Ledger(), "stream", threads=2) as load:
                await to_thread(load.until_accepted, 10)
                # Redis gone and back: wake-ups are lost, entries are not.
                await to_thread(rig.servers.redis.stop)
                await to_thread(load.until_accepted, 10)
                await to_thread(rig.servers.redis.start)
                await to_thread(load.until_accepted, 10)
                sequencer.kill()
                await to_thread(load.until_accepted, 10)
                stack.enter_context(SequencerProcess(rig.environment))
                await to_thread(load.until_accepted, 10)
                for _ in range(2):
                    web.kill()
                    await to_thread(web.start)
                    await to_thread(load.until_accepted, 10)
            while await to_thread(waiting, rig):
                await asyncio.sleep(0.1)
            wanted = {question: await to_thread(expected, rig, condition) for question, condition in CONDITIONS.items()}
            async with asyncio.timeout(60):
                while any(len(listener.found) < len(wanted[listener._question]) for listener in listeners):
                    await asyncio.sleep(0.1)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for listener in listeners:
                assert listener.found == wanted[listener._question], listener._question

    run(scenario, seconds=280)
