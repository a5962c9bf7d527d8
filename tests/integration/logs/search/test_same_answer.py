"""One question, three answers that have to be one: SQL, the predicate, and the filter over Parquet."""

from __future__ import annotations

import functools
import uuid
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from accounts.models import Tenant
from logs.models import Outcome, Severity
from logs.search.cold import cold_filter_of
from logs.search.predicate import predicate_of
from logs.search.sql import condition_by_index_of, condition_of
from logs.search.tree import All, HasPhrase, Node, Not, TextStarts
from logs.search.words import Phrase
from logs.storage.reading import tenant_transaction
from tests.brute_force import TEXTS, example_entries, facts_of, rows_of
from tests.search_strategies import trees
from tests.storing import new_tenant, store

COUNT = 250


@functools.cache
def _examples() -> list[dict[str, Any]]:
    return example_entries(COUNT)


@functools.cache
def filled() -> Tenant:
    tenant = new_tenant()
    for start in range(0, len(_examples()), 50):
        store(tenant, _examples()[start : start + 50])
    return tenant


@functools.cache
def rows() -> list[dict[str, Any]]:
    return rows_of(filled())


@functools.cache
def table() -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "id": str(row["id"]),
                "severity": Severity(row["severity"]).label,
                "outcome": Outcome(row["outcome"]).label,
                **{name: row[name] for name in TEXTS},
            }
            for row in rows()
        ],
        schema=pa.schema([(name, pa.string()) for name in ("id", "severity", "outcome", *TEXTS)]),
    )


def by_sql(tree: Node, *, with_index_condition: bool) -> set[uuid.UUID]:
    tenant_id = filled().id
    where = (condition_by_index_of if with_index_condition else condition_of)(tree, tenant_id)
    with tenant_transaction(tenant_id) as cursor:
        cursor.execute(sql.SQL("SELECT id FROM auditlog.logs_entry_view WHERE {}").format(where.text), where.parameters)
        return {row[0] for row in cursor.fetchall()}


def test_entries_are_of_every_kind() -> None:
    assert len(rows()) == len(_examples()) > 200
    assert any(row["metadata"] and "\\" in row["metadata"] for row in rows())


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees)
@example(All())
@example(Not(TextStarts("resource_id", "")))
@example(HasPhrase(Phrase(("a.",), is_prefix=True)))
def test_three_ways_find_the_same_entries(tree: Node) -> None:
    predicate = predicate_of(tree)
    expected = {row["id"] for row in rows() if predicate(facts_of(row))}
    assert by_sql(tree, with_index_condition=False) == expected
    # What the index of words is asked leaves out none of them.
    assert by_sql(tree, with_index_condition=True) == expected
    cold = cold_filter_of(tree)
    left = table() if cold.expression is None else table().filter(cold.expression)
    kept = {uuid.UUID(id) for id in left.column("id").to_pylist()}
    assert kept >= expected
    assert {row["id"] for row in rows() if row["id"] in kept and cold.predicate(facts_of(row))} == expected


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_words_of_an_entry_find_it(data: st.DataObject) -> None:
    row = data.draw(st.sampled_from([row for row in rows() if facts_of(row).words]))
    facts = facts_of(row)
    word = data.draw(st.sampled_from(sorted(facts.words)))
    assert row["id"] in by_sql(HasPhrase(Phrase((word,))), with_index_condition=False)
    start = word[: data.draw(st.integers(1, len(word)))]
    assert row["id"] in by_sql(HasPhrase(Phrase((start,), is_prefix=True)), with_index_condition=False)
