"""Runs Django's synchronous request handler below an ASGI server, without a thread per waiting request.

Django under ASGI answers a no-op at a fifteenth of the speed it has under WSGI (docs/decisions/0003), so HTTP goes to the
synchronous handler on a few threads. A view whose answer waits for a group commit returns a `DeferredResponse`: its
thread goes on to the next request, and the commit wakes the event loop once for all the answers of a batch.

Invariants:
- A request is answered exactly once: by its view, by its commit, or by the timeout, whichever comes first.
- Bytes of bodies in memory are bounded by `MAX_BUFFERED_BYTES` for the whole process; beyond it the answer is 503.
- An answer in pieces is asked for its next piece only when the client has taken the last. A client that goes away, or takes none for
  AUDITLOG_EXPORT_STALL_SECONDS, ends it at once; what ends early is never sent the end of the body, so it can't pass for whole.
- On shutdown the server stops accepting and waits for the answers under way (`lifespan` closes the writer last).
"""

from __future__ import annotations

import asyncio
import io
import logging
import queue
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from accounts.problems import DeferredResponse, PayloadTooLarge, Problem, Refused, Unavailable

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

logger = logging.getLogger(__name__)
MAX_BUFFERED_BYTES = 64 * 2**20


class ClientGone(Exception):
    """The client closed the connection before its request had arrived whole."""


class HttpBridge:
    """An ASGI application for `http` scopes."""

    def __init__(self, threads: int) -> None:
        self._handler = WSGIHandler()
        self._jobs: queue.SimpleQueue[_Exchange] = queue.SimpleQueue()
        self._threads = threads
        self._started = False
        self._start_lock = threading.Lock()
        self._buffered_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._started:
            self._start()
        try:
            body = await self._read_body(scope, receive)
        except ClientGone:
            # A body whose framing is broken (chunks of no size) looks the same from here, and there the client waits for an answer.
            refusal = Refused("The body did not arrive whole.", headers={"Connection": "close"})
            await _send_whole(refusal.response(), send, head_only=False)
            return
        except Problem as problem:
            await _send_whole(problem.response(), send, head_only=False)
            return
        size = len(body)
        try:
            exchange = _Exchange(asyncio.get_running_loop(), _environ(scope, body))
            # From here on the environment alone holds the body, and lets it go once the view has read it.
            del body
            self._jobs.put(exchange)
            response = await exchange.answer
            await self._send(response, scope["method"] == "HEAD", receive, send)
        finally:
            self._buffered_bytes -= size

    def _start(self) -> None:
        with self._start_lock:
            if not self._started:
                for number in range(self._threads):
                    threading.Thread(target=self._work, name=f"http-{number}", daemon=True).start()
                self._started = True

    def _work(self) -> None:
        while True:
            self._jobs.get().run(self._handler)

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body. Raises PayloadTooLarge as soon as it is known to be over the limit."""
        limit = settings.AUDITLOG_MAX_BODY_BYTES
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > limit:
                raise PayloadTooLarge(limit)
        chunks: list[bytes] = []
        size = 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunk = message.get("body", b"")
                if chunk:
                    chunks.append(chunk)
                    size += len(chunk)
                    self._buffered_bytes += len(chunk)
                    if size > limit:
                        raise PayloadTooLarge(limit)
                    if self._buffered_bytes > MAX_BUFFERED_BYTES:
                        raise Unavailable("The server holds as many request bodies as it may. Try again shortly.", retry_after_seconds=1)
                if not message.get("more_body", False):
                    break
        except BaseException:
            self._buffered_bytes -= size
            raise
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _send(self, response: HttpResponseBase, head_only: bool, receive: Receive, send: Send) -> None:
        if isinstance(response, HttpResponse):
            await _send_whole(response, send, head_only=head_only)
            return
        # The server takes what is sent to a client that has gone, as fast as it comes, and says so here only.
        gone = asyncio.ensure_future(_wait_for_disconnect(receive))
        try:
            await send({"type": "http.response.start", "status": response.status_code, "headers": _headers(response)})
            if head_only or await _send_pieces(iter(response), gone, send):
                await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            await asyncio.get_running_loop().run_in_executor(None, response.close)


async def _send_pieces(pieces: Iterator[bytes], gone: asyncio.Future[None], send: Send) -> bool:
    """Send the body but for its end. False if it is not whole: then the connection has to end without one."""
    loop = asyncio.get_running_loop()
    while True:
        pull: asyncio.Future[bytes | None] = loop.run_in_executor(None, next, pieces, None)
        waited: set[asyncio.Future[Any]] = {pull, gone}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            # Whatever the pull comes to, closing the response ends it.
            pull.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            return False
        try:
            piece = pull.result()
        except Exception:
            logger.exception("an answer ended before its end")
            return False
        if piece is None:
            return True
        try:
            async with asyncio.timeout(settings.AUDITLOG_EXPORT_STALL_SECONDS):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except TimeoutError:
            logger.warning("a client took nothing for %g s and was cut off", settings.AUDITLOG_EXPORT_STALL_SECONDS)
            return False


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class _Exchange:
    """One request on its way through a thread, and the future that its answer goes to."""

    __slots__ = ("answer", "environ", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, environ: dict[str, Any]) -> None:
        self.loop = loop
        self.environ = environ
        self.answer: asyncio.Future[HttpResponseBase] = loop.create_future()

    def run(self, handler: WSGIHandler) -> None:
        try:
            response = _respond(handler, self.environ)
        except Exception:
            logger.exception("request handler failed")
            response = Problem.internal().response()
        if isinstance(response, DeferredResponse):
            response.when_done(self.loop, self._finish_deferred)
            self.loop.call_soon_threadsafe(self._arm_timeout, response)
        else:
            self.loop.call_soon_threadsafe(self._finish, response)

    def _arm_timeout(self, response: DeferredResponse) -> None:
        if not self.answer.done():
            self.loop.call_later(response.timeout_seconds, self._time_out, response)

    def _time_out(self, response: DeferredResponse) -> None:
        if not self.answer.done():
            response.time_out()
            self._finish(response)

    def _finish_deferred(self, response: DeferredResponse) -> None:
        if not self.answer.done():
            response.complete()
            self._finish(response)

    def _finish(self, response: HttpResponseBase) -> None:
        if not self.answer.done():
            self.answer.set_result(response)


def _respond(handler: WSGIHandler, environ: dict[str, Any]) -> HttpResponseBase:
    """What `WSGIHandler.__call__` does, but for handing the response over as an object."""
    set_script_prefix("/")
    # No `request_started`: its receivers do once more what `request_finished` did after this thread's last request.
    response = handler.get_response(WSGIRequest(environ))
    # The request lives until the next garbage collection (view and request refer to each other); its body need not.
    environ["wsgi.input"].close()
    if not response.streaming:
        # Sends request_finished, which gives this thread's database connection back to the pool.
        response.close()
    return response


def _environ(scope: Scope, body: bytes) -> dict[str, Any]:
    """The WSGI environment (PEP 3333) of an ASGI HTTP scope."""
    server = scope.get("server") or ("localhost", 80)
    client = scope.get("client") or ("", 0)
    raw_path = scope.get("raw_path")
    path = unquote_to_bytes(raw_path.split(b"?", 1)[0]) if raw_path else scope["path"].encode()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": path.decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": "HTTP/" + scope.get("http_version", "1.1"),
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(body)),
        "auditlog.defer": True,
    }
    for name, value in scope["headers"]:
        key = name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        if key == "CONTENT_TYPE":
            environ["CONTENT_TYPE"] = text
        elif key != "CONTENT_LENGTH" and b"_" not in name:
            # A name with an underscore would pass for the one with a hyphen: header spoofing. Dropped, as nginx does.
            key = "HTTP_" + key
            environ[key] = f"{environ[key]},{text}" if key in environ and key != "HTTP_COOKIE" else (
                f"{environ[key]}; {text}" if key in environ else text
            )  # fmt: skip
    return environ


def _headers(response: HttpResponseBase) -> list[tuple[bytes, bytes]]:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
    headers += [(b"set-cookie", cookie.OutputString().encode("latin-1")) for cookie in response.cookies.values()]
    return headers


async def _send_whole(response: HttpResponse, send: Send, *, head_only: bool) -> None:
    await send({"type": "http.response.start", "status": response.status_code, "headers": _headers(response)})
    await send({"type": "http.response.body", "body": b"" if head_only else response.content})
