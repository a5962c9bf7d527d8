"""The live tail: entries as they get their positions, to whoever subscribed.

Promises: a subscriber gets every entry that its question finds, once, in the order of positions, or is told the gap and where to go on;
a slow one holds up no other. The database is the truth and the cursor a position: wake-ups only say when to look.

The way through the room: `reading` (positions to entries) -> `feed` (one for each tenant and process) -> `subscription` (one client's
question and bounded queue) -> `session` (one client's conversation) -> `socket` (WebSocket) or `events` (server-sent events).
"""

from logs.streaming.events import EventStream
from logs.streaming.socket import StreamConsumer

__all__ = ["EventStream", "StreamConsumer"]
