"""The end of an export that is sent at once, as an entry: how many entries were given, and whether it was all of them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

from django.db import close_old_connections
from django.http import HttpRequest

from accounts import extensions
from accounts.deeds import Actor
from accounts.principals import Principal
from accounts.problems import NotRecorded
from accounts.recording import query_of, whence
from logs.export.running import EXPORT

logger = logging.getLogger(__name__)


class RecordedPieces:
    """The pieces of an export. Has to be closed.

    `entries` tells how many entries the pieces read so far hold. The last piece is followed by the entry about it all: if that can't be
    written, NotRecorded is raised in the place of the end, so that the client never has a whole export which is not recorded. Of one that
    is cut it is written as well as can be.
    """

    def __init__(self, request: HttpRequest, principal: Principal, format: str, pieces: Any, entries: Callable[[], int]) -> None:
        self._actor = Actor.of(principal)
        self._told = {"format": format, "path": request.path_info, "query": query_of(request)}
        self._whence = whence(request)
        self._pieces = pieces
        self._entries = entries
        self._is_begun = False
        self._is_recorded = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._is_begun = True
        try:
            piece: bytes = next(self._pieces)
        except StopIteration:
            if not self._is_recorded:
                self._record(is_whole=True)
            raise
        return piece

    def close(self) -> None:
        # A generator that is being read at this moment ends with that read.
        with contextlib.suppress(ValueError):
            self._pieces.close()
        if self._is_begun and not self._is_recorded:
            try:
                self._record(is_whole=False)
            except NotRecorded:
                logger.warning("the end of a cut export (request %s, %d entries) is not recorded", self._whence["request_id"], self._entries())

    def _record(self, *, is_whole: bool) -> None:
        told = self._told | {"phase": "ended", "is_whole": is_whole, "results": self._entries()}
        try:
            extensions.record(self._actor.tenant_id, EXPORT, actor=self._actor, outcome="success" if is_whole else "failure", metadata=told, **self._whence)
            self._is_recorded = True
        finally:
            # Pieces are read by whatever thread is free; none keeps a connection for it.
            close_old_connections()
