"""The one writer of this process, made when it is first needed."""

from __future__ import annotations

import os
import threading

from logs.ingest.writer import Writer

CLOSE_TIMEOUT_SECONDS = 30

_lock = threading.Lock()
_writer: Writer | None = None
_writer_pid = 0


def writer() -> Writer:
    """This process's writer. After a fork the child makes its own: threads do not survive one."""
    global _writer, _writer_pid
    if _writer is None or _writer_pid != os.getpid():
        with _lock:
            if _writer is None or _writer_pid != os.getpid():
                _writer, _writer_pid = Writer(), os.getpid()
    return _writer


def writer_is_alive() -> bool:
    return writer().is_alive


def close_writer() -> None:
    """Commit what is queued and end the writer; a later `writer()` makes a new one."""
    global _writer
    with _lock:
        if _writer is not None and _writer_pid == os.getpid():
            _writer.close(CLOSE_TIMEOUT_SECONDS)
            _writer = None
