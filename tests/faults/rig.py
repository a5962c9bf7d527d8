"""What fault tests stand on: servers of their own that may be killed, a load, and a ledger of what was answered."""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

import httpx
import psycopg

from auditlog_project.embedded import EmbeddedServers
from auditlog_project.embedded.scratch import scratch_servers
from tests.web import Web, manage, product_environment, unmeasured, wait_until

BATCH_ENTRIES = 50


@dataclass(frozen=True)
class Rig:
    """An installation of its own: servers, migrated database, one API key."""

    servers: EmbeddedServers
    environment: dict[str, str]
    api_key: str

    @contextmanager
    def web(self, *, workers: int = 1) -> Iterator[Web]:
        """A web server on this installation, stopped at the end."""
        web = Web(self.environment, workers=workers)
        try:
            yield web.start()
        finally:
            web.stop()

    def client(self, web: Web, timeout_seconds: float = 40) -> httpx.Client:
        return httpx.Client(base_url=web.url, headers={"Authorization": f"Bearer {self.api_key}"}, timeout=timeout_seconds)

    def maintenance(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.environment["MAINTENANCE_DATABASE_URL"], autocommit=True)


@contextmanager
def installed() -> Iterator[Rig]:
    """A new installation for the length of the block."""
    with scratch_servers(postgres_settings={"shared_buffers": "128MB"}) as servers:
        addresses = servers.environment() | {"AUDITLOG_STATE_DIR": str(servers.folders.state)}
        # A process that is killed writes down nothing of what was measured of it.
        environment = unmeasured(product_environment(addresses, AUDITLOG_HTTP_THREADS="4"))
        for command in (["migrate", "--no-input", "--verbosity", "0"], ["prepare"], ["bootstrap"]):
            done = manage(environment, *command)
            assert done.returncode == 0, done.stderr.decode()
        found = re.search(r"API key +(\S+)", done.stdout.decode())
        assert found
        yield Rig(servers, environment, found[1])


@dataclass
class Ledger:
    """What was sent and what was answered; kept outside of the system under test.

    `accepted[batch]` are the ids that a 201 named, in order; `refused` the batches that were answered `not_stored`;
    what is in `sent` and in neither of these may be stored or not, but not in part.
    """

    sent: set[str] = field(default_factory=set)
    accepted: dict[str, list[str]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    strange: list[str] = field(default_factory=list)

    def faults(self, rig: Rig) -> list[str]:
        """What the database says against the ledger: nothing, if every promise was kept."""
        stored: dict[str, list[str]] = defaultdict(list)
        with rig.maintenance() as connection:
            rows = connection.execute("SELECT request_id, id::text FROM auditlog.logs_entry WHERE request_id IS NOT NULL ORDER BY batch_id, batch_index")
            for request_id, id in rows:
                stored[str(request_id)].append(str(id))
            broken = connection.execute(
                "SELECT b.id, b.entry_count, count(e.id) FROM auditlog.logs_batch AS b FULL JOIN auditlog.logs_entry AS e ON e.batch_id = b.id "
                "GROUP BY b.id HAVING b.id IS NULL OR b.entry_count <> count(e.id) OR count(e.id) <> count(DISTINCT e.batch_index)"
            ).fetchall()
        found = [*self.strange, *(f"batch row {row} does not agree with its entries" for row in broken)]
        for batch in sorted(self.sent):
            ids = stored.pop(batch, [])
            if batch in self.accepted and ids != self.accepted[batch]:
                found.append(f"{batch}: answered 201, {len(ids)} entries are there, not the {BATCH_ENTRIES} that were named")
            elif batch in self.refused and ids:
                found.append(f"{batch}: answered not_stored, {len(ids)} entries are there")
            elif len(ids) not in (0, BATCH_ENTRIES) or len(set(ids)) != len(ids):
                found.append(f"{batch}: {len(ids)} of {BATCH_ENTRIES} entries are there")
        return found + [f"{batch}: stored, never sent" for batch in stored]


class Load:
    """Threads that post batches one after the other, each batch told apart by its entries' `request_id`."""

    def __init__(self, rig: Rig, web: Web, ledger: Ledger, tag: str, *, threads: int = 4) -> None:
        self._rig, self._web, self._ledger, self._tag = rig, web, ledger, tag
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.accepted = 0
        self._threads = [threading.Thread(target=self._post_until_stopped, args=(number,), daemon=True) for number in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a request is still waiting for its answer"

    def until_accepted(self, more: int) -> None:
        """Wait until `more` batches than by now got their 201."""
        wanted = self.accepted + more
        wait_until(lambda: self.accepted >= wanted, f"{more} batches are accepted")

    def _post_until_stopped(self, thread: int) -> None:
        with self._rig.client(self._web) as client:
            number = 0
            while not self._stop.is_set():
                number += 1
                self._post(client, f"{self._tag}-{thread}-{number}")

    def _post(self, client: httpx.Client, batch: str) -> None:
        entries = [
            {"user_id": f"user-{place % 7}", "action": "UPDATE", "resource_type": "invoice", "request_id": batch, "metadata": {"place": place}}
            for place in range(BATCH_ENTRIES)
        ]
        with self._lock:
            self._ledger.sent.add(batch)
        try:
            response = client.post("/api/v1/logs/bulk", json=entries)
        except httpx.TransportError:
            # Nobody answers: a moment's rest, or the ledger fills with batches that never left.
            self._stop.wait(0.05)
            return
        with self._lock:
            if response.status_code == 201:
                self._ledger.accepted[batch] = [entry["id"] for entry in response.json()["successful"]]
                self.accepted += 1
            elif response.status_code == 503 and response.json().get("outcome") == "not_stored":
                self._ledger.refused.add(batch)
            elif response.status_code != 503:
                self._ledger.strange.append(f"{batch}: answered {response.status_code} {response.text[:200]}")
        if response.status_code == 503:
            self._stop.wait(0.05)
