"""Whatever a principal asks, and in whatever way, it gets the entries that its restriction leaves: not one more, and not one count more."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from accounts.models import Tenant
from accounts.principals import Principal
from accounts.problems import Invalid
from accounts.restrictions import NOTHING, WHOLE_LOG, Limits, Restriction
from logs import stats
from logs.evidence import evidence_question_of, write_evidence
from logs.export import export_question_of, open_stream
from logs.models import Severity
from logs.saved_searches import KeptSearch, question_of_saved
from logs.search import find_entry, find_page, positions, question_of, sight
from logs.search.predicate import predicate_of
from logs.search.qualifiers import Reader
from logs.search.timeline import find_timeline, timeline_question_of
from logs.storage.columns import STORED_WITH_BATCH
from logs.storage.ids import floor_id
from logs.storage.reading import tenant_transaction
from tests.archiving import archive, archive_at
from tests.brute_force import example_entries, facts_of, rows_of
from tests.compacting import compact_all
from tests.search_strategies import START, moments, required
from tests.sequencing import sequence_all
from tests.storing import new_tenant, principal_in, store

COUNT = 240
NOW = datetime.datetime.now(datetime.UTC)
END = START + datetime.timedelta(days=7)
ALL_TIME = f"from={START:%Y-%m-%dT%H:%M:%SZ}&to={END:%Y-%m-%dT%H:%M:%SZ}"
FORCED = [
    "user:alice",
    "-user:(alice Bob)",
    "resource:inv-2041 OR resource_type:AB",
    "severity:>=WARNING",
    "outcome:failure action:LOGIN",
    "metadata.region:7",
    "metadata.amount:>=1",
    "NOT metadata.a:*",
    "paid",
    '"a b" OR ab*',
    "ip:10.0.0.0/16",
    "changed:region",
    "after:2026-01-11 before:2026-01-13T07:30:00.000002Z",
    "after:2026-01-12T01:15:00Z user:alice",
    "before:2026-01-11 OR after:2026-01-14",
    "after:-9999w",
    "before:-9999w",
    "source:key*",
]
limits = st.builds(
    Limits,
    resource_types=st.just(()) | st.lists(required, min_size=1, max_size=3).map(tuple),
    actions=st.just(()) | st.lists(st.sampled_from(["LOGIN", "LOGOUT", "A.B", "NONE"]), min_size=1, max_size=2).map(tuple),
    severities=st.just(()) | st.lists(st.sampled_from(Severity.labels), min_size=1, max_size=2).map(tuple),
    own_user_id=st.none() | st.sampled_from(["alice", "Bob"]),
    own_source=st.sampled_from([None, None, "key:testing", "key:another"]),
    from_at=st.none() | moments,
    until_at=st.none() | moments,
    forced_query=st.just("") | st.sampled_from(FORCED),
    valid_until=st.sampled_from([None, None, NOW + datetime.timedelta(days=1), NOW - datetime.timedelta(days=1)]),
)
# Few conditions more often than many, or nothing would be left to be seen.
names = st.sampled_from([field.name for field in dataclasses.fields(Limits)])
few = st.builds(lambda drawn, kept: replace(Limits(), **{name: getattr(drawn, name) for name in kept}), limits, st.sets(names, min_size=1, max_size=2))
restrictions = st.lists(few, min_size=1, max_size=2).map(lambda parts: Restriction(tuple(parts)))


@functools.cache
def filled() -> Tenant:
    """A tenant with entries in roll-ups, in hours that are not over, and without positions."""
    tenant = new_tenant()
    entries = example_entries(COUNT)
    for start in range(0, len(entries), 50):
        store(tenant, entries[start : start + 50])
        sequence_all()
    compact_all(END)
    store(tenant, example_entries(60))
    return tenant


@functools.cache
def rows() -> list[dict[str, Any]]:
    return rows_of(filled())


@pytest.fixture(scope="module", autouse=True)
def _filled_before_anything_is_drawn(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two of the days are archived, one of them in both tiers: whatever is asked, the tier makes no difference."""
    rows()
    bounds = [floor_id(START + datetime.timedelta(days=days)) for days in (1, 2, 3)]
    with archive_at(tmp_path_factory.mktemp("archive")):
        archive(filled(), low=bounds[0], high=bounds[1])
        archive(filled(), low=bounds[1], high=bounds[2], frees=False)
        yield


def caller(restriction: Restriction) -> Principal:
    return replace(principal_in(filled()), granted=restriction)


def is_left(limits: Limits, row: dict[str, Any]) -> bool:
    """What limits say, spelt out."""
    return (
        (not limits.resource_types or row["resource_type"] in limits.resource_types)
        and (not limits.actions or row["action"] in limits.actions)
        and (not limits.severities or Severity(row["severity"]).label in limits.severities)
        and limits.own_user_id in (None, row["user_id"])
        and limits.own_source in (None, row["source"])
        and (limits.from_at is None or row["timestamp"] >= limits.from_at)
        and (limits.until_at is None or row["timestamp"] < limits.until_at)
        and (limits.valid_until is None or limits.valid_until > NOW)
        and predicate_of(Reader(NOW).tree(limits.forced_query))(facts_of(row))
    )


def seen_by(restriction: Restriction) -> list[dict[str, Any]]:
    return [row for row in rows() if not restriction.has_ended and all(is_left(limits, row) for limits in restriction.parts)]


def ids(found: list[dict[str, Any]]) -> set[str]:
    return {str(row["id"]) for row in found}


def by_pages(principal: Principal) -> set[str]:
    return {entry.id for entry in find_page(question_of(QueryDict("limit=1000"), principal)).entries}


def by_saved_search(principal: Principal) -> set[str]:
    kept = KeptSearch(1, 1, "carol", "all", "", {}, True, 1, NOW, NOW)
    return {entry.id for entry in find_page(question_of_saved(kept, QueryDict("limit=1000"), principal)).entries}


def by_export(principal: Principal) -> set[str]:
    stream = open_stream(export_question_of(QueryDict("format=ndjson"), principal))
    try:
        return {json.loads(line)["id"] for line in b"".join(stream).splitlines()}
    finally:
        stream.close()


EVERYTHING: dict[str, Callable[[Principal], set[str]]] = {"pages": by_pages, "saved search": by_saved_search, "export": by_export}
_settings = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("reader", EVERYTHING)
@_settings
@given(restriction=restrictions)
@example(restriction=WHOLE_LOG)
@example(restriction=NOTHING)
def test_lists_hold_what_is_left_and_nothing_else(reader: str, restriction: Restriction) -> None:
    assert EVERYTHING[reader](caller(restriction)) == ids(seen_by(restriction))


@_settings
@given(restriction=restrictions)
@example(restriction=NOTHING)
def test_order_of_positions_gives_what_is_left_and_where_it_stands(restriction: Restriction) -> None:
    page = positions.find_after(positions.position_question_of(QueryDict("order=position&limit=1000"), caller(restriction)))
    expected = sorted((row["position"], str(row["id"])) for row in seen_by(restriction) if row["position"] is not None)
    assert [(entry.integrity.position, entry.id) for entry in page.entries if entry.integrity] == expected
    assert len(page.entries) == len(expected)


@_settings
@given(restriction=restrictions)
@example(restriction=NOTHING)
def test_evidence_proves_what_is_left_and_counts_nothing_else(restriction: Restriction) -> None:
    _, *members, footer = write_evidence(evidence_question_of(QueryDict(""), caller(restriction)), lambda: True)
    found = {json.loads(json.loads(line)["canonical"])["id"] for block in members for line in block.splitlines()}
    seen = seen_by(restriction)
    assert found == ids([row for row in seen if row["position"] is not None])
    assert json.loads(footer)["waiting"] == sum(row["position"] is None for row in seen)


@_settings
@given(restriction=restrictions, begins=moments, ends=moments)
@example(restriction=NOTHING, begins=START, ends=END)
@example(restriction=Restriction((Limits(from_at=START + datetime.timedelta(hours=50)),)), begins=START + datetime.timedelta(hours=60), ends=END)
def test_statistics_count_what_is_left_now_and_before(restriction: Restriction, begins: datetime.datetime, ends: datetime.datetime) -> None:
    begins, ends = min(begins, ends), max(begins, ends)
    query = QueryDict(mutable=True)
    query.update({"from": begins.isoformat(), "to": ends.isoformat(), "bucket": "day", "compare": "previous", "top": "100"})
    answer = json.loads(stats.answer_stats(stats.stats_question_of(query, caller(restriction), NOW)))
    seen = seen_by(restriction)
    inside = [row for row in seen if begins <= row["timestamp"] < ends]
    totals = answer["totals"]
    assert totals["total"] == len(inside) == sum(bucket["count"] for bucket in answer["buckets"])
    assert totals["distinct_users"]["value"] == len({row["user_id"] for row in inside})
    for name in ("user_id", "action", "resource_type", "source"):
        counted = {one["value"]: one["count"] for one in answer["by"][name]["values"]}
        assert counted == Counter(row[name] for row in inside), name
    before = answer["previous"]
    first, last = (datetime.datetime.fromisoformat(before["period"][name]) for name in ("from", "to"))
    assert before["totals"]["total"] == sum(first <= row["timestamp"] < last for row in seen)
    assert first >= last or last <= ends


@_settings
@given(restriction=restrictions)
@example(restriction=NOTHING)
def test_facets_count_what_is_left(restriction: Restriction) -> None:
    answer = json.loads(stats.answer_facets(stats.facets_question_of(QueryDict(f"{ALL_TIME}&top=100"), caller(restriction), NOW)))
    seen = seen_by(restriction)
    for name, facet in answer["facets"].items():
        if name in ("user_id", "action", "resource_type", "source"):
            assert {one["value"]: one["count"] for one in facet["values"]} == Counter(row[name] for row in seen), name


@_settings
@given(restriction=restrictions, data=st.data())
def test_timeline_begins_with_the_first_entry_that_is_left(restriction: Restriction, data: st.DataObject) -> None:
    request_id = data.draw(st.sampled_from(sorted({row["request_id"] for row in rows() if row["request_id"]})))
    question = timeline_question_of(QueryDict(""), request_id, caller(restriction))
    assert question is not None
    found = find_timeline(question)
    expected = sorted(str(row["id"]) for row in seen_by(restriction) if row["request_id"] == request_id)
    if not expected:
        assert found is None
        return
    assert found is not None
    timeline = found[0]
    assert [entry.id for entry in timeline.results] == expected
    assert timeline.summary.entry_count == len(expected)
    assert timeline.results[0].offset_ms == 0


@_settings
@given(restriction=restrictions, data=st.data())
def test_one_entry_is_found_and_proven_if_it_is_left(restriction: Restriction, data: st.DataObject) -> None:
    principal, seen = caller(restriction), ids(seen_by(restriction))
    row = data.draw(st.sampled_from(rows()))
    id: uuid.UUID = row["id"]
    entry = find_entry(principal, id)
    assert (entry is not None) == (str(id) in seen)
    with tenant_transaction(filled().id) as cursor:
        assert (sight.find_one(cursor, STORED_WITH_BATCH, id, principal) is not None) == (str(id) in seen)


@_settings
@given(restriction=restrictions.filter(lambda one: not one.leaves_all))
def test_cursor_of_one_restriction_is_refused_under_another(restriction: Restriction) -> None:
    cursor = find_page(question_of(QueryDict("limit=1"), caller(WHOLE_LOG))).next
    assert cursor is not None
    with pytest.raises(Invalid):
        question_of(QueryDict(f"cursor={cursor}"), caller(restriction))
    longer = Restriction((*restriction.parts, Limits(valid_until=NOW + datetime.timedelta(days=9))))
    assert longer.digest == restriction.digest != WHOLE_LOG.digest


def test_forced_query_that_can_not_be_read_shows_nothing() -> None:
    for broken in ("(", "usr:alice", 'severity:"none"'):
        assert by_pages(caller(Restriction((Limits(forced_query=broken),)))) == set()
    assert by_pages(caller(Restriction((Limits(severities=("GRAVE",)),)))) == set()


def test_words_of_a_forced_query_are_not_marked() -> None:
    principal = caller(Restriction((Limits(forced_query="paid OR alice"),)))
    page = find_page(question_of(QueryDict("highlight=true"), principal))
    assert page.entries
    assert all(not entry.highlights for entry in page.entries)
