"""The one entry point of the embedded default: HTTP to Django's synchronous handler, WebSockets to Channels.

Behind a proxy the two can be split: plain WSGI servers (`auditlog_project.wsgi`) for HTTP, this one for the sockets.
"""

import gc
import multiprocessing
import os
import signal
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "auditlog_project.settings")
if multiprocessing.parent_process() is not None:
    # A worker of granian begins with its parent's handlers, which in the worker do nothing: asked to stop while it loads
    # what follows, it would not hear it, and be waited for until it is killed. It has accepted nothing yet; let it end.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

import django

django.setup()

from channels.routing import ProtocolTypeRouter
from django.conf import settings

from auditlog_project.http_bridge import HttpBridge
from auditlog_project.start import refuse_unsafe_settings
from logs.ingest import close_writer
from logs.streaming import EventStream, StreamConsumer
from logs.streaming.events import PATH, accepts_events
from logs.streaming.hanging_up import HangingUp

refuse_unsafe_settings()


async def lifespan(scope: Any, receive: Any, send: Any) -> None:
    """Start-up has nothing to do; shutdown lets the writer commit what it accepted."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            close_writer()
            await send({"type": "lifespan.shutdown.complete"})
            return


async def route_socket(scope: Any, receive: Any, send: Any) -> None:
    """The stream is the one path of WebSockets; others have their handshake refused (the client sees 403)."""
    if scope["path"] == PATH:
        await stream(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.close", "code": 4404})


async def route_http(scope: Any, receive: Any, send: Any) -> None:
    """Streams of events live in the event loop, all else in Django's handler."""
    await (events if accepts_events(scope) else bridge)(scope, receive, send)


bridge = HttpBridge(settings.AUDITLOG_HTTP_THREADS)
events = EventStream()
stream = HangingUp(StreamConsumer.as_asgi())

# What is loaded by now stays: collecting it again and again cost pauses of 100 ms under load (the tail of the answers'
# times), with the interpreter's thresholds meant for short scripts. Measured: p99 of single posts 220-390 -> 73-95 ms.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 50)

application = ProtocolTypeRouter(
    {
        "http": route_http,
        "websocket": route_socket,
        "lifespan": lifespan,
    }
)
