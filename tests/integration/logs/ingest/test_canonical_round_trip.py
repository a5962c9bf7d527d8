"""A stored entry gives the very record that was committed for it, for every JSON value that the API takes."""

from __future__ import annotations

import base64
import datetime
import functools
import hashlib
import json
from typing import Any

import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Tenant
from logs.integrity.entries import canonical_bytes
from logs.models import Outcome, Severity
from logs.storage.columns import SELECT_STORED
from logs.storage.reading import tenant_transaction
from tests.api import LOGS, service_of
from tests.storing import new_tenant, store

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
numbers = st.integers(-(10**300), 10**300) | st.floats(allow_nan=False, allow_infinity=False, min_value=1e-300, max_value=1e300)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
objects = st.dictionaries(texts, values, max_size=4)
december, january = (datetime.datetime.fromisoformat(text) for text in ("2025-12-01", "2026-01-31"))
moments = st.datetimes(december, january).map(lambda moment: moment.isoformat() + "Z")
entries = st.fixed_dictionaries(
    {},
    optional={
        "timestamp": moments,
        "message": texts,
        "metadata": objects,
        "before": objects,
        "after": objects,
        "user_agent": texts,
        "ip_address": st.ip_addresses().map(str),
        "severity": st.sampled_from(Severity.labels),
        "outcome": st.sampled_from(Outcome.labels),
        "request_id": texts.filter(bool),
        "resource_id": texts.filter(bool),
    },
)


@functools.cache
def the_tenant() -> Tenant:
    """One for all examples."""
    return new_tenant()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(entries, min_size=1, max_size=4))
def test_record_follows_from_what_is_stored(given_entries: list[dict[str, Any]]) -> None:
    tenant = the_tenant()
    ids = store(tenant, given_entries)
    with tenant_transaction(tenant.id) as cursor:
        cursor.execute(SELECT_STORED, [ids])
        found = cursor.fetchall()
    with connections["maintenance"].cursor() as cursor:
        cursor.execute(
            "SELECT e.id::text, substr(b.records, e.batch_index * 32 + 1, 32) FROM auditlog.logs_entry e "
            "JOIN auditlog.logs_batch b ON b.id = e.batch_id WHERE e.tenant_id = %s AND e.id = ANY(%s::uuid[])",
            [tenant.id, ids],
        )
        records = {id: bytes(record) for id, record in cursor.fetchall()}
    assert len(found) == len(ids)
    for row in found:
        assert hashlib.sha256(canonical_bytes(row)).digest() == records[row[0]]


def test_canonical_bytes_are_json_without_absent_fields() -> None:
    tenant = new_tenant()
    (id,) = store(tenant, [{"metadata": {"b": 1.0, "a": "é"}}])
    with tenant_transaction(tenant.id) as cursor:
        cursor.execute(SELECT_STORED, [[id]])
        value = json.loads(canonical_bytes(cursor.fetchone()))
    assert list(value) == sorted(value)
    assert value["metadata"] == {"a": "é", "b": 1}
    assert value["v"] == 1
    assert "before" not in value


# As they are spelt on the wire, for Python's own encoder would spell them anew.
SPELT = {
    "numbers": '{"n": [1e22, 1E+22, -0.0, -0, 0e5, 1.10, 1.1000, 9007199254740993, 123456789012345678901234567890, 5e-300, 1e-7, 0.000001, 1.0]}',
    "planes": '{"p": "\\u00e9 é \\ud83d\\ude00 😀 \U00010348 \U000e0001 \U0010fffd \u2028 \ufeff"}',
    "escapes": '{"e": "\\u0001\\b\\f\\n\\r\\t\\"\\\\\\/\\u001f\x7f", "\\u0041": 1}',
    "keys": '{"b": 1, "a": 2, "a": 3, "": 4, "é": 5, "\U0001f600": 6, "\uffff": 7}',
    "empty": '{"o": {}, "a": [], "s": "", "n": null, "t": true, "f": false, "d": {"d": {"d": {"d": [[[[{}]]]]}}}}',
}
ADDRESSES = ["::", "::1", "2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1", "::ffff:192.0.2.1", "64:ff9b::192.0.2.33", "fe80::1", "192.0.2.255", "0.0.0.0"]  # noqa: S104  addresses of entries
MOMENTS = ["2026-01-15T12:00:00Z", "2026-01-15T12:00:00.1Z", "2026-01-15T12:00:00.000001+05:45", "2026-01-15T23:59:59.999999-12:00"]


@pytest.mark.parametrize("field", ["metadata", "before", "after"])
@pytest.mark.parametrize("form", SPELT)
def test_every_spelling_is_read_back_as_the_same_bytes(form: str, field: str) -> None:
    _posted_and_read_back(f'"{field}": {SPELT[form]}')


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_form_of_an_address_is_read_back_as_the_same_bytes(address: str) -> None:
    _posted_and_read_back(f'"ip_address": "{address}"')


@pytest.mark.parametrize("moment", MOMENTS)
def test_every_form_of_a_moment_is_read_back_as_the_same_bytes(moment: str) -> None:
    _posted_and_read_back(f'"timestamp": "{moment}"')


def _posted_and_read_back(member: str) -> None:
    """Over HTTP, so that the receipt is held to the bytes as well."""
    tenant = the_tenant()
    body = f'{{"user_id": "u", "action": "A", "resource_type": "r", {member}}}'
    answer = service_of(tenant).post(LOGS, body.encode())
    assert answer.status_code == 201, answer.content
    with tenant_transaction(tenant.id) as cursor:
        cursor.execute(SELECT_STORED, [[answer.json()["id"]]])
        row = cursor.fetchone()
    assert base64.b64decode(answer.json()["record_digest"]) == hashlib.sha256(canonical_bytes(row)).digest()
