"""Keys of kept answers, of questions as they are asked."""

from __future__ import annotations

import datetime
from dataclasses import replace

from django.http import QueryDict

from accounts.principals import Principal
from logs.stats.caching import LogState, key_of
from logs.stats.questions import facets_question_of, stats_question_of
from tests.storing import new_tenant, principal_in

NOW = datetime.datetime(2026, 3, 1, 12, 30, tzinfo=datetime.UTC)


def key(query: str, principal: Principal, now: datetime.datetime = NOW) -> str:
    question = stats_question_of(QueryDict(query), principal, now)
    return key_of(principal.tenant_id, question.identity, LogState("o", 1))


def test_key_knows_the_question_the_tenant_and_what_may_be_seen() -> None:
    queries = ["", "top=3", "bucket=day", "compare=previous", "action=LOGIN", "user_id=alice", "from=2026-02-01T00:00:00Z", "to=2026-02-01T00:00:00Z"]
    alice = principal_in(new_tenant())
    keys = {key(query, alice) for query in queries}
    keys |= {key("", principal_in(new_tenant())), key("", replace(alice, own_user_id="bob")), key("", alice, now=NOW + datetime.timedelta(hours=1))}
    facets = facets_question_of(QueryDict(""), alice, NOW)
    keys.add(key_of(alice.tenant_id, facets.identity, LogState("o", 1)))
    assert len(keys) == len(queries) + 4
    # The same hour, the same question.
    assert key("", alice) == key("", alice, now=NOW + datetime.timedelta(minutes=29))
