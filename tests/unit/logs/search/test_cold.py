"""Filters over Parquet: what statistics rule out, and which columns tell. (That nothing is ruled out wrongly is a property: test_same_answer.)"""

from __future__ import annotations

import pytest

from logs.models import Severity
from logs.search.cold import as_cold, cold_filter_of
from logs.search.tree import All, AnyOf, HasPhrase, MetadataIs, Node, Not, SeverityIs, TextIs, TextStarts, TierIs
from logs.search.words import Phrase

KNOWN = {"user_id": ("bob", "dave"), "severity": ("ERROR", "INFO"), "action": ("LOGIN", "LOGIN")}
BOB, EVE = TextIs("user_id", ("bob",)), TextIs("user_id", ("eve",))


@pytest.mark.parametrize(
    ("node", "may_hold"),
    [
        (All(), True),
        (AnyOf(), False),
        (BOB, True),
        (EVE, False),
        (TextIs("user_id", ("alice", "carol")), True),
        (TextIs("session_id", ("unknown",)), True),
        (TextStarts("user_id", "c"), True),
        (TextStarts("user_id", "dav"), True),
        (TextStarts("user_id", "davf"), False),
        (TextStarts("user_id", "a"), False),
        (TextStarts("user_id", ""), True),
        (SeverityIs((int(Severity.INFO),)), True),
        (SeverityIs((int(Severity.CRITICAL),)), False),
        (All((BOB, EVE)), False),
        (AnyOf((BOB, EVE)), True),
        (AnyOf((EVE, TextIs("action", ("LOGOUT",)))), False),
        (Not(EVE), True),
        (HasPhrase(Phrase(("word",))), True),
    ],
)
def test_statistics_rule_out_what_can_not_be(node: Node, may_hold: bool) -> None:
    assert cold_filter_of(node).may_hold(KNOWN.get) is may_hold


@pytest.mark.parametrize(
    ("node", "columns", "is_exact"),
    [
        (All(), (), True),
        (BOB, ("user_id",), True),
        (All((BOB, Not(SeverityIs((1,))))), ("user_id", "severity"), True),
        (All((BOB, HasPhrase(Phrase(("word",))))), ("user_id", "message", "metadata", "resource_id", "resource_type"), False),
        (MetadataIs(("a",), "x"), ("metadata",), False),
        (HasPhrase(Phrase(("日本",))), (), False),
    ],
)
def test_only_columns_that_tell_are_read_and_rows_only_where_these_do_not_say_it_all(node: Node, columns: tuple[str, ...], is_exact: bool) -> None:
    found = cold_filter_of(node)
    assert (found.columns, found.is_exact) == (columns, is_exact)
    assert (found.expression is None) == (columns == ())


def test_tiers_mean_the_other_thing_in_segments() -> None:
    assert as_cold(All((TierIs("cold"), BOB))) == All((BOB,))
    assert as_cold(All((TierIs("hot"), BOB))) == All((AnyOf(), BOB))
    assert as_cold(Not(TierIs("hot"))) == Not(AnyOf())
