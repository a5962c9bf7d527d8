"""Ingest: from a request's bytes to committed entries.

Promises: an entry is stored wholly as sent or refused with the place and the reason; success is answered after COMMIT
only; memory and waiting are bounded. Others may use what is named here; the way through the room is
`body` (bytes to raw entries) -> `check` (raw to checked) -> `writer` (checked to committed), tied together in `receive`.
The types of `entry_input` serve the documentation too.
"""

from logs.ingest.process import close_writer, writer_is_alive
from logs.ingest.receive import Receipt, receive_bulk, receive_single
from logs.ingest.writer import Submission

__all__ = ["Receipt", "Submission", "close_writer", "receive_bulk", "receive_single", "writer_is_alive"]
