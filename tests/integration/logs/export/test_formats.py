"""Each format holds what search finds: every entry once, in order, whatever is in it, and nothing of anybody else's."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from accounts.models import Role, Tenant
from logs import catalogue
from logs.export import snapshot
from logs.export.parquet_file import ParquetWriter
from logs.models import ActionDefinition
from tests.api import NOT_OWN, PostedApi, assert_refused, service_of
from tests.exporting import EXPORT, HOSTILE, body_of, lines_of, read_csv, read_parquet, searched, table_row
from tests.sequencing import sequence_all
from tests.storing import new_tenant, new_token, store

ENTRIES = 40


@pytest.fixture(scope="module")
def tenant(django_db_setup: None) -> Tenant:
    tenant = new_tenant()
    ActionDefinition.objects.create(tenant=tenant, name="REFUND", title_template='{user} "refunded" {resource}: {metadata.amount} {metadata.note}')
    catalogue.forget()
    store(tenant, HOSTILE)
    store(tenant, [{"user_id": ("alice", "bob")[number % 2], "metadata": {"n": number}} for number in range(ENTRIES - len(HOSTILE) - 3)])
    sequence_all()
    # Not sequenced: no position, no integrity.
    store(tenant, [{"user_id": "alice"}] * 3)
    mallory = new_tenant()
    store(mallory, [{"user_id": "alice", "message": "mallory's"}])
    return tenant


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "PAGE_ROWS", 7)
    monkeypatch.setattr(snapshot, "PIECE_ROWS", 3)


def test_ndjson_is_what_search_gives(tenant: Tenant, small_pages: None) -> None:
    api = service_of(tenant)
    exported = lines_of(body_of(api.get(EXPORT, format="ndjson")))
    assert exported == searched(api)
    assert len(exported) == ENTRIES
    assert [entry for entry in exported if "title" in entry]
    assert len([entry for entry in exported if "integrity" not in entry]) == 3


def test_json_is_one_document_with_its_manifest(tenant: Tenant, small_pages: None) -> None:
    api = service_of(tenant)
    content = body_of(api.get(EXPORT, format="json"))
    document = json.loads(content)
    assert list(document) == ["entries", "manifest"]
    assert document["entries"] == searched(api)
    manifest = document["manifest"]
    before = content[: content.rindex(b',"manifest":')]
    assert (manifest["entries"], manifest["sha256"], manifest["bytes"]) == (ENTRIES, hashlib.sha256(before).hexdigest(), len(before))
    assert manifest["tree_size"] == ENTRIES - 3


def test_ndjson_ends_with_a_manifest_if_asked(tenant: Tenant) -> None:
    api = service_of(tenant)
    content = body_of(api.get(EXPORT, format="ndjson", manifest="true", user_id="bob", limit=5))
    *lines, last = content.splitlines(keepends=True)
    manifest = json.loads(last)["manifest"]
    assert lines_of(b"".join(lines)) == searched(api, user_id="bob")[:5]
    assert (manifest["question"], manifest["limit"], manifest["entries"]) == (urlencode({"user_id": "bob", "q": NOT_OWN}), 5, 5)
    assert manifest["sha256"] == hashlib.sha256(b"".join(lines)).hexdigest()


def test_csv_is_read_back_and_holds_no_formula(tenant: Tenant, small_pages: None) -> None:
    api = service_of(tenant)
    expected = [tuple(None if value == "" else value for value in table_row(entry)) for entry in searched(api)]
    assert read_csv(body_of(api.get(EXPORT, format="csv"))) == expected


def test_parquet_is_read_back(tenant: Tenant, small_pages: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logs.export.parquet_file.MAX_GROUP_ROWS", 11)
    api = service_of(tenant)
    content = body_of(api.get(EXPORT, format="parquet"))
    expected = [tuple(None if value == "" else value for value in table_row(entry)) for entry in searched(api)]
    assert read_parquet(content) == expected
    file = pq.ParquetFile(io.BytesIO(content))
    assert file.num_row_groups == 3
    assert json.loads(file.metadata.metadata[ParquetWriter.MANIFEST_KEY.encode()])["entries"] == ENTRIES


@pytest.mark.parametrize("format", ["json", "ndjson", "csv", "parquet"])
def test_nothing_found_is_a_whole_file_of_nothing(tenant: Tenant, format: str) -> None:
    content = body_of(service_of(tenant).get(EXPORT, format=format, user_id="nobody"))
    read: dict[str, Callable[[bytes], Any]] = {"json": lambda text: json.loads(text)["entries"], "ndjson": lines_of, "csv": read_csv, "parquet": read_parquet}
    assert read[format](content) == []


def test_filters_order_and_limit_choose(tenant: Tenant) -> None:
    api = service_of(tenant)
    query = {"user_id": ["alice", "bob"], "to": "2026-06-01T00:00:00Z"}
    assert lines_of(body_of(api.get(EXPORT, format="ndjson", **query))) == searched(api, **query)
    assert lines_of(body_of(api.get(EXPORT, format="ndjson", order="asc", limit=4))) == searched(api)[::-1][:4]


@pytest.mark.parametrize(
    ("compression", "unpack"), [("gzip", gzip.decompress), ("zstd", lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data))]
)
def test_compressed_on_request_as_file_or_on_the_way(tenant: Tenant, compression: str, unpack: Callable[[bytes], bytes]) -> None:
    api = service_of(tenant)
    plain = body_of(api.get(EXPORT, format="csv"))
    answer = api.get(EXPORT, format="csv", compression=compression)
    assert answer["Content-Type"] == f"application/{compression}"
    assert answer["Content-Disposition"].endswith({"gzip": '.csv.gz"', "zstd": '.csv.zst"'}[compression])
    assert "Content-Encoding" not in answer
    assert unpack(body_of(answer)) == plain
    on_the_way = api.send("GET", f"{EXPORT}?{urlencode({'format': 'csv', 'q': NOT_OWN})}", b"", Accept_Encoding=f"br, {compression};q=0.5")
    assert (on_the_way["Content-Encoding"], on_the_way["Content-Type"]) == (compression, "text/csv; charset=utf-8; header=present")
    assert unpack(body_of(on_the_way)) == plain


@pytest.mark.parametrize("q", ["user:alice", "calc", "-user:alice metadata.n:>10", '"already marked" OR severity:CRITICAL', "nothing-of-the-kind"])
def test_query_language_chooses_as_in_search(tenant: Tenant, q: str) -> None:
    api = service_of(tenant)
    found = searched(api, q=q)
    assert bool(found) is (q != "nothing-of-the-kind")
    assert lines_of(body_of(api.get(EXPORT, format="ndjson", q=q))) == found
    assert_refused(api.get(EXPORT, format="ndjson", q=f"{q} ("), 422, "invalid_query", pointer="q")


def test_role_user_gets_own_entries(tenant: Tenant) -> None:
    user = PostedApi(new_token(tenant, Role.USER, "bob"))
    exported = lines_of(body_of(user.get(EXPORT, format="ndjson")))
    assert {entry["user_id"] for entry in exported} == {"bob"}
    assert exported == searched(user)


def test_another_tenants_entries_stay_out(tenant: Tenant) -> None:
    for format in ("ndjson", "csv"):
        assert b"mallory" not in body_of(service_of(tenant).get(EXPORT, format=format))
    stranger = service_of(new_tenant())
    assert body_of(stranger.get(EXPORT, format="ndjson")) == b""


def test_answer_says_what_it_is_and_is_not_kept(tenant: Tenant) -> None:
    answer = service_of(tenant).get(EXPORT, format="ndjson")
    assert answer["Cache-Control"] == "no-store"
    assert answer["Auditlog-Tree-Size"] == str(ENTRIES - 3)
    assert answer["Content-Disposition"].startswith(f'attachment; filename="entries-{tenant.slug}-')
    body_of(answer)


@pytest.mark.parametrize(
    ("query", "fault", "pointer"),
    [
        ({}, "unknown_value", "format"),
        ({"format": "xml"}, "unknown_value", "format"),
        ({"format": "csv", "compression": "rar"}, "unknown_value", "compression"),
        ({"format": "parquet", "compression": "gzip"}, "compressed_already", "compression"),
        ({"format": "csv", "manifest": "true"}, "no_manifest", "manifest"),
        ({"format": "json", "manifest": "maybe"}, "unknown_value", "manifest"),
        ({"format": "ndjson", "order": "up"}, "unknown_value", "order"),
        ({"format": "ndjson", "limit": "0"}, "bad_limit", "limit"),
        ({"format": "ndjson", "limit": "9" * 30}, "bad_number", "limit"),
        ({"format": "ndjson", "usr_id": "x"}, "unknown_parameter", "usr_id"),
        ({"format": "ndjson", "from": "yesterday"}, "bad_timestamp", "from"),
    ],
)
def test_wrong_question_is_refused(tenant: Tenant, query: dict[str, Any], fault: str, pointer: str) -> None:
    assert_refused(service_of(tenant).get(EXPORT, **query), 422, "invalid_query", fault=fault, pointer=pointer)


TEXT = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
JSON = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**53), 2**53) | some.floats(-1e300, 1e300, allow_subnormal=False) | TEXT,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ENTRY = some.fixed_dictionaries(
    {"user_id": TEXT.filter(bool)},
    optional={"message": TEXT, "resource_id": TEXT.filter(bool), "user_agent": TEXT.filter(bool), "metadata": some.dictionaries(TEXT, JSON, max_size=3),
              "before": some.dictionaries(TEXT, JSON, max_size=3), "after": some.dictionaries(TEXT, JSON, max_size=3)},
)  # fmt: skip


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.lists(ENTRY, min_size=1, max_size=8))
def test_every_entry_comes_out_as_search_gives_it(entries: list[dict[str, Any]]) -> None:
    tenant = new_tenant()
    store(tenant, entries)
    api = service_of(tenant)
    found = searched(api)
    assert lines_of(body_of(api.get(EXPORT, format="ndjson"))) == found
    rows = [tuple(None if value == "" else value for value in table_row(entry)) for entry in found]
    assert read_csv(body_of(api.get(EXPORT, format="csv"))) == rows
    assert read_parquet(body_of(api.get(EXPORT, format="parquet"))) == rows
