"""How PostgreSQL answers the searches of the product: which partitions it opens, which it leaves alone, by which index.

The statements are those of `logs.search` and `logs.storage`, run by the application's role as they always are; the
figures are EXPLAIN ANALYZE's own. Five days with 2,000 entries each, of one tenant.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.http import QueryDict
from psycopg import sql

from accounts.models import Tenant
from logs.alerts.reading import SELECT_IDS, SELECT_OLDEST_WAITING, entry_ids_at
from logs.integrity.lag import SELECT_LAG
from logs.integrity.storage import SELECT_BATCHES, SELECT_POSITIONS, read_batches
from logs.search.filters import filters_of
from logs.search.output import COLUMNS
from logs.search.pages import find_by_id
from logs.search.positions import SELECT_BATCHES_FROM, SELECT_ENTRIES
from logs.search.qualifiers import Reader
from logs.search.sql import Condition, condition_of, select_page, select_page_by_index
from logs.search.timeline import select_timeline
from logs.search.tree import MetadataIs
from logs.sequencer.rounds import SELECT_WAITING
from logs.storage.columns import SELECT_STORED
from logs.storage.connecting import connect
from logs.storage.ids import floor_id
from logs.storage.reading import NAME_TENANT, tenant_parameters, tenant_transaction
from tests.sequencing import sequence_all
from tests.storing import new_tenant, principal_in, store
from tests.superuser import superuser

# These questions have no words, which are all that is asked of a tenant by name.
NOBODY = UUID(int=0)
DAYS = 5
ENTRIES_A_DAY = 2000
DAY = datetime.timedelta(days=1)
START = datetime.datetime.now(datetime.UTC).replace(hour=0, minute=0, second=0, microsecond=0) - DAYS * DAY


def entry(day: int, number: int) -> dict[str, Any]:
    moment = START + day * DAY + datetime.timedelta(seconds=number * 43)
    return {
        "timestamp": moment.isoformat(),
        "user_id": f"user-{number % 67}",
        "action": f"ACTION_{number % 19}",
        "resource_type": f"type-{number % 3}",
        "resource_id": f"resource-{number % 41}",
        "request_id": f"request-{day}-{number // 3}",
        "session_id": f"session-{number % 83}",
        "ip_address": f"10.0.{number % 5}.{number % 101}",
        "severity": "INFO" if number % 23 else "ERROR",
        "outcome": "success",
        "metadata": {"number": number, "note": "n" * 100},
    }


@dataclass(frozen=True)
class Filled:
    """A tenant with entries on `DAYS` days; `ids[day]` are theirs."""

    tenant: Tenant
    ids: list[list[str]]


@pytest.fixture(scope="module")
def filled() -> Filled:
    tenant = new_tenant()
    ids = [store(tenant, [entry(day, number) for number in range(ENTRIES_A_DAY)]) for day in range(DAYS)]
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("ANALYZE auditlog.logs_entry")
    return Filled(tenant, ids)


def partition_of(day: int) -> str:
    begins = START + day * DAY
    return f"logs_entry_{begins:%Y%m%d}_{begins + DAY:%Y%m%d}"


def index_parents() -> dict[str, str]:
    """For each index of a partition the name of the table's index that it is a part of."""
    with connections["maintenance"].cursor() as cursor:
        cursor.execute(
            "SELECT part.relname, whole.relname FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid "
            "JOIN pg_class AS whole ON whole.oid = inhparent WHERE whole.relkind = 'I'"
        )
        return dict(cursor.fetchall())


class Plan:
    """What EXPLAIN (ANALYZE) says of one statement."""

    def __init__(self, answer: Any) -> None:
        self._root = (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]

    def _nodes(self, node: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield node
        for child in node.get("Plans", []):
            yield from self._nodes(child)

    @property
    def scans(self) -> list[dict[str, Any]]:
        return [node for node in self._nodes(self._root) if "Relation Name" in node]

    @property
    def mentioned(self) -> set[str]:
        """Partitions that are part of the plan, read or not."""
        return {node["Relation Name"] for node in self.scans}

    @property
    def read(self) -> set[str]:
        """Partitions of which anything was read."""
        return {node["Relation Name"] for node in self.scans if node["Actual Loops"] > 0}

    @property
    def indexes(self) -> set[str]:
        """The table's indexes by which the partitions are scanned."""
        parents = index_parents()
        return {parents[node["Index Name"]] for node in self._nodes(self._root) if "Index Name" in node}

    @property
    def has_sort(self) -> bool:
        return any(node["Node Type"] in ("Sort", "Incremental Sort") for node in self._nodes(self._root))


def explain(tenant: Tenant, statement: Condition) -> Plan:
    with tenant_transaction(tenant.id) as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == (connections["default"].settings_dict["USER"],)
        cursor.execute(sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) ") + statement.text, statement.parameters)
        return Plan(cursor.fetchone()[0])


def page(query: str, *, limit: int = 10, after: str | None = None, before: str | None = None) -> Condition:
    """The statement of a page, as `logs.search.pages` asks it: one more than shown."""
    tree = filters_of(QueryDict(query)).tree()
    return select_page(COLUMNS, tree, NOBODY, after=UUID(after) if after else None, before=UUID(before) if before else None, limit=limit + 1)


NEWEST_FIRST = {
    "": "logs_entry_pkey",
    "user_id=user-3": "logs_entry_user",
    "action=ACTION_4": "logs_entry_action",
    "resource_type=type-2&resource_id=resource-2": "logs_entry_resource",
    "session_id=session-5": "logs_entry_session",
    "severity=ERROR": "logs_entry_severity",
}


@pytest.mark.parametrize("day", range(DAYS))
def test_an_entry_is_found_by_its_id_in_one_partition(filled: Filled, day: int) -> None:
    plan = explain(filled.tenant, find_by_id(principal_in(filled.tenant), UUID(filled.ids[day][77])))
    assert plan.mentioned == plan.read == {partition_of(day)}
    assert plan.indexes == {"logs_entry_pkey"}


@pytest.mark.parametrize(("query", "index"), NEWEST_FIRST.items(), ids=[query or "everything" for query in NEWEST_FIRST])
def test_a_page_of_the_newest_never_opens_older_partitions(filled: Filled, query: str, index: str) -> None:
    plan = explain(filled.tenant, page(query))
    older = {partition_of(day) for day in range(DAYS - 1)}
    assert partition_of(DAYS - 1) in plan.read
    # They are in the plan, so that a filter with few entries reaches them; and they are never executed.
    assert older <= plan.mentioned
    assert not older & plan.read
    assert index in plan.indexes
    assert not plan.has_sort


@pytest.mark.parametrize(("query", "index"), NEWEST_FIRST.items(), ids=[query or "everything" for query in NEWEST_FIRST])
def test_a_page_further_down_opens_neither_newer_nor_older_partitions(filled: Filled, query: str, index: str) -> None:
    middle = filled.ids[2][-1]
    plan = explain(filled.tenant, page(query, after=middle))
    assert plan.read == {partition_of(2)}
    assert not {partition_of(3), partition_of(4)} & plan.mentioned
    plan = explain(filled.tenant, page(query, before=filled.ids[2][0]))
    assert plan.read == {partition_of(2)}
    assert not {partition_of(0), partition_of(1)} & plan.mentioned
    assert index in plan.indexes


def test_few_entries_are_found_by_their_own_index(filled: Filled) -> None:
    # Of these days alone: in other tests' partitions of the same database there is next to nothing, and any plan does.
    days = f"from={START:%Y-%m-%dT%H:%M:%SZ}&to={START + DAYS * DAY:%Y-%m-%dT%H:%M:%SZ}&"
    for query, index in {"request_id=request-1-8": "logs_entry_request", "ip_address=10.0.2.7": "logs_entry_ip_address"}.items():
        plan = explain(filled.tenant, page(days + query))
        assert {partition_of(day) for day in range(DAYS)} <= plan.read
        assert plan.indexes == {index}


def by_index(tenant: Tenant, q: str, day: int) -> Plan:
    """The plan of a window over one day."""
    low, high = (floor_id(START + number * DAY) for number in (day, day + 1))
    statement = select_page_by_index(COLUMNS, Reader(START).tree(q), tenant.id, low=low, high=high, limit=51, is_ascending=False)
    return explain(tenant, statement)


@pytest.mark.parametrize("q", ["resource-7", "resource-7 user-3", "absent", "resource-7*", '"resource 7"', "changed:x"])
def test_words_and_what_is_rare_together_are_found_by_the_index_of_words(filled: Filled, q: str) -> None:
    plan = by_index(filled.tenant, q, 2)
    assert plan.indexes == {"logs_entry_words"}
    assert plan.mentioned == {partition_of(2)}


def test_what_metadata_contains_is_found_by_the_same_index(filled: Filled) -> None:
    """So few rows of one tenant are read as a whole by choice; the question is whether they could be read otherwise."""
    condition = condition_of(MetadataIs(("number",), "77"), filled.tenant.id)
    with superuser() as connection, connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off")
        statement = sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) SELECT id FROM auditlog.logs_entry WHERE {}").format(condition.text)
        answer = connection.execute(statement, condition.parameters).fetchone()
    assert answer is not None
    assert Plan(answer[0]).indexes == {"logs_entry_words"}


def test_another_tenants_words_stay_out_and_the_index_is_still_used(filled: Filled) -> None:
    """Together: a view that kept the rows out by giving up the index would take seconds (decision 0004)."""
    other = new_tenant()
    store(other, [entry(2, number) for number in range(ENTRIES_A_DAY)])
    with connections["maintenance"].cursor() as cursor:
        cursor.execute(f"ANALYZE auditlog.{partition_of(2)}")
    plan = by_index(other, "resource-7", 2)
    assert plan.indexes == {"logs_entry_words"}
    # Both have the same entries with the same words.
    assert [node["Actual Rows"] for node in plan.scans] == [len(range(7, ENTRIES_A_DAY, 41))]


def test_a_timeline_is_read_in_order_by_the_index_of_its_request(filled: Filled) -> None:
    between = f"from={START:%Y-%m-%dT%H:%M:%SZ}&to={START + DAYS * DAY:%Y-%m-%dT%H:%M:%SZ}&"
    tree = filters_of(QueryDict(between + "request_id=request-2-8")).tree()
    plan = explain(filled.tenant, select_timeline(COLUMNS, tree, filled.tenant.id, None, 1001))
    assert {partition_of(day) for day in range(DAYS)} <= plan.read
    assert plan.indexes == {"logs_entry_request"}
    assert not plan.has_sort
    # A further page leaves alone what is older; a range, what is outside of it.
    plan = explain(filled.tenant, select_timeline(COLUMNS, tree, filled.tenant.id, UUID(filled.ids[2][24]), 1001))
    assert plan.mentioned == {partition_of(day) for day in (2, 3, 4)}
    assert plan.indexes == {"logs_entry_request"}
    plan = explain(filled.tenant, page(f"from={START + 2 * DAY:%Y-%m-%dT%H:%M:%SZ}&to={START + 3 * DAY:%Y-%m-%dT%H:%M:%SZ}&request_id=request-2-8"))
    assert plan.mentioned == {partition_of(2)}


def test_a_range_of_time_leaves_other_partitions_out_of_the_plan(filled: Filled) -> None:
    begins, ends = START + DAY, START + 3 * DAY
    between = f"from={begins:%Y-%m-%dT%H:%M:%SZ}&to={ends:%Y-%m-%dT%H:%M:%SZ}"
    for query in ("", "&user_id=user-3", "&ip_address=10.0.0.0/16"):
        plan = explain(filled.tenant, page(between + query, limit=1000))
        assert plan.mentioned <= {partition_of(1), partition_of(2)}
        assert partition_of(2) in plan.read


def test_the_writer_looks_for_stored_entries_in_their_own_partitions(filled: Filled) -> None:
    wanted: Sequence[str] = [filled.ids[1][5], filled.ids[3][6]]
    with connect("default") as connection, connection.transaction(), connection.cursor() as cursor:
        cursor.execute(NAME_TENANT, tenant_parameters(filled.tenant.id))
        found = cursor.execute(sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) ") + SELECT_STORED, [wanted]).fetchone()
    assert found is not None
    plan = Plan(found[0])
    assert plan.mentioned == {partition_of(1), partition_of(3)}
    assert plan.indexes == {"logs_entry_pkey"}


# -- the log


@pytest.fixture(scope="module")
def sequenced(filled: Filled) -> Filled:
    """The same, with many batches that are sequenced and one that waits."""
    for _ in range(60):
        store(filled.tenant, [{}])
    sequence_all()
    store(filled.tenant, [{}])
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("ANALYZE auditlog.logs_batch")
    return filled


def indexes_of_batches(tenant: Tenant, alias: str, statement: str, parameters: Any) -> set[str]:
    """The indexes by which logs_batch is read."""
    with connect(alias) as connection, connection.transaction(), connection.cursor() as cursor:
        cursor.execute(NAME_TENANT, tenant_parameters(tenant.id))
        # So few rows are read as a whole by choice; the question is whether they could be read otherwise.
        cursor.execute("SET LOCAL enable_seqscan = off")
        answer = cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}".encode(), parameters).fetchone()
    assert answer is not None
    return {node["Index Name"] for node in Plan(answer[0]).scans if node["Relation Name"] == "logs_batch" and "Index Name" in node}


def test_the_sequencer_reads_what_waits_and_no_other_batch(sequenced: Filled) -> None:
    parameters = {"set_aside": [], "groups": 1, "led": [0], "max_batches": 1000, "max_entries": 50_000}
    assert indexes_of_batches(sequenced.tenant, "sequencer", SELECT_WAITING, parameters) == {"logs_batch_waiting"}
    assert indexes_of_batches(sequenced.tenant, "default", SELECT_LAG, None) == {"logs_batch_waiting"}


def test_batches_are_found_by_their_positions(sequenced: Filled) -> None:
    assert indexes_of_batches(sequenced.tenant, "default", SELECT_BATCHES, {"low": 5000, "high": 5100}) == {"logs_batch_position"}
    assert indexes_of_batches(sequenced.tenant, "default", SELECT_BATCHES_FROM, [5000, 10]) == {"logs_batch_position"}


def test_places_of_entries_are_found_by_the_key_of_their_batch(sequenced: Filled) -> None:
    assert indexes_of_batches(sequenced.tenant, "default", SELECT_POSITIONS, [[1], [0]]) == {"logs_batch_pkey"}


def test_entries_of_a_batch_are_found_in_the_partitions_that_hold_them(sequenced: Filled) -> None:
    with tenant_transaction(sequenced.tenant.id) as cursor:
        (batch,) = read_batches(cursor, 2 * ENTRIES_A_DAY + 5, 2 * ENTRIES_A_DAY + 6)
    statement = sql.SQL(SELECT_ENTRIES).format(columns=sql.SQL(", ").join(COLUMNS), condition=sql.SQL("true"))
    plan = explain(sequenced.tenant, Condition(statement, ([batch.id], batch.lowest_id, batch.highest_id, batch.id, 5, batch.id, 6)))
    assert plan.mentioned == {partition_of(2)}


def test_ids_at_positions_are_found_in_the_partitions_that_hold_them(sequenced: Filled) -> None:
    plan = explain(sequenced.tenant, Condition(sql.SQL(SELECT_IDS), ([2 * ENTRIES_A_DAY + 5, 2 * ENTRIES_A_DAY + 9],)))
    assert {name for name in plan.read if name.startswith("logs_entry_")} == {partition_of(2)}
    assert {node.get("Index Name") for node in plan.scans if node["Relation Name"] == "logs_batch"} == {"logs_batch_position"}
    assert entry_ids_at(sequenced.tenant.id, [5, 2 * ENTRIES_A_DAY + 5]) == {
        5: UUID(sequenced.ids[0][5]),
        2 * ENTRIES_A_DAY + 5: UUID(sequenced.ids[2][5]),
    }


def test_what_waits_longest_is_found_among_what_waits(sequenced: Filled) -> None:
    assert indexes_of_batches(sequenced.tenant, "default", SELECT_OLDEST_WAITING, None) == {"logs_batch_waiting"}
