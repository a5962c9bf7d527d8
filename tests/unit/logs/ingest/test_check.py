"""Everything that can be wrong with an entry: each with its code and its place."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import msgspec
import pytest

from accounts.principals import Principal
from logs.catalogue import TenantCatalogue
from logs.ingest.check import CheckedEntry, Checker, Reception, Wrong, changed_fields
from logs.models import CatalogueMode
from logs.privacy import Protection
from logs.storage.columns import ENTRY_COLUMNS, array_literal

NOW = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
ENTRY = {"user_id": "alice", "action": "UPDATE", "resource_type": "invoice"}
LIMIT_BYTES = 256 * 1024


def check(raw: bytes, *, own_user_id: str | None = None, key: str | None = None) -> CheckedEntry:
    principal = Principal(uuid.UUID(int=1), "main", "key:testing", frozenset(), own_user_id=own_user_id)
    catalogue = TenantCatalogue(bytes(32), CatalogueMode.OFF)
    return Checker(Reception(principal, NOW, catalogue, Protection())).check(raw, "/7", idempotency_key=key)


def with_fields(**fields: Any) -> bytes:
    return msgspec.json.encode({**ENTRY, **fields})


def with_raw(field: str, text: bytes) -> bytes:
    return msgspec.json.encode(ENTRY)[:-1] + b',"' + field.encode() + b'":' + text + b"}"


def column(entry: CheckedEntry, name: str) -> str | None:
    return entry.columns[list(ENTRY_COLUMNS).index(name)]


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


BAD: list[tuple[str, bytes, str, str]] = [
    ("not JSON", b'{"user_id": "a"', "not_json", "/7"),
    ("nothing at all", b"", "not_json", "/7"),
    ("not UTF-8", with_raw("message", b'"\xff"'), "not_utf8", "/7"),
    ("an array", b"[]", "wrong_type", "/7"),
    ("a number for a text", with_fields(user_id=7), "wrong_type", "/7/user_id"),
    ("an array for metadata", with_fields(metadata=[1]), "wrong_type", "/7/metadata"),
    ("a text for before", with_fields(before="x"), "wrong_type", "/7/before"),
    ("an unknown field", with_fields(colour="red"), "unknown_field", "/7/colour"),
    ("a field that the server sets: id", with_fields(id="019a2b3c-4d5e-7000-8000-00000000002a"), "unknown_field", "/7/id"),
    ("a field that the server sets: received_at", with_fields(received_at="2026-01-31T12:00:00Z"), "unknown_field", "/7/received_at"),
    ("a field that the server sets: source", with_fields(source="key:another"), "unknown_field", "/7/source"),
    ("a field that the server sets: tenant_id", with_fields(tenant_id="x"), "unknown_field", "/7/tenant_id"),
    ("a field that the server sets: is_imported", with_fields(is_imported=True), "unknown_field", "/7/is_imported"),
    ("a missing field", b'{"user_id":"a","action":"VIEW"}', "missing_field", "/7/resource_type"),
    ("an empty user", with_fields(user_id=""), "too_short", "/7/user_id"),
    ("a long user", with_fields(user_id="a" * 257), "too_long", "/7/user_id"),
    ("an action in lower case", with_fields(action="update"), "bad_format", "/7/action"),
    ("an action with a line feed at its end", with_fields(action="UPDATE\n"), "bad_format", "/7/action"),
    ("a severity that there is not", with_fields(severity="FATAL"), "unknown_value", "/7/severity"),
    ("an outcome that there is not", with_fields(outcome="maybe"), "unknown_value", "/7/outcome"),
    ("a timestamp that is none", with_fields(timestamp="yesterday"), "bad_timestamp", "/7/timestamp"),
    ("a day that there is not", with_fields(timestamp="2026-02-30T12:00:00Z"), "bad_timestamp", "/7/timestamp"),
    ("a timestamp without offset", with_fields(timestamp="2026-01-31T12:00:00"), "timestamp_without_offset", "/7/timestamp"),
    ("a timestamp too far ahead", with_fields(timestamp="2026-01-31T12:05:00.000001Z"), "timestamp_in_future", "/7/timestamp"),
    ("a timestamp before the oldest date", with_fields(timestamp="1999-12-31T23:59:59.999999Z"), "timestamp_too_old", "/7/timestamp"),
    ("a timestamp outside of the calendar", with_fields(timestamp="0001-01-01T00:00:00+14:00"), "timestamp_too_old", "/7/timestamp"),
    ("an address that is none", with_fields(ip_address="10.0.0.256"), "bad_ip_address", "/7/ip_address"),
    ("a network for an address", with_fields(ip_address="10.0.0.0/8"), "bad_ip_address", "/7/ip_address"),
    ("an address with a zone", with_fields(ip_address="fe80::1%eth0"), "bad_ip_address", "/7/ip_address"),
    ("NUL in a text", with_fields(message="a\x00b"), "nul_character", "/7/message"),
    ("NUL in a value of metadata", with_fields(metadata={"a": ["x", "\x00"]}), "nul_character", "/7/metadata/a/1"),
    ("NUL in a key of after", with_fields(after={"a": {"\x00": 1}}), "nul_character", "/7/after/a/�"),
    ("a lone surrogate in a text", with_raw("message", b'"\\ud800"'), "lone_surrogate", "/7/message"),
    ("a lone surrogate in metadata", with_raw("metadata", b'{"a":"\\udfff"}'), "lone_surrogate", "/7/metadata/a"),
    ("33 levels", with_fields(metadata=nested(32)), "too_deep", "/7/metadata"),
    ("brackets without end", with_raw("metadata", b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "too_deep", "/7"),
    ("a number too large", with_raw("metadata", b'{"a":1e309}'), "number_out_of_range", "/7/metadata"),
    ("a number too small", with_raw("metadata", b'{"a":1e-309}'), "number_out_of_range", "/7/metadata"),
    ("an integer without end", with_raw("metadata", b'{"a":' + b"9" * 400 + b"}"), "number_out_of_range", "/7/metadata"),
    ("one byte too many", with_fields(metadata={"a": "x" * (LIMIT_BYTES - len(with_fields(metadata={"a": ""})) + 1)}), "entry_too_large", "/7"),
    ("a key without a timestamp", with_fields(idempotency_key="k"), "key_needs_timestamp", "/7/timestamp"),
]


@pytest.mark.parametrize(("raw", "code", "pointer"), [bad[1:] for bad in BAD], ids=[bad[0] for bad in BAD])
def test_bad_entry_is_refused_with_its_code_and_place(raw: bytes, code: str, pointer: str) -> None:
    with pytest.raises(Wrong) as caught:
        check(raw)
    assert (caught.value.fault.code, caught.value.fault.pointer) == (code, pointer)
    assert caught.value.fault.detail


GOOD: list[tuple[str, bytes]] = [
    ("32 levels", with_fields(metadata=nested(31))),
    ("the last byte", with_fields(metadata={"a": "x" * (LIMIT_BYTES - len(with_fields(metadata={"a": ""})))})),
    ("the last moment ahead", with_fields(timestamp="2026-01-31T12:05:00Z")),
    ("the first moment", with_fields(timestamp="2000-01-01T00:00:00Z")),
    ("null for what was not given", with_fields(timestamp=None, metadata=None, severity=None, before=None)),
    ("brackets within a text", with_fields(metadata={"a": "{" * 100})),
    ("a pair of surrogates", with_raw("message", b'"\\ud83d\\ude00"')),
    ("the largest number", with_raw("metadata", b'{"a":1e308,"b":-1E-308}')),
]


@pytest.mark.parametrize("raw", [good[1] for good in GOOD], ids=[good[0] for good in GOOD])
def test_entry_at_the_edge_is_taken(raw: bytes) -> None:
    assert len(check(raw).record) == 32


def test_times_become_utc_with_microseconds() -> None:
    entry = check(with_fields(timestamp="2026-01-31T13:00:00.5+01:00"))
    assert column(entry, "timestamp") == "2026-01-31T12:00:00.500000Z"


def test_entry_without_time_happened_when_it_was_received() -> None:
    entry = check(with_fields())
    assert column(entry, "timestamp") == column(entry, "received_at") == "2026-01-31T12:00:00.000000Z"


@pytest.mark.parametrize(("given", "kept"), [("::ffff:10.0.0.1", "10.0.0.1"), ("2001:DB8:0:0::1", "2001:db8::1"), ("10.0.0.1", "10.0.0.1")])
def test_address_is_kept_as_rfc_5952_writes_it(given: str, kept: str) -> None:
    assert column(check(with_fields(ip_address=given)), "ip_address") == kept


def test_key_of_header_and_key_of_entry_have_to_agree() -> None:
    with pytest.raises(Wrong) as caught:
        check(with_fields(idempotency_key="a", timestamp="2026-01-31T12:00:00Z"), key="b")
    assert caught.value.fault.code == "two_keys"


def test_user_may_post_about_themselves_only() -> None:
    assert check(with_fields(), own_user_id="alice").id
    with pytest.raises(Wrong) as caught:
        check(with_fields(user_id="bob"), own_user_id="alice")
    assert (caught.value.fault.code, caught.value.fault.pointer) == ("not_allowed", "/7/user_id")


def test_same_key_and_time_give_the_same_id() -> None:
    raw = with_fields(idempotency_key="k", timestamp="2026-01-31T12:00:00Z")
    other = with_fields(idempotency_key="k2", timestamp="2026-01-31T12:00:00Z")
    assert check(raw).id == check(raw).id != check(other).id


def test_changed_fields_are_those_whose_json_differs() -> None:
    before = {"same": 1, "gone": 1, "flag": True, "list": [1, {"a": 1}]}
    after = {"same": 1, "new": 1, "flag": 1, "list": [1, {"a": True}]}
    assert changed_fields(before, after) == ["flag", "gone", "list", "new"]


def test_array_literal_quotes_what_would_end_it() -> None:
    assert array_literal(['a"b', "c\\d", "", "{,}"]) == r'{"a\"b","c\\d","","{,}"}'
