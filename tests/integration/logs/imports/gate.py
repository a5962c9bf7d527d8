"""A gateway before the web server, as many installations have one: it forwards, and breaks down when a test says so."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import httpx

Deed = Literal["forward", "refuse", "away", "lose the answer", "hang"]


class Gate:
    """Forwards to `url`. `deeds` says what to do with the next requests, one each; those after them are forwarded."""

    def __init__(self, url: str) -> None:
        self.deeds: list[Deed] = []
        self.seen = 0
        self.hangs = threading.Event()
        self.may_end = threading.Event()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                gate.seen += 1
                deed = gate.deeds.pop(0) if gate.deeds else "forward"
                if deed == "hang":
                    gate.hangs.set()
                    gate.may_end.wait(60)
                elif deed == "refuse":
                    self._answer(403, {"code": "not_allowed", "detail": "The gateway says no."})
                elif deed == "away":
                    self._answer(503, {"code": "unavailable", "detail": "Restarting."}, {"Retry-After": "0"})
                else:
                    passed = {name: self.headers[name] for name in ("Authorization", "Content-Type", "Content-Encoding")}
                    found = httpx.post(url + self.path, content=body, headers=passed, timeout=60)
                    if deed == "forward":
                        self._answer(found.status_code, found.json())
                self.close_connection = True

            def _answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
                encoded = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Content-Length": str(len(encoded)), **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(encoded)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def open(self) -> Iterator[Gate]:
        self._thread.start()
        try:
            yield self
        finally:
            self.may_end.set()
            self._server.shutdown()
            self._server.server_close()
