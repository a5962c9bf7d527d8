"""The peer as a service beside the product: its environment, its web server, its count."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from auditlog_project.embedded.postgres import APPLICATION_ROLE
from benchmarks.limits import OUTCOMES, SEVERITIES
from benchmarks.load import Client
from benchmarks.product import WEB_WORKERS, Installation, WebServer, free_port, run_program, web_server
from benchmarks.report import BenchmarkFailed
from benchmarks.rows import Entry

SCHEMA = "stock_peer"
PATH = "/logs"


def stock_entry(entry: Entry) -> Entry:
    """The entry as the peer takes it: numbers for severity and outcome, as a plain choices field has them."""
    numbers = {"severity": SEVERITIES[entry.get("severity", "INFO")], "outcome": OUTCOMES[entry.get("outcome", "unknown")]}
    return entry | numbers


class StockPeer:
    """The peer's tables and token in the installation's database."""

    def __init__(self, installed: Installation) -> None:
        self._installed = installed
        with psycopg.connect(installed.superuser_url) as connection:
            statement = sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}")
            connection.execute(statement.format(sql.Identifier(SCHEMA), sql.Identifier(APPLICATION_ROLE)))
        self._environment = dict(installed.environment) | {
            "DJANGO_SETTINGS_MODULE": "benchmarks.stock_peer.settings",
            "STOCK_PEER_DATABASE_URL": installed.environment["DATABASE_URL"],
            "STOCK_PEER_SECRET_KEY": secrets.token_urlsafe(50),
        }
        self._token = run_program([sys.executable, "-m", "benchmarks.stock_peer.prepare"], self._environment).strip()

    def client(self, server: WebServer) -> Client:
        return Client(server, PATH, f"Token {self._token}")

    @contextmanager
    def server(self, threads: int) -> Iterator[WebServer]:
        """The peer's web processes, as many as the product has, with `threads` threads each."""
        port = free_port()
        command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--workers", str(WEB_WORKERS), "--blocking-threads", str(threads), "--blocking-threads-idle-timeout", "600"]
        command += ["--backlog", "2048", "--backpressure", "2048", "benchmarks.stock_peer.wsgi:application"]
        log = self._installed.servers.folders.logs / f"stock-peer-{threads}.log"
        with web_server(command, port, self._environment, log, ready_path=PATH) as server:
            yield server

    def check_that_all_are_stored(self, acknowledged: int) -> None:
        """Raises BenchmarkFailed unless the peer's table holds each acknowledged entry and no other."""
        stored = self._installed.number(f"SELECT count(*) FROM {SCHEMA}.stock_peer_stockentry")
        if stored != acknowledged:
            raise BenchmarkFailed(f"the peer acknowledged {acknowledged} entries and stored {stored}")
