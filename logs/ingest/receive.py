"""A request to post entries, from its body to the answer that its commit allows."""

from __future__ import annotations

import abc
import datetime
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from django.conf import settings
from django.http import HttpRequest, QueryDict
from msgspec import Meta

from accounts.principals import Principal
from accounts.problems import Fault, NotAllowed, PayloadTooLarge, Refused
from logs.catalogue import catalogue_of
from logs.errors import CommitFailed, EntryTooLarge, IdempotencyConflict, InvalidEntries, InvalidQuery, NotJSON, WrongContentType
from logs.ingest.body import media_type, read_body, split_bulk
from logs.ingest.check import CheckedEntry, Checker, Reception, Wrong
from logs.ingest.plan import Status, conflict_fault
from logs.ingest.process import writer
from logs.ingest.writer import Submission
from logs.storage.columns import ENTRY_COLUMNS

MAX_FAULTS = 100
_KEY = list(ENTRY_COLUMNS).index("idempotency_key")
_TIMESTAMP = list(ENTRY_COLUMNS).index("timestamp")
_NOT_JSON_CODES = {"not_json", "not_utf8"}


class FaultOutput(msgspec.Struct):
    """One thing that is wrong, or that the catalogue warns of."""

    pointer: Annotated[str, Meta(description="JSON Pointer (RFC 6901) into the body.")]
    code: str
    detail: str


class EntryReceipt(msgspec.Struct, omit_defaults=True):
    """The answer to one posted entry: it is on disk."""

    id: str
    timestamp: str
    status: Annotated[Literal["stored", "replayed"], Meta(description="`replayed`: the same entry was stored before; nothing was added.")]
    warnings: Annotated[list[FaultOutput], Meta(description="What the tenant's action catalogue does not know, in mode `warn`.")] = []


class SuccessfulEntry(msgspec.Struct):
    """One entry of a bulk request that is on disk."""

    index: Annotated[int, Meta(description="Its place in the body, from 0.")]
    id: str
    status: Literal["stored", "replayed"]


class FailedEntry(msgspec.Struct):
    """One entry of a bulk request that was not stored."""

    index: int
    code: str
    detail: str
    pointer: str


class BulkReceipt(msgspec.Struct, omit_defaults=True):
    """The answer to a bulk request."""

    stored: int
    replayed: int
    successful: list[SuccessfulEntry]
    failed: Annotated[list[FailedEntry], Meta(description="Empty unless `partial=true`.")] = msgspec.field(default_factory=list)
    warnings: list[FaultOutput] = []


class Receipt(abc.ABC):
    """A request whose entries wait for their commit.

    `submission` is None if nothing is left to commit. `answer()` may be called once the submission is done.
    """

    def __init__(self, submission: Submission | None) -> None:
        self.submission = submission

    def wait(self, timeout_seconds: float) -> bool:
        """Block until the answer is known. False if that took too long."""
        return self.submission is None or self.submission.wait(timeout_seconds)

    def give_up(self) -> CommitFailed:
        """Wait no longer. Answers the problem that says what is known of the outcome."""
        if self.submission is None:
            return CommitFailed(is_outcome_known=True)
        return writer().cancel(self.submission)

    @abc.abstractmethod
    def answer(self) -> tuple[int, bytes, dict[str, str]]:
        """Status, JSON body and headers. Raises the Problem that the commit came to."""

    def _statuses(self) -> list[Status]:
        if self.submission is None:
            return []
        if self.submission.error is not None:
            raise self.submission.error
        return self.submission.statuses


def receive_single(request: HttpRequest, principal: Principal) -> Receipt:
    """Check the one entry of the request and queue it. Raises a Problem if anything is wrong with it."""
    flags = _flags(request.GET, "imported")
    kind = media_type(request)
    if kind != "application/json":
        raise WrongContentType(kind, "application/json")
    key = _idempotency_key(request)
    try:
        body = read_body(request, settings.AUDITLOG_MAX_ENTRY_BYTES)
    except PayloadTooLarge:
        raise EntryTooLarge(settings.AUDITLOG_MAX_ENTRY_BYTES) from None
    checker = Checker(_reception(principal, is_imported=flags["imported"]))
    try:
        entry = checker.check(body, idempotency_key=key)
    except Wrong as wrong:
        raise _problem_of([wrong.fault]) from None
    submission = Submission([entry])
    writer().submit(submission)
    return _SingleReceipt(submission, request.path)


def receive_bulk(request: HttpRequest, principal: Principal) -> Receipt:
    """Check the entries of the request and queue them. Raises a Problem if anything is wrong, unless `?partial=true`."""
    flags = _flags(request.GET, "partial", "imported")
    if "HTTP_IDEMPOTENCY_KEY" in request.META:
        raise Refused("Idempotency-Key serves one entry. In bulk each entry brings its own idempotency_key.")
    kind = media_type(request)
    raws = split_bulk(read_body(request, settings.AUDITLOG_MAX_BODY_BYTES), kind)
    checker = Checker(_reception(principal, is_imported=flags["imported"]))
    entries: list[CheckedEntry] = []
    places: list[int] = []
    faults: dict[int, Fault] = {}
    places_of_keys: dict[str, int] = {}
    for index, raw in enumerate(raws):
        pointer = f"/{index}"
        try:
            entry = checker.check(raw, pointer)
            key = entry.columns[_KEY]
            if key is not None and places_of_keys.setdefault(key, index) != index:
                detail = f"The entry at /{places_of_keys[key]} of this request has the same idempotency key."
                raise Wrong(Fault(pointer + "/idempotency_key", "duplicate_key", detail))
        except Wrong as wrong:
            faults[index] = wrong.fault
            if len(faults) >= MAX_FAULTS and not flags["partial"]:
                break
        else:
            entries.append(entry)
            places.append(index)
    if faults and not flags["partial"]:
        raise _problem_of(list(faults.values()))
    submission = Submission(entries, is_partial=flags["partial"]) if entries else None
    if submission is not None:
        writer().submit(submission)
    return _BulkReceipt(submission, places, faults)


class _SingleReceipt(Receipt):
    def __init__(self, submission: Submission, path: str) -> None:
        super().__init__(submission)
        self._entry = submission.entries[0]
        self._path = path

    def answer(self) -> tuple[int, bytes, dict[str, str]]:
        status = self._statuses()[0]
        if status is Status.CONFLICTING:
            raise IdempotencyConflict([conflict_fault("")])
        receipt = EntryReceipt(
            id=self._entry.id,
            timestamp=self._entry.columns[_TIMESTAMP] or "",
            status="stored" if status is Status.STORED else "replayed",
            warnings=_warnings([self._entry]),
        )
        headers = {"Location": f"{self._path}/{self._entry.id}"}
        if status is Status.REPLAYED:
            return 200, msgspec.json.encode(receipt), headers | {"Idempotency-Replayed": "true"}
        return 201, msgspec.json.encode(receipt), headers


class _BulkReceipt(Receipt):
    def __init__(self, submission: Submission | None, places: Sequence[int], faults: dict[int, Fault]) -> None:
        super().__init__(submission)
        self._places = places
        self._faults = faults

    def answer(self) -> tuple[int, bytes, dict[str, str]]:
        statuses = self._statuses()
        entries = self.submission.entries if self.submission else []
        faults = dict(self._faults)
        successful: list[SuccessfulEntry] = []
        stored = 0
        for entry, index, status in zip(entries, self._places, statuses, strict=True):
            if status is Status.CONFLICTING:
                faults[index] = conflict_fault(f"/{index}")
            else:
                stored += status is Status.STORED
                successful.append(SuccessfulEntry(index, entry.id, "stored" if status is Status.STORED else "replayed"))
        if self.submission is not None and self.submission.is_refused:
            raise IdempotencyConflict([faults[index] for index in sorted(faults)][:MAX_FAULTS])
        receipt = BulkReceipt(
            stored=stored,
            replayed=len(successful) - stored,
            successful=successful,
            failed=[FailedEntry(index, fault.code, fault.detail, fault.pointer) for index, fault in sorted(faults.items())],
            warnings=_warnings(entries),
        )
        body = msgspec.json.encode(receipt)
        if faults:
            return 207, body, {}
        return (201, body, {}) if stored else (200, body, {"Idempotency-Replayed": "true"})


def _warnings(entries: Sequence[CheckedEntry]) -> list[FaultOutput]:
    found = [FaultOutput(fault.pointer, fault.code, fault.detail) for entry in entries if entry.warnings for fault in entry.warnings]
    return found[:MAX_FAULTS]


def _reception(principal: Principal, *, is_imported: bool) -> Reception:
    return Reception(principal, datetime.datetime.now(datetime.UTC), catalogue_of(principal.tenant_id), is_imported)


def _problem_of(faults: Sequence[Fault]) -> Refused:
    """The problem that refused entries come to: the status is that of the faults if they agree, else 422."""
    codes = {fault.code for fault in faults}
    if codes <= _NOT_JSON_CODES:
        return NotJSON(faults[0].detail, faults=faults)
    if codes == {"entry_too_large"}:
        return EntryTooLarge(settings.AUDITLOG_MAX_ENTRY_BYTES, faults=faults)
    if codes == {"not_allowed"}:
        return NotAllowed(faults[0].detail, faults=faults)
    return InvalidEntries(faults)


def _flags(query: QueryDict, *names: str) -> dict[str, bool]:
    """Boolean parameters of the query string. Raises InvalidQuery for others and for other values."""
    found = dict.fromkeys(names, False)
    for name, values in query.lists():
        if name not in found:
            raise InvalidQuery([Fault(name, "unknown_parameter", f"There is no parameter {name!r} here. Known: {', '.join(names)}.")])
        if values[-1] not in ("true", "false"):
            raise InvalidQuery([Fault(name, "bad_value", f"{name} has to be true or false.")])
        found[name] = values[-1] == "true"
    return found


def _idempotency_key(request: HttpRequest) -> str | None:
    """The `Idempotency-Key` header: a quoted string (draft-ietf-httpapi-idempotency-key-header) or bare."""
    value: str | None = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if value is None:
        return None
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if not (0 < len(value) <= 255 and value.isascii() and value.isprintable()):
        fault = Fault("Idempotency-Key", "bad_idempotency_key", "Idempotency-Key has to have 1 to 255 printable ASCII characters.")
        raise Refused(fault.detail, faults=[fault])
    return value
