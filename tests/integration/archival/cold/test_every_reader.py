"""Whoever reads entries gets the same bytes whether they are hot or archived: exports, reports, evidence, proofs, timelines, counts."""

from __future__ import annotations

import datetime
import functools
import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from django.http import QueryDict

from accounts.models import Tenant
from accounts.principals import Principal
from logs.catalogue import catalogue_of
from logs.evidence import evidence_question_of, write_evidence
from logs.export import export_question_of, open_stream, snapshot
from logs.export.encoding import FileEncoding
from logs.export.snapshot import Snapshot
from logs.export.subject_report import SubjectReport
from logs.integrity.proving import prove_row
from logs.models import ActionDefinition
from logs.search import find_entry, positions, sight
from logs.search.timeline import find_timeline, timeline_question_of
from logs.storage.columns import STORED_WITH_BATCH
from logs.storage.ids import floor_id
from logs.storage.reading import tenant_transaction
from logs.subjects import entries_about
from logs.subjects.page import Heading
from tests.archiving import archive, archive_at
from tests.asking import Asking
from tests.encrypting import settle
from tests.exporting import HOSTILE, read_parquet
from tests.sequencing import sequence_all
from tests.storing import new_tenant, principal_in, store

START = datetime.datetime(2025, 5, 1, tzinfo=datetime.UTC)
COUNT = 90
PERIOD = f"from={START:%Y-%m-%dT%H:%M:%SZ}&to={START + datetime.timedelta(days=40):%Y-%m-%dT%H:%M:%SZ}"
# Not at an hour's end: the parts of hours are counted from the entries.
PARTIAL = f"from={START:%Y-%m-%d}T01:17:03.5Z&to={START + datetime.timedelta(days=20):%Y-%m-%d}T05:59:59Z"


@pytest.fixture(scope="module")
def tenant(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    tenant = new_tenant()
    settle(tenant, encrypted_metadata_keys=["diagnosis"])
    ActionDefinition.objects.create(tenant=tenant, name="REFUND", title_template="{user} refunded {resource}: {metadata.amount}")
    for first in range(0, COUNT, 30):
        store(tenant, [_entry(number) for number in range(first, first + 30)])
    sequence_all()
    with archive_at(tmp_path_factory.mktemp("archive")):
        yield tenant


def _entry(number: int) -> dict[str, Any]:
    hostile = HOSTILE[number % len(HOSTILE)] if number % 3 == 0 else {}
    more = {"metadata": {"diagnosis": f"d{number}", "n": number}, "before": {"a": number}, "after": {"a": number + 1}} if number % 3 == 1 else {}
    when = (START + datetime.timedelta(hours=6 * number, minutes=17 * number % 60)).isoformat()
    names = {"request_id": f"request {number % 4}"} if "request_id" not in hostile else {}
    return hostile | more | names | {"timestamp": when, "user_id": hostile.get("user_id", f"user-{number % 7}"), "idempotency_key": f"k{number}"}


def exported(principal: Principal, words: str) -> bytes:
    stream = open_stream(export_question_of(QueryDict(words), principal))
    try:
        return b"".join(stream)
    finally:
        stream.close()


def reported(principal: Principal, subject: str) -> list[bytes]:
    question = export_question_of(QueryDict("format=ndjson"), principal)
    with tenant_transaction(principal.tenant_id) as cursor:
        question = replace(question, tree=replace(question.tree, nodes=(*question.tree.nodes, entries_about(cursor, principal.tenant_id, subject))))
    moment = Snapshot(principal.tenant_id, statement_seconds=20, idle_seconds=60)
    try:
        heading = Heading(subject, "t", "a", "b", "c", "", moment.tree_size)
        report: FileEncoding = SubjectReport(question, catalogue_of(principal.tenant_id), moment, START, heading)
        return list(report.pieces())
    finally:
        moment.close()


def answers(tenant: Tenant, ids: list[str]) -> dict[str, Any]:
    """What every reader says, by its name."""
    whole = principal_in(tenant)
    readers = {"all": whole, "no keys": replace(whole, abilities=whole.abilities - {"decrypt"}), "own": principal_in(tenant, own_user_id="user-1")}
    found: dict[str, Any] = {}
    for name, principal in readers.items():
        for order in ("asc", "desc"):
            for words in ("", "&user_id=user-1", "&limit=31", "&q=severity:CRITICAL OR metadata.n:>=20"):
                base = f"{words}&order={order}".replace(" ", "+").replace(">", "%3E")
                found[f"{name} ndjson {base}"] = exported(principal, f"format=ndjson{base}")
            found[f"{name} csv {order}"] = exported(principal, f"format=csv&order={order}")
            found[f"{name} json {order}"] = json.loads(exported(principal, f"format=json&order={order}"))["entries"]
            found[f"{name} parquet {order}"] = read_parquet(exported(principal, f"format=parquet&order={order}"))
        found[f"{name} evidence"] = list(write_evidence(evidence_question_of(QueryDict(""), principal), lambda: True))[1:]
        found[f"{name} report"] = reported(principal, "user-1")
        found[f"{name} entries"] = [msgspec.json.encode(find_entry(principal, uuid.UUID(id))) for id in ids]
        for request in range(4):
            for limit in (5, 100):
                question = timeline_question_of(QueryDict(f"limit={limit}"), f"request {request}", principal)
                assert question is not None
                timeline = find_timeline(question)
                found[f"{name} timeline {request} {limit}"] = timeline and msgspec.json.encode(timeline[0])
        found[f"{name} positions"] = _by_position(principal)
        asking = Asking(principal)
        for words in (PERIOD, PARTIAL, f"{PARTIAL}&user_id=user-1", f"{PERIOD}&q=metadata.n:%3E=20", f"{PARTIAL}&action=UPDATE"):
            for path in ("stats", "facets"):
                found[f"{name} {path} {words}"] = asking.get(f"/api/v1/logs/{path}?{words}").json()
    with tenant_transaction(tenant.id) as cursor:
        rows = [sight.find_one(cursor, STORED_WITH_BATCH, uuid.UUID(id), whole) for id in ids]
        found["proofs"] = [prove_row(cursor, row).output for row in rows if row is not None]
        assert len(found["proofs"]) == len(ids)
    return found


def _by_position(principal: Principal) -> list[bytes]:
    found, after = [], -1
    while True:
        page = positions.find_after(positions.position_question_of(QueryDict(f"order=position&after={after}&limit=17"), principal))
        found += [msgspec.json.encode(entry) for entry in page.entries]
        after = page.after
        if not page.has_more:
            return found


def test_every_reader_says_the_same_before_and_after(tenant: Tenant, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    # Every count is counted.
    settings.AUDITLOG_STATS_CACHE_SECONDS = 0
    monkeypatch.setattr(snapshot, "PAGE_ROWS", 7)
    monkeypatch.setattr(snapshot, "PIECE_ROWS", 3)
    bounds = [floor_id(START + datetime.timedelta(days=days)) for days in (0, 6, 10, 14)]
    ids = [json.loads(line)["id"] for line in exported(principal_in(tenant), "format=ndjson").splitlines()]
    assert len(ids) == COUNT
    before = answers(tenant, ids)
    archive(tenant, low=bounds[1], high=bounds[2], group_rows=5)
    archive(tenant, low=bounds[0], high=bounds[1], group_rows=8)
    archive(tenant, low=bounds[2], high=bounds[3], frees=False)
    after = answers(tenant, ids)
    assert after.keys() == before.keys()
    for name, answer in before.items():
        assert after[name] == answer, name
    cold = functools.partial(exported, principal_in(tenant))
    parts = [cold(f"format=ndjson&archived={which}").splitlines() for which in ("only", "exclude")]
    assert len(parts[0]) == 56
    assert len(parts[1]) == COUNT - 40
