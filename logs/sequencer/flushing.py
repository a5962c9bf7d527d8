"""Keeps the index of words quick: what was inserted lately is moved from its pending list into the index, in the background.

PostgreSQL looks through the whole pending list at every search, and would empty it in the insert that finds it full, whose caller then
waits for it. Here it is emptied after each second in which the log has grown, in a thread of its own. Nothing depends on that but speed.
"""

from __future__ import annotations

import logging
import threading

import psycopg

from logs.storage import connecting

logger = logging.getLogger(__name__)
PAUSE_SECONDS = 1.0
PAUSE_AFTER_ERROR_SECONDS = 10.0
FLUSH = "SELECT auditlog.flush_words()"


class Flusher:
    """The thread. `start` it once, `wake` it when the log has grown; `stop` lets it end what it does."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="words-flusher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There may be something to move. Returns at once."""
        self._wake.set()

    def stop(self, timeout_seconds: float = 15) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with connecting.connect("sequencer") as connection:
                    while not self._stop.is_set():
                        self._wake.wait()
                        self._wake.clear()
                        connection.execute(FLUSH)
                        self._stop.wait(PAUSE_SECONDS)
            except psycopg.Error as error:
                logger.warning("the index of words was not flushed: %s", error)
                self._stop.wait(PAUSE_AFTER_ERROR_SECONDS)
