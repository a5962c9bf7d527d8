"""A stored entry gives the very record that was committed for it, for every JSON value that the API takes."""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
from typing import Any

from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Tenant
from logs.integrity.entries import canonical_bytes
from logs.models import Outcome, Severity
from logs.storage.columns import SELECT_STORED
from logs.storage.reading import tenant_transaction
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
