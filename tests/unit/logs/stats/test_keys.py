"""Keys of kept answers: no two questions, tenants or logs share one."""

from __future__ import annotations

import datetime
import uuid
from dataclasses import replace

from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from accounts.principals import Principal
from logs.stats.caching import LogState, key_of
from logs.stats.questions import facets_question_of, stats_question_of

NOW = datetime.datetime(2026, 3, 1, 12, 30, tzinfo=datetime.UTC)
ALICE = Principal(uuid.UUID(int=1), "t", "key:testing", frozenset(), own_user_id=None)
PARTS = st.tuples(st.uuids(), st.text(max_size=12), st.text(st.sampled_from("0123456789:"), max_size=6), st.integers(0, 99))


def key(query: str, principal: Principal = ALICE, now: datetime.datetime = NOW) -> str:
    question = stats_question_of(QueryDict(query), principal, now)
    return key_of(principal.tenant_id, question.identity, LogState("o", 1))


@given(one=PARTS, other=PARTS)
def test_keys_differ_where_anything_does(one: tuple[uuid.UUID, str, str, int], other: tuple[uuid.UUID, str, str, int]) -> None:
    keys = [key_of(tenant, identity, LogState(origin, count)) for tenant, identity, origin, count in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


def test_key_knows_the_question_the_tenant_and_what_may_be_seen() -> None:
    queries = ["", "top=3", "bucket=day", "compare=previous", "action=LOGIN", "user_id=alice", "from=2026-02-01T00:00:00Z", "to=2026-02-01T00:00:00Z"]
    keys = {key(query) for query in queries}
    keys |= {key("", replace(ALICE, tenant_id=uuid.UUID(int=2))), key("", replace(ALICE, own_user_id="bob")), key("", now=NOW + datetime.timedelta(hours=1))}
    facets = facets_question_of(QueryDict(""), ALICE, NOW)
    keys.add(key_of(ALICE.tenant_id, facets.identity, LogState("o", 1)))
    assert len(keys) == len(queries) + 4
    # The same hour, the same question.
    assert key("") == key("", now=NOW + datetime.timedelta(minutes=29))
