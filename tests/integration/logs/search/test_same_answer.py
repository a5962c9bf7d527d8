"""One question, three answers that have to be one: SQL, the predicate, and the filter over Parquet."""

from __future__ import annotations

import functools
import uuid
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from accounts.models import Tenant
from logs.models import Outcome, Severity
from logs.search.cold import cold_filter_of
from logs.search.predicate import predicate_of
from logs.search.sql import condition_by_index_of, condition_of
from logs.search.tree import All, HasPhrase, Node, Not, TextStarts
from logs.search.words import Phrase, lowered
from logs.storage.parquet import ENTRY_SCHEMA
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
                "changed_fields": row["changed_fields"],
                **{name: row[name] for name in (*TEXTS, "ip_address", "message", "metadata")},
            }
            for row in rows()
        ],
        schema=pa.schema([ENTRY_SCHEMA.field(name) for name in ("id", "severity", "outcome", "changed_fields", *TEXTS, "ip_address", "message", "metadata")]),
    )


def _statistics(column: str) -> tuple[str, str] | None:
    values = [value for value in table()[column].to_pylist() if value is not None]
    return (min(values), max(values)) if values else None


@pytest.mark.parametrize("start", range(0, 0x110000, 0x10000))
def test_letters_that_are_ascii_in_lower_case_are_so_for_arrow(start: int) -> None:
    # What the words of a query are looked for in: an expression that held for fewer entries than the predicate would lose them.
    letters = [chr(code) for code in range(start, start + 0x10000) if not 0xD800 <= code < 0xE000]
    odd = [letter for letter in letters if any(sign.isascii() for sign in lowered(letter))]
    assert pc.utf8_lower(pa.array(odd, pa.string())).to_pylist() == [lowered(letter) for letter in odd]


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
    left = table() if cold.expression is None else table().select(cold.columns).append_column("id_", table()["id"]).filter(cold.expression)
    kept = {uuid.UUID(id) for id in left.column("id" if cold.expression is None else "id_").to_pylist()}
    assert kept == expected if cold.is_exact else kept >= expected
    assert {row["id"] for row in rows() if row["id"] in kept and cold.predicate(facts_of(row))} == expected
    assert not expected or cold.may_hold(_statistics)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_words_of_an_entry_find_it(data: st.DataObject) -> None:
    row = data.draw(st.sampled_from([row for row in rows() if facts_of(row).words]))
    facts = facts_of(row)
    word = data.draw(st.sampled_from(sorted(facts.words)))
    assert row["id"] in by_sql(HasPhrase(Phrase((word,))), with_index_condition=False)
    start = word[: data.draw(st.integers(1, len(word)))]
    assert row["id"] in by_sql(HasPhrase(Phrase((start,), is_prefix=True)), with_index_condition=False)
