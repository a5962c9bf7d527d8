"""How the API answers: bytes made by msgspec, and answers that wait for a commit without holding a thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.problems import DeferredResponse, Problem
from logs.ingest import Receipt, Submission
from logs.integrity.proving import describe_sequenced
from logs.integrity.waiting import Wait, watch

logger = logging.getLogger(__name__)
# Longer than one look at the database takes.
POSITION_GRACE_SECONDS = 5.0
encode = msgspec.json.Encoder().encode


def json_response(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    """`value` (anything that msgspec encodes) as JSON."""
    return _response(status, encode(value), headers or {})


def answer_to(request: HttpRequest, receipt: Receipt) -> HttpResponse:
    """The answer to a request whose entries wait for their commit: deferred where the server can do that, else awaited."""
    if request.META.get("auditlog.defer") and receipt.submission is not None:
        return DeferredAnswer(receipt, receipt.submission)
    if not receipt.wait(settings.AUDITLOG_COMMIT_TIMEOUT_SECONDS):
        return _problem(receipt.give_up())
    if receipt.waits_for:
        is_done = threading.Event()
        _watch(receipt, is_done.set)
        is_done.wait()
    return _answer(receipt)


def _watch(receipt: Receipt, done: Callable[[], None]) -> None:
    """Have `done()` called once the receipt has its positions, or has waited long enough for them."""
    submission = receipt.submission
    ids = receipt.waits_for

    def finish(is_sequenced: bool) -> None:
        try:
            if is_sequenced:
                receipt.sequenced = describe_sequenced(receipt.tenant_id, ids)
        finally:
            # Whatever could not be said of positions: the entries are stored, and that is the answer.
            done()

    batch_id = submission.batch_id if submission else None
    watch(Wait(receipt.tenant_id, batch_id, time.monotonic() + receipt.wait_seconds, finish))


class DeferredAnswer(DeferredResponse):
    """The answer to posted entries, filled in when their commit is known."""

    def __init__(self, receipt: Receipt, submission: Submission) -> None:
        super().__init__(content_type="application/json")
        self._receipt = receipt
        self._submission = submission
        self.timeout_seconds = settings.AUDITLOG_COMMIT_TIMEOUT_SECONDS
        if receipt.wait_seconds:
            # A commit that takes so long is given up by then; positions are waited for by the receipt's own clock.
            self.timeout_seconds += receipt.wait_seconds + POSITION_GRACE_SECONDS

    def when_done(self, loop: asyncio.AbstractEventLoop, callback: Callable[[DeferredResponse], None]) -> None:
        receipt = self._receipt

        def tell_loop() -> None:
            # The server may have stopped meanwhile; then nobody waits for this answer any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(callback, self)

        def committed() -> None:
            if receipt.waits_for:
                _watch(receipt, tell_loop)
            else:
                callback(self)

        self._submission.call_when_done(loop, committed)

    def complete(self) -> None:
        self.become(_answer(self._receipt))
        self._forget()

    def time_out(self) -> None:
        # Committed, and only the look for positions hangs: then the answer is known.
        self.become(_answer(self._receipt) if self._submission.done else _problem(self._receipt.give_up()))
        self._forget()

    def _forget(self) -> None:
        # Views and requests refer to each other, so an answered request lives until the next garbage collection: without
        # this with all of its entries, which doubled the memory of a process under bulk load.
        del self._receipt, self._submission


def _answer(receipt: Receipt) -> HttpResponse:
    try:
        return _response(*receipt.answer())
    except Problem as problem:
        return _problem(problem)


def _problem(problem: Problem) -> HttpResponse:
    if problem.status >= 500:
        logger.warning("%s: %s", problem.code, problem.detail)
    return problem.response()


def _response(status: int, body: bytes, headers: dict[str, str]) -> HttpResponse:
    return HttpResponse(body, status=status, content_type="application/json", headers={"Content-Length": str(len(body))} | headers)
