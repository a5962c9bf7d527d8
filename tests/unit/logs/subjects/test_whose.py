"""What a question about users means where the log has their pseudonyms."""

from __future__ import annotations

import pytest

from logs.search.tree import All, AnyOf, Node, Not, TextIs, TextStarts
from logs.subjects.whose import meaning_pseudonyms

CAROL = TextIs("user_id", ("carol", "p_1"))


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        (TextIs("user_id", ("carol",)), CAROL),
        (TextIs("user_id", ("dave",)), TextIs("user_id", ("dave",))),
        (TextIs("resource_id", ("carol",)), TextIs("resource_id", ("carol",))),
        (TextStarts("user_id", "car"), AnyOf((TextStarts("user_id", "car"), TextIs("user_id", ("p_1",))))),
        (TextStarts("user_id", "dav"), TextStarts("user_id", "dav")),
        (All((Not(TextIs("user_id", ("carol",))), AnyOf((TextIs("action", ("A",)),)))), All((Not(CAROL), AnyOf((TextIs("action", ("A",)),))))),
    ],
)
def test_condition_on_the_subject_holds_for_their_pseudonym(asked: Node, meant: Node) -> None:
    assert meaning_pseudonyms(asked, "carol", ["p_1"]) == meant
