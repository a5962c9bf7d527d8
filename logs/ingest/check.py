"""From one entry's bytes to a checked entry: everything that can be wrong with it is found here.

What comes out can be written as it is; the writer looks at nothing but its id, key and size.
"""

from __future__ import annotations

import datetime
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from django.conf import settings

from accounts.principals import Principal
from accounts.problems import Fault
from auditlog_verify.canonical import VERSION, CanonicalEntry, CanonicalError, NumberOutOfRange, canonical_entry, decode_json, encode_json
from logs.catalogue import TenantCatalogue
from logs.ingest import faults
from logs.ingest.entry_input import EntryInput
from logs.privacy import Content, Protection
from logs.privacy.encryption import tokens
from logs.storage import ids
from logs.storage.columns import Columns, array_literal, normal_address

MAX_DEPTH = 32
SEVERITY_NUMBERS: Mapping[str, str] = {"INFO": "1", "WARNING": "2", "ERROR": "3", "CRITICAL": "4"}
OUTCOME_NUMBERS: Mapping[str, str] = {"unknown": "0", "success": "1", "failure": "2"}

_decode_entry = msgspec.json.Decoder(EntryInput).decode


class Wrong(Exception):
    """The entry is refused, for this fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Reception:
    """What all entries of one request have in common."""

    principal: Principal
    received_at: datetime.datetime
    catalogue: TenantCatalogue
    protection: Protection
    is_imported: bool = False

    @property
    def tenant_id(self) -> uuid.UUID:
        return self.principal.tenant_id


class CheckedEntry:
    """An entry that can be stored.

    `columns` are texts in the order of `storage.columns.ENTRY_COLUMNS`; `record` is its 32 bytes in the log;
    `size_bytes` what it takes in memory, roughly; `day` its day since 1970; `warnings` what the catalogue says of it.
    """

    __slots__ = ("columns", "day", "id", "is_keyed", "record", "size_bytes", "tenant_id", "warnings")

    def __init__(
        self, id: str, tenant_id: str, columns: Columns, record: bytes, size_bytes: int, day: int, is_keyed: bool, warnings: tuple[Fault, ...]
    ) -> None:
        self.id = id
        self.tenant_id = tenant_id
        self.columns = columns
        self.record = record
        self.size_bytes = size_bytes
        self.day = day
        self.is_keyed = is_keyed
        self.warnings = warnings


class Checker:
    """Checks the entries of one request."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        principal = reception.principal
        self._tenant_id = str(principal.tenant_id)
        self._source = principal.source
        self._own_user_id = principal.own_user_id
        self._received_us = ids.microseconds(reception.received_at)
        self._received_text = utc_text(reception.received_at)
        self._latest_us = self._received_us + int(settings.AUDITLOG_MAX_FUTURE_SECONDS * 1_000_000)
        oldest = settings.AUDITLOG_OLDEST_DATE
        self._oldest_us = ids.microseconds(datetime.datetime(oldest.year, oldest.month, oldest.day, tzinfo=datetime.UTC))
        self._catalogue = reception.catalogue if reception.catalogue.is_checked else None
        self._id_secret = reception.catalogue.id_secret
        self._protection = reception.protection
        self._is_imported = reception.is_imported
        self._random = ids.RandomBits()
        # Read once: Django's settings object costs a look-up through two dictionaries each time.
        self._max_bytes: int = settings.AUDITLOG_MAX_ENTRY_BYTES

    def check(self, raw: bytes, pointer: str = "", *, idempotency_key: str | None = None) -> CheckedEntry:
        """The checked form of the entry in `raw`. `pointer` is its place in the body. Raises Wrong."""
        if len(raw) > self._max_bytes:
            raise Wrong(Fault(pointer, "entry_too_large", f"The entry has {len(raw)} bytes, over the limit of {self._max_bytes}."))
        try:
            given = _decode_entry(raw)
        except msgspec.ValidationError as error:
            raise Wrong(faults.fault_of(error, pointer)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Wrong(faults.fault_of_bad_json(raw, error, pointer)) from None
        has_escaped_nul = b"\\u0000" in raw
        if has_escaped_nul:
            self._refuse_nul(given, pointer)

        if self._own_user_id is not None and given.user_id != self._own_user_id:
            raise Wrong(Fault(pointer + "/user_id", "not_allowed", f"You may post entries about yourself only (user_id {self._own_user_id!r})."))
        key = given.idempotency_key
        if idempotency_key is not None:
            if key is not None and key != idempotency_key:
                raise Wrong(Fault(pointer + "/idempotency_key", "two_keys", "The header Idempotency-Key and the entry's idempotency_key differ."))
            key = idempotency_key
        timestamp_us, timestamp_text = self._timestamp(given, key, pointer)
        ip_address = given.ip_address
        if ip_address is not None:
            normal = normal_address(ip_address)
            if normal is None:
                raise Wrong(Fault(pointer + "/ip_address", "bad_ip_address", f"{ip_address!r} is no IPv4 or IPv6 address."))
            ip_address = normal

        metadata, metadata_text = self._json(given.metadata, pointer, "metadata", has_escaped_nul)
        before, before_text = self._json(given.before, pointer, "before", has_escaped_nul)
        after, after_text = self._json(given.after, pointer, "after", has_escaped_nul)

        severity: str = given.severity or "INFO"
        warnings: tuple[Fault, ...] = ()
        if self._catalogue is not None:
            found = self._catalogue.look_up(given.action, metadata_text, pointer)
            if found.faults and self._catalogue.is_enforced:
                raise Wrong(found.faults[0])
            warnings = found.faults
            severity = given.severity or found.default_severity or "INFO"
        outcome: str = given.outcome or "unknown"

        random_62 = self._random.next_62() if key is None else ids.keyed_62(self._id_secret, key)
        id = ids.entry_id(timestamp_us, random_62)
        content = Content(
            given.user_id, given.message, given.user_agent, metadata, metadata_text, before, before_text, after, after_text, resource_type=given.resource_type
        )  # fmt: skip
        self._refuse_reserved(content, pointer)
        sealer = self._protection.sealer(id, content)
        content = self._protection.masked(content, sealer)
        changed = None
        if before is not None and after is not None and content.before is not None and content.after is not None:
            # Of what was sent: a password that was changed reads redacted before and after. Only by names that are stored anyway.
            kept = content.before.keys() | content.after.keys()
            changed = [name for name in changed_fields(before, after) if name in kept]
        # From here on there is only what may be stored.
        content = self._protection.sealed(content, sealer)
        metadata_text, before_text, after_text = content.metadata_text, content.before_text, content.after_text
        canonical = canonical_entry(
            CanonicalEntry(
                action=given.action,
                id=id,
                outcome=outcome,
                received_at=self._received_text,
                resource_type=given.resource_type,
                severity=severity,
                source=self._source,
                tenant=self._tenant_id,
                timestamp=timestamp_text,
                user_id=content.user_id,
                v=VERSION,
                after=None if after_text is None else msgspec.Raw(after_text),
                before=None if before_text is None else msgspec.Raw(before_text),
                changed_fields=changed,
                idempotency_key=key,
                ip_address=ip_address,
                is_imported=self._is_imported,
                masked=content.masked,
                message=content.message,
                metadata=None if metadata_text is None else msgspec.Raw(metadata_text),
                request_id=given.request_id,
                resource_id=given.resource_id,
                session_id=given.session_id,
                user_agent=content.user_agent,
            )
        )
        columns = (
            id,
            self._tenant_id,
            timestamp_text,
            self._received_text,
            SEVERITY_NUMBERS[severity],
            OUTCOME_NUMBERS[outcome],
            "t" if self._is_imported else "f",
            ip_address,
            content.user_id,
            given.action,
            given.resource_type,
            given.resource_id,
            given.session_id,
            given.request_id,
            content.user_agent,
            self._source,
            content.message,
            key,
            None if changed is None else array_literal(changed),
            None if content.masked is None else array_literal(content.masked),
            None if metadata_text is None else metadata_text.decode(),
            None if before_text is None else before_text.decode(),
            None if after_text is None else after_text.decode(),
        )
        record = hashlib.sha256(canonical).digest()
        return CheckedEntry(id, self._tenant_id, columns, record, len(canonical) + 500, timestamp_us // ids.DAY_US, key is not None, warnings)

    def _timestamp(self, given: EntryInput, key: str | None, pointer: str) -> tuple[int, str]:
        if given.timestamp is None:
            if key is not None:
                raise Wrong(
                    Fault(pointer + "/timestamp", "key_needs_timestamp", "An entry with an idempotency key needs a timestamp of its own, sent again with it.")
                )
            return self._received_us, self._received_text
        try:
            moment = given.timestamp.astimezone(datetime.UTC)
        except OverflowError:
            # The first and last hours of the calendar, whose UTC lies outside of it.
            raise Wrong(Fault(pointer + "/timestamp", "timestamp_too_old", "The timestamp is outside of the calendar.")) from None
        timestamp_us = ids.microseconds(moment)
        if timestamp_us > self._latest_us:
            ahead = settings.AUDITLOG_MAX_FUTURE_SECONDS
            raise Wrong(
                Fault(pointer + "/timestamp", "timestamp_in_future", f"The timestamp is more than {ahead:g} s ahead of the server ({self._received_text}).")
            )
        if timestamp_us < self._oldest_us:
            raise Wrong(Fault(pointer + "/timestamp", "timestamp_too_old", f"The timestamp is before {settings.AUDITLOG_OLDEST_DATE}."))
        return timestamp_us, utc_text(moment)

    def _json(self, given: msgspec.Raw | msgspec.UnsetType, pointer: str, field: str, has_escaped_nul: bool) -> tuple[Any, bytes | None]:
        """Value and canonical text of one JSON object of the entry."""
        if given is msgspec.UNSET:
            return None, None
        raw = bytes(given)
        if raw == b"null":
            return None, None
        place = f"{pointer}/{field}"
        if raw[:1] != b"{":
            raise Wrong(Fault(place, "wrong_type", f"{field} has to be a JSON object."))
        try:
            value = decode_json(raw)
        except NumberOutOfRange as error:
            raise Wrong(Fault(place, "number_out_of_range", str(error))) from None
        except CanonicalError as error:
            raise Wrong(faults.fault_of_bad_json(raw, error.__cause__ if isinstance(error.__cause__, Exception) else error, place)) from None
        # Brackets within strings count too, so this only says when to look closer. The entry itself is the first level.
        if raw.count(b"{") + raw.count(b"[") >= MAX_DEPTH and faults.depth_of(value) >= MAX_DEPTH:
            raise Wrong(faults.too_deep(place))
        if has_escaped_nul:
            found = faults.find_text(value, faults.has_nul)
            if found is not None:
                raise Wrong(_nul_fault(place + found))
        return value, encode_json(value)

    @staticmethod
    def _refuse_reserved(content: Content, pointer: str) -> None:
        """Raise Wrong if something looks like what this server has encrypted."""
        for field, value, text in (
            ("metadata", content.metadata, content.metadata_text),
            ("before", content.before, content.before_text),
            ("after", content.after, content.after_text),
        ):
            found = tokens.reserved_key_in(value, text)
            if found is not None:
                raise Wrong(Fault(f"{pointer}/{field}{found}", "reserved_key", f"{tokens.RESERVED_KEY} is the key of what this server has encrypted."))
        for field, given in (("message", content.message), ("user_agent", content.user_agent)):
            if tokens.token_in_text(given) is not None:
                raise Wrong(Fault(f"{pointer}/{field}", "reserved_key", "[encrypted:...] is the form of what this server has encrypted."))

    def _refuse_nul(self, given: EntryInput, pointer: str) -> None:
        for field in given.__struct_fields__:
            value = getattr(given, field)
            if isinstance(value, str) and "\x00" in value:
                raise Wrong(_nul_fault(f"{pointer}/{field}"))


def _nul_fault(pointer: str) -> Fault:
    return Fault(pointer, "nul_character", "The text has a NUL character (\\u0000), which can't be kept.")


def utc_text(moment: datetime.datetime) -> str:
    """`YYYY-MM-DDThh:mm:ss.ffffffZ` of a datetime in UTC."""
    return moment.isoformat(timespec="microseconds")[:-6] + "Z"


_MISSING = object()


def changed_fields(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Top-level keys whose value was added, removed or changed, in order."""
    return sorted(key for key in before.keys() | after.keys() if not _are_same(before.get(key, _MISSING), after.get(key, _MISSING)))


def _are_same(one: Any, other: Any) -> bool:
    # Python holds True == 1; JSON does not.
    return bool(one == other) and (isinstance(one, str) or encode_json(one) == encode_json(other))
