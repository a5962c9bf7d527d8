"""Hot and cold searched as one: whatever is archived, every question has the same answer as before."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from accounts.models import Tenant
from accounts.principals import Principal
from logs.search.cursor import decode
from logs.search.pages import Question, find_page
from logs.search.tree import All, Node, Tier, TierIs
from logs.storage.ids import floor_id
from tests.archiving import archive, archive_at
from tests.brute_force import example_entries
from tests.search_strategies import trees
from tests.sequencing import sequence_all
from tests.storing import new_tenant, principal_in, store

START = datetime.datetime(2025, 3, 1, tzinfo=datetime.UTC)
COUNT = 150
TIERS: tuple[Tier, ...] = ("cold", "hot")


def spread(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries over forty days, several at some of the moments."""
    return [entry | {"timestamp": (START + datetime.timedelta(hours=6 * (number // 2))).isoformat()} for number, entry in enumerate(entries)]


def pages_of(principal: Principal, tree: Node, limit: int, *, back: bool = False) -> list[list[dict[str, Any]]]:
    """Every page of the answer, from the newest on; or from the oldest back."""
    question = Question(principal, All((tree,)), b"tested", limit)
    found = []
    while True:
        page = find_page(question)
        found.append([json.loads(msgspec.json.encode(entry)) for entry in page.entries])
        link = page.previous if back else page.next
        if link is None or not page.entries:
            return found
        question = Question(principal, question.tree, question.identity, limit, decode(link, question.identity))


@pytest.fixture(scope="module")
def tenant(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    tenant = new_tenant()
    entries = spread(example_entries(COUNT))
    for start in range(0, len(entries), 50):
        store(tenant, entries[start : start + 50])
    sequence_all()
    with archive_at(tmp_path_factory.mktemp("archive")):
        yield tenant


def questions() -> list[tuple[Node, int]]:
    found: list[tuple[Node, int]] = []

    @seed(24)
    @settings(max_examples=200, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(trees, st.sampled_from([13, 40]))
    def collect(tree: Node, limit: int) -> None:
        found.append((tree, limit))

    collect()
    return found


@pytest.mark.slow
def test_two_hundred_questions_have_the_same_answers_before_and_after(tenant: Tenant) -> None:
    principal = principal_in(tenant)
    asked = questions()
    assert len(asked) >= 200
    before = [pages_of(principal, tree, limit) for tree, limit in asked]
    assert sum(len(pages) > 2 for pages in before) > 20
    # A stretch in the middle, then the oldest, then, later, what is between them and still in both tiers; and entries that came late.
    bounds = [floor_id(START + datetime.timedelta(days=days)) for days in (0, 4, 8, 16, 30)]
    archive(tenant, low=bounds[2], high=bounds[3])
    archive(tenant, low=bounds[0], high=bounds[1])
    archive(tenant, low=bounds[1], high=bounds[3], frees=False)
    for (tree, limit), pages in zip(asked, before, strict=True):
        assert pages_of(principal, tree, limit) == pages, (tree, limit)
    archive(tenant, low=bounds[1], high=bounds[4], group_rows=16)
    for number, ((tree, limit), pages) in enumerate(zip(asked, before, strict=True)):
        if number % 3 == 0:
            assert pages_of(principal, tree, limit) == pages, (tree, limit)
        if number % 10 == 0:
            cold, hot = ([entry["id"] for page in pages_of(principal, All((tree, TierIs(tier))), 1000) for entry in page] for tier in TIERS)
            assert sorted(cold + hot) == sorted(entry["id"] for page in pages for entry in page)
            assert all(id < str(bounds[4]) for id in cold)
            assert all(id >= str(bounds[4]) for id in hot)
