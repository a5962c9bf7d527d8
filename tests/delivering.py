"""Targets for tests, and receivers that do as they are told."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from accounts.models import Tenant
from logs.deliveries import NewTarget, Notice, create_target
from logs.models import DeliveryTarget, TargetKind

NOW = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Call:
    """What a receiver was sent. `headers`: names in lower case."""

    path: str
    headers: dict[str, str]
    content: bytes


# What to answer: status, headers, body.
Reply = tuple[int, dict[str, str], bytes]
NO_CONTENT: Reply = (204, {}, b"")


@dataclass
class Receiver:
    """An HTTP server that keeps what comes. `reply`: what it answers to the n-th call (from 0); `hangs`: as long as it is set, nothing."""

    port: int = 0
    calls: list[Call] = field(default_factory=list)
    reply: Callable[[int], Reply] = lambda _number: NO_CONTENT
    hangs: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.calls.append(Call(self.path, {name.lower(): value for name, value in self.headers.items()}, content))
            number = len(receiver.calls) - 1
            while receiver.hangs.is_set():
                time.sleep(0.05)
            status, headers, body = receiver.reply(number)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    receiver.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield receiver
    finally:
        receiver.hangs.clear()
        server.shutdown()
        server.server_close()


def new_target(tenant: Tenant, url: str, kind: TargetKind = TargetKind.WEBHOOK, name: str = "") -> tuple[DeliveryTarget, str]:
    count = DeliveryTarget.objects.filter(tenant=tenant).count()
    return create_target(tenant.id, "user:root", NewTarget(name=name or f"target {count}", kind=kind, url=url))


def notice(message_id: str = "alert:1", title: str = "Password guessing", text: str = "5 entries.") -> Notice:
    return Notice(message_id, "alert.fired", title, text, "ERROR", NOW, {"count": 5})
