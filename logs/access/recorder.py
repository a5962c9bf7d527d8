"""From records of deeds to entries, committed by this process's writer in the group of the moment."""

from __future__ import annotations

import asyncio
import datetime
import logging
import uuid
from collections.abc import Callable, Sequence

import msgspec
from django.conf import settings

from accounts.extensions import Record
from accounts.principals import Principal
from accounts.problems import NotRecorded, Unavailable
from logs.catalogue import TenantCatalogue, catalogue_of
from logs.ingest import Submission
from logs.ingest.check import CheckedEntry, Checker, Reception, Wrong
from logs.ingest.process import writer
from logs.models import CatalogueMode
from logs.privacy import protection_of
from logs.storage.columns import normal_address
from logs.storage.kinds import OWN_SOURCE

logger = logging.getLogger(__name__)
# Whatever the tenant's catalogue says of actions: these are the log's own.
_NO_CATALOGUE = TenantCatalogue(b"", CatalogueMode.OFF)
MAX_VALUE_BYTES = 16 * 1024
_MAX_LENGTHS = {"user_id": 256, "resource_id": 512, "request_id": 256, "user_agent": 2048}


class LogRecorder:
    """`accounts.extensions.Recorder`."""

    def prepare(self, tenant_ids: Sequence[uuid.UUID]) -> None:
        for tenant_id in tenant_ids:
            protection_of(tenant_id)

    def submit(self, records: Sequence[Record]) -> SubmittedRecords:
        received_at = datetime.datetime.now(datetime.UTC)
        try:
            submission = Submission([_checked(record, received_at) for record in records])
            writer().submit(submission)
        except Wrong as wrong:
            # Not the caller's doing: a record that we made is no entry.
            logger.error("a record can't be an entry: %s %s", wrong.fault.pointer, wrong.fault.code)
            raise NotRecorded from wrong
        except Unavailable as problem:
            raise NotRecorded from problem
        return SubmittedRecords(submission)


class SubmittedRecords:
    """`accounts.extensions.Recording`."""

    def __init__(self, submission: Submission) -> None:
        self._submission = submission

    def wait(self) -> NotRecorded | None:
        return self.problem if self._submission.wait(settings.AUDITLOG_COMMIT_TIMEOUT_SECONDS) else self.give_up()

    def call_when_done(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._submission.call_when_done(loop, callback)

    @property
    def problem(self) -> NotRecorded | None:
        submission = self._submission
        # Refused is a record whose key has other content in the log (its masking has changed meanwhile): it is there, but what came with it is not.
        is_lost = submission.is_refused and len(submission.entries) > 1
        return NotRecorded() if submission.error is not None or not submission.done or is_lost else None

    def give_up(self) -> NotRecorded:
        writer().cancel(self._submission)
        return NotRecorded()


def _checked(record: Record, received_at: datetime.datetime) -> CheckedEntry:
    """The entry of one record. Raises Wrong."""
    entry: dict[str, object] = {
        "user_id": record.user_id,
        "action": record.deed.action,
        "resource_type": record.deed.resource_type,
        "outcome": record.outcome,
        "severity": record.severity or ("INFO" if record.outcome == "success" else "WARNING"),
        "resource_id": record.resource_id,
        "request_id": record.request_id,
        "user_agent": record.user_agent,
        "ip_address": normal_address(record.ip_address) if record.ip_address else None,
        "metadata": {str(name): _fitting(_clean(value)) for name, value in record.metadata.items()},
    }
    for name, length in _MAX_LENGTHS.items():
        text = entry[name]
        # What has no text is absent.
        entry[name] = _clean_text(text)[:length] if isinstance(text, str) and text else None
    catalogue = _NO_CATALOGUE
    if record.idempotency_key is not None:
        # The id follows from the tenant's secret and the key, as every keyed entry's.
        catalogue = TenantCatalogue(catalogue_of(record.tenant_id).id_secret, CatalogueMode.OFF)
        entry |= {"idempotency_key": record.idempotency_key, "timestamp": record.at}
    principal = Principal(record.tenant_id, "", OWN_SOURCE, frozenset())
    checker = Checker(Reception(principal, received_at, catalogue, protection_of(record.tenant_id)))
    # Through JSON as every entry goes: it costs 5 µs, and what is no entry is found out.
    return checker.check(msgspec.json.encode(entry, enc_hook=str))


def _fitting(value: object) -> object:
    """The value, if it is not so large that a few of its kind are too much for an entry."""
    if isinstance(value, dict | list) or (isinstance(value, str) and len(value) > MAX_VALUE_BYTES // 4):
        size = len(msgspec.json.encode(value, enc_hook=str))
        return value if size <= MAX_VALUE_BYTES else f"[left out: {size} bytes]"
    return value


def _clean(value: object) -> object:
    """The value without what an entry can't hold: NUL characters and lone surrogates."""
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value


def _clean_text(text: str) -> str:
    if "\x00" in text or not text.isascii():
        return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    return text


recorder = LogRecorder()
