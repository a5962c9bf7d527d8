"""Errors of the log. The base and how they look on the wire are `accounts.problems`.

Refused
├── NotJSON                400  the body is not JSON, or not UTF-8
├── WrongContentType       415
├── EntryTooLarge          413
├── InvalidEntries         422  one or more entries are wrong; nothing was stored
├── IdempotencyConflict    422  the key was used for other content
├── NotSequenced           409  the entry has no position yet; it will have one in a moment
├── Held                   409  a legal hold keeps what was to be erased
├── InvalidQuery           422  a filter, limit or cursor is wrong
├── ExportRightsLost       403  the asker of an export job may no longer read what it would hold; told by the job, not by an answer
├── RangeNotSatisfiable    416  the file of an export is shorter than the range asked for
└── TooExpensive           422  the question can't be answered in the time that it may take
Unavailable
├── ArchiveUnavailable     503  a segment of the archive can't be read; nothing was answered in part
├── ExportsBusy            503  as many exports are under way as this process carries on
├── WriterOverloaded       503  the queue is full; nothing was stored
└── CommitFailed           503  `outcome` says whether the entries may have been stored
IntegrityViolation         what is stored is not what was committed; never retried
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from accounts.problems import Fault, Invalid, NotAllowed, PayloadTooLarge, Refused, Unavailable, UnsupportedMediaType


class NotJSON(Refused):
    status = 400
    code = "not_json"
    title = "The body is not JSON"


class WrongContentType(UnsupportedMediaType):
    def __init__(self, found: str, right: str) -> None:
        super().__init__(f"The content type {found or '(none)'!r} is not understood here. Send {right}.")


class EntryTooLarge(PayloadTooLarge):
    code = "entry_too_large"
    title = "The entry is too large"

    def __init__(self, limit_bytes: int, faults: Sequence[Fault] = ()) -> None:
        super().__init__(limit_bytes)
        self.detail = f"The entry is over the limit of {limit_bytes} bytes. It was not stored, not even in part."
        self.faults = tuple(faults) or (Fault("", "entry_too_large", self.detail),)


class InvalidEntries(Invalid):
    code = "invalid_entry"
    title = "The entry is not right"

    def __init__(self, faults: Sequence[Fault]) -> None:
        detail = faults[0].detail if len(faults) == 1 else f"{len(faults)} things are wrong. Nothing was stored."
        super().__init__(faults, detail)


class IdempotencyConflict(Invalid):
    code = "idempotency_conflict"
    title = "The idempotency key was used for other content"


class NotSequenced(Refused):
    status = 409
    code = "not_sequenced"
    title = "The entry has no position in the log yet"

    def __init__(self, id: str) -> None:
        super().__init__(f"The entry {id} is stored and has no position in the log yet. Ask again in a moment.", headers={"Retry-After": "1"})


class Held(Refused):
    """`erasure_id`: the refused erasure, which is on record."""

    status = 409
    code = "held"
    title = "A legal hold forbids it"

    def __init__(self, reason: str, erasure_id: str) -> None:
        super().__init__(f"{reason} Nothing was erased.", erasure=erasure_id)


class InvalidQuery(Invalid):
    code = "invalid_query"
    title = "The question is not right"


class ExportRightsLost(NotAllowed):
    """Not an answer: the reason for which an export job failed."""

    code = "rights_lost"
    title = "Whoever asked may no longer read this"

    def __init__(self) -> None:
        super().__init__("Whoever asked for the export may no longer read these entries, or not the same ones.")


class RangeNotSatisfiable(Refused):
    status = 416
    code = "range_not_satisfiable"
    title = "The file has no such range"

    def __init__(self, file_bytes: int) -> None:
        super().__init__(f"The file has {file_bytes} bytes.", headers={"Content-Range": f"bytes */{file_bytes}"})


class ArchiveUnavailable(Unavailable):
    """A segment can't be read: its storage is away, or it is missing, or its bytes are not those that were archived. `segment`: which one."""

    code = "archive_unavailable"
    title = "The archive can't be read"

    def __init__(self, segment: str) -> None:
        detail = (
            f"The segment {segment} of the archive can't be read, so entries would be missing from the answer. Try again shortly, or leave archived "
            "entries out with `archived=exclude`."
        )
        super().__init__(detail, retry_after_seconds=30, segment=segment)


class ExportsBusy(Unavailable):
    code = "exports_busy"
    title = "As many exports are under way as the server carries on"

    def __init__(self, retry_after_seconds: int) -> None:
        detail = "The server carries on as many exports as it may. Try again shortly, or make an export job: POST /api/v1/exports."
        super().__init__(detail, retry_after_seconds=retry_after_seconds)


class TooExpensive(Refused):
    """The question is right, and answering it takes longer than it may. `searched_to`: how far back a search came, if it came anywhere."""

    status = 422
    code = "too_expensive"
    title = "The question takes too long to answer"

    def __init__(
        self,
        advice: str = "Narrow the time (`from`, `to`), or add a condition that few entries meet: a user, an action, a resource, a word. Or have an export job "
        "look for it, for as long as it takes: POST /api/v1/exports.",
        *,
        searched_to: datetime.datetime | None = None,
    ) -> None:
        if searched_to is None:
            super().__init__(f"The answer was not found in the time that it may take. {advice}")
        else:
            moment = searched_to.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            super().__init__(f"The answer was not found in the time that it may take; everything after {moment} was searched. {advice}", searched_to=moment)


class WriterOverloaded(Unavailable):
    code = "overloaded"
    title = "More entries arrive than can be stored"

    def __init__(self) -> None:
        super().__init__("The queue of entries is full. Nothing of this request was stored.", retry_after_seconds=1, outcome="not_stored")


class CommitFailed(Unavailable):
    """The commit did not succeed, or nobody knows. `outcome`: `not_stored`, or `unknown` (retry with an idempotency key)."""

    code = "commit_failed"
    title = "The entries could not be stored"

    def __init__(self, *, is_outcome_known: bool) -> None:
        if is_outcome_known:
            detail, outcome = "The database does not answer. Nothing of this request was stored.", "not_stored"
        else:
            detail = "The database did not confirm the commit in time. The entries may have been stored: retry with idempotency keys."
            outcome = "unknown"
        super().__init__(detail, outcome=outcome)


class IntegrityViolation(Exception):
    """What is stored contradicts itself. The message names the tenant, the entry and what differs."""
