"""A request to post entries, from its body to the answer that its commit allows."""

from __future__ import annotations

import abc
import datetime
import re
import uuid
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from django.conf import settings
from django.http import HttpRequest, QueryDict
from msgspec import Meta

from accounts.limits import count_more
from accounts.principals import Principal
from accounts.problems import Fault, NotAllowed, PayloadTooLarge, Refused
from logs.catalogue import catalogue_of
from logs.errors import CommitFailed, EntryTooLarge, IdempotencyConflict, InvalidEntries, InvalidQuery, NotJSON, WrongContentType
from logs.ingest.body import media_type, read_body, split_bulk
from logs.ingest.check import CheckedEntry, Checker, Reception, Wrong, utc_text
from logs.ingest.plan import Status, conflict_fault
from logs.ingest.process import writer
from logs.ingest.writer import Submission
from logs.integrity.proving import EntryProof, Sequenced, to_base64
from logs.privacy import protection_of
from logs.storage.columns import ENTRY_COLUMNS

MAX_FAULTS = 100
_KEY = list(ENTRY_COLUMNS).index("idempotency_key")
_TIMESTAMP = list(ENTRY_COLUMNS).index("timestamp")
MAX_WAIT_SECONDS = 30.0
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?=[,;]|$)", re.IGNORECASE)
_NOT_JSON_CODES = {"not_json", "not_utf8"}


class FaultOutput(msgspec.Struct):
    """One thing that is wrong, or that the catalogue warns of."""

    pointer: Annotated[str, Meta(description="JSON Pointer (RFC 6901) into the body.")]
    code: str
    detail: str


_Record = Annotated[str, Meta(description="SHA-256 of the entry's canonical bytes, in base64: what its tenant's log holds of it (docs/integrity.md).")]


class EntryReceipt(msgspec.Struct, omit_defaults=True):
    """The answer to one posted entry: it is on disk."""

    id: str
    timestamp: str
    received_at: str
    record_digest: _Record
    status: Annotated[Literal["stored", "replayed"], Meta(description="`replayed`: the same entry was stored before; nothing was added.")]
    warnings: Annotated[list[FaultOutput], Meta(description="What the tenant's action catalogue does not know, in mode `warn`.")] = []
    proof: Annotated[EntryProof, Meta(description="With `Prefer: wait=N`, if the entry got its position in that time.")] | None = None


class SuccessfulEntry(msgspec.Struct, omit_defaults=True):
    """One entry of a bulk request that is on disk."""

    index: Annotated[int, Meta(description="Its place in the body, from 0.")]
    id: str
    status: Literal["stored", "replayed"]
    record_digest: _Record
    received_at: Annotated[str, Meta(description="Of a replayed entry: when it came in first.")] | None = None
    position: Annotated[int, Meta(description="With `Prefer: wait=N`, if it got one in that time.")] | None = None


class FailedEntry(msgspec.Struct):
    """One entry of a bulk request that was not stored."""

    index: int
    code: str
    detail: str
    pointer: str


class BulkReceipt(msgspec.Struct, omit_defaults=True):
    """The answer to a bulk request."""

    received_at: str
    stored: int
    replayed: int
    successful: list[SuccessfulEntry]
    failed: Annotated[list[FailedEntry], Meta(description="Empty unless `partial=true`.")] = msgspec.field(default_factory=list)
    warnings: list[FaultOutput] = []
    checkpoint: Annotated[str, Meta(description="With `Prefer: wait=N`: a signed tree head over every position in this answer.")] | None = None


class Receipt(abc.ABC):
    """A request whose entries wait for their commit.

    `submission` is None if nothing is left to commit. `answer()` may be called once the submission is done. `wait_seconds`: how long
    the caller likes to wait for positions beyond that; what came of it goes into `sequenced`.
    """

    def __init__(self, submission: Submission | None, tenant_id: uuid.UUID, received_at: str, wait_seconds: float) -> None:
        self.submission = submission
        self.tenant_id = tenant_id
        self.received_at = received_at
        self.wait_seconds = wait_seconds
        self.sequenced: Sequenced | None = None

    @property
    def waits_for(self) -> list[str]:
        """The ids of the entries whose positions the caller waits for: none if nobody waits, or nothing was stored."""
        submission = self.submission
        if not self.wait_seconds or submission is None or not submission.done or submission.error is not None or submission.is_refused:
            return []
        return [entry.id for entry, status in zip(submission.entries, submission.statuses, strict=True) if status is not Status.CONFLICTING]

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

    @property
    def _applied(self) -> dict[str, str]:
        return {"Preference-Applied": f"wait={self.wait_seconds:g}"} if self.sequenced else {}

    def _stored(self, index: int) -> tuple[bytes, str]:
        """Record and time of receipt of what is stored of the submission's entry at `index`."""
        submission = self.submission
        if submission is None:
            raise LookupError("nothing was submitted")
        first = submission.firsts.get(index)
        return (submission.entries[index].record, self.received_at) if first is None else (first.record, first.received_at)

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
    reception = _reception(principal, is_imported=flags["imported"])
    checker = Checker(reception)
    try:
        entry = checker.check(body, idempotency_key=key)
    except Wrong as wrong:
        raise _problem_of([wrong.fault]) from None
    submission = Submission([entry])
    writer().submit(submission)
    return _SingleReceipt(submission, principal.tenant_id, utc_text(reception.received_at), preferred_wait(request), request.path)


def receive_bulk(request: HttpRequest, principal: Principal) -> Receipt:
    """Check the entries of the request and queue them. Raises a Problem if anything is wrong, unless `?partial=true`."""
    flags = _flags(request.GET, "partial", "imported")
    if "HTTP_IDEMPOTENCY_KEY" in request.META:
        raise Refused("Idempotency-Key serves one entry. In bulk each entry brings its own idempotency_key.")
    kind = media_type(request)
    raws = split_bulk(read_body(request, settings.AUDITLOG_MAX_BODY_BYTES), kind)
    # The first is counted as the request; what the others cost is known only now, and they are checked only if there is room for all.
    count_more(request, len(raws) - 1)
    reception = _reception(principal, is_imported=flags["imported"])
    reception.protection.prepare(raws)
    checker = Checker(reception)
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
    return _BulkReceipt(submission, principal.tenant_id, utc_text(reception.received_at), preferred_wait(request), places, faults)


class _SingleReceipt(Receipt):
    def __init__(self, submission: Submission, tenant_id: uuid.UUID, received_at: str, wait_seconds: float, path: str) -> None:
        super().__init__(submission, tenant_id, received_at, wait_seconds)
        self._entry = submission.entries[0]
        self._path = path

    def answer(self) -> tuple[int, bytes, dict[str, str]]:
        status = self._statuses()[0]
        if status is Status.CONFLICTING:
            raise IdempotencyConflict([conflict_fault("")])
        record, received_at = self._stored(0)
        receipt = EntryReceipt(
            id=self._entry.id,
            timestamp=self._entry.columns[_TIMESTAMP] or "",
            received_at=received_at,
            record_digest=to_base64(record),
            proof=self.sequenced.proof if self.sequenced else None,
            status="stored" if status is Status.STORED else "replayed",
            warnings=_warnings([self._entry]),
        )
        headers = {"Location": f"{self._path}/{self._entry.id}"} | self._applied
        if status is Status.REPLAYED:
            return 200, msgspec.json.encode(receipt), headers | {"Idempotency-Replayed": "true"}
        return 201, msgspec.json.encode(receipt), headers


class _BulkReceipt(Receipt):
    def __init__(
        self,
        submission: Submission | None,
        tenant_id: uuid.UUID,
        received_at: str,
        wait_seconds: float,
        places: Sequence[int],
        faults: dict[int, Fault],
    ) -> None:
        super().__init__(submission, tenant_id, received_at, wait_seconds)
        self._places = places
        self._faults = faults

    def answer(self) -> tuple[int, bytes, dict[str, str]]:
        statuses = self._statuses()
        entries = self.submission.entries if self.submission else []
        faults = dict(self._faults)
        successful: list[SuccessfulEntry] = []
        stored = 0
        sequenced = self.sequenced.places if self.sequenced else {}
        for place, (entry, index, status) in enumerate(zip(entries, self._places, statuses, strict=True)):
            if status is Status.CONFLICTING:
                faults[index] = conflict_fault(f"/{index}")
                continue
            stored += status is Status.STORED
            record, received_at = self._stored(place)
            found = sequenced.get(entry.id)
            successful.append(
                SuccessfulEntry(
                    index,
                    entry.id,
                    "stored" if status is Status.STORED else "replayed",
                    to_base64(record),
                    None if status is Status.STORED else received_at,
                    found.position if found else None,
                )
            )
        if self.submission is not None and self.submission.is_refused:
            raise IdempotencyConflict([faults[index] for index in sorted(faults)][:MAX_FAULTS])
        receipt = BulkReceipt(
            received_at=self.received_at,
            stored=stored,
            replayed=len(successful) - stored,
            successful=successful,
            failed=[FailedEntry(index, fault.code, fault.detail, fault.pointer) for index, fault in sorted(faults.items())],
            warnings=_warnings(entries),
            checkpoint=self.sequenced.checkpoint if self.sequenced else None,
        )
        body = msgspec.json.encode(receipt)
        if faults:
            return 207, body, self._applied
        return (201, body, self._applied) if stored else (200, body, self._applied | {"Idempotency-Replayed": "true"})


def _warnings(entries: Sequence[CheckedEntry]) -> list[FaultOutput]:
    found = [FaultOutput(fault.pointer, fault.code, fault.detail) for entry in entries if entry.warnings for fault in entry.warnings]
    return found[:MAX_FAULTS]


def _reception(principal: Principal, *, is_imported: bool) -> Reception:
    tenant_id = principal.tenant_id
    return Reception(principal, datetime.datetime.now(datetime.UTC), catalogue_of(tenant_id), protection_of(tenant_id), is_imported)


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


def preferred_wait(request: HttpRequest) -> float:
    """How many seconds the caller likes to wait for positions: `Prefer: wait=N` (RFC 7240 §4.3), at most MAX_WAIT_SECONDS; 0: not at all."""
    found = _WAIT.search(request.META.get("HTTP_PREFER", ""))
    return min(float(found[1]), MAX_WAIT_SECONDS) if found else 0.0
