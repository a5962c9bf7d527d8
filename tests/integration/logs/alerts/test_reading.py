"""A rule finds among the entries that it is shown what its query finds among all of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from accounts.models import Tenant
from logs.alerts.definition import Compiled, actions_of
from logs.alerts.reading import Chunk, read_chunk
from logs.search.predicate import predicate_of
from logs.search.tree import All, Node
from tests.brute_force import example_entries, facts_of, rows_of
from tests.search_strategies import trees
from tests.sequencing import now, sequence_all
from tests.storing import new_tenant, store


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    tenant = new_tenant()
    entries = example_entries(120)
    for start in range(0, len(entries), 50):
        store(tenant, entries[start : start + 50])
    sequence_all()
    return tenant


@pytest.fixture(scope="module")
def chunk(tenant: Tenant) -> Chunk:
    return read_chunk(tenant.id, -1, 1000, now())


@pytest.fixture(scope="module")
def rows(tenant: Tenant) -> list[dict[str, Any]]:
    return rows_of(tenant)


@settings(max_examples=200, deadline=None)
@given(tree=trees)
def test_rule_finds_what_brute_force_finds_in_order(chunk: Chunk, rows: list[dict[str, Any]], tree: Node) -> None:
    predicate = predicate_of(tree)
    rule = Compiled(All((tree,)), predicate, actions_of(tree), (), sees_own_entries=True)
    for begins_at in (0, 60):
        found = [entry.position for entry in chunk.candidates(rule, begins_at) if predicate(entry.facts)]
        assert found == sorted(row["position"] for row in rows if row["position"] >= begins_at and predicate(facts_of(row)))


def test_chunk_holds_each_entry_with_its_position_and_moment(chunk: Chunk, tenant: Tenant, rows: list[dict[str, Any]]) -> None:
    assert {entry.position: entry.id for entry in chunk.entries} == {row["position"]: row["id"] for row in rows}
    assert [entry.position for entry in chunk.entries] == list(range(chunk.tree_size))
    pieces = [entry.id for after in range(-1, chunk.tree_size - 1, 7) for entry in read_chunk(tenant.id, after, 7, now()).entries]
    assert pieces == [entry.id for entry in chunk.entries]
