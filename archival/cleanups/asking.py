"""From a query string to what is to be purged, and what of it may go."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import OperationalError
from django.http import QueryDict
from psycopg.errors import QueryCanceled

from accounts.principals import Principal
from accounts.problems import Fault, NotAllowed
from archival.retention.counting import count_matches
from archival.retention.finding import policies_of
from archival.retention.held import held_in
from archival.retention.policies import Policy, cutoff, decided_by
from logs.errors import InvalidQuery, TooExpensive
from logs.search.filters import filters_of
from logs.search.parameters import number_in
from logs.search.qualifiers import Reader
from logs.search.sight import asked_by
from logs.search.tree import All, AnyOf, Node, Not, TextIs, TimestampBefore, TimestampFrom
from logs.search.values import moment_of
from logs.storage.kinds import OWN_SOURCE
from logs.storage.reading import tenant_transaction

# What is no filter of a clean-up's query string.
OTHERS = ("before", "policy", "dry_run", "confirmation")
# What the log has recorded of its own use goes by policies alone: nobody purges what was written about them.
NOT_OWN = Not(TextIs("source", (OWN_SOURCE,)))


@dataclass(frozen=True)
class CleanupQuestion:
    """What is to go: entries before `before` that the filters in `query` find, of one policy if it is named. Relative times count from `now`."""

    query: str
    before: datetime.datetime
    policy: int | None
    now: datetime.datetime


@dataclass(frozen=True)
class Found:
    """How many hot entries would go, and how many that are asked for are kept: by legal holds, by locked policies."""

    entries: int
    held: int
    locked: int


def question_of(query: QueryDict, principal: Principal, now: datetime.datetime) -> CleanupQuestion:
    """Raises InvalidQuery, and NotAllowed for who does not see the whole log."""
    if not (principal.may_administer and principal.restriction.leaves_all):
        raise NotAllowed("A clean-up needs the role Admin, for the whole log.")
    filters = QueryDict(mutable=True)
    for name in query:
        if name not in OTHERS:
            filters.setlist(name, query.getlist(name))
    # The parameters by name, `before` and `policy` among them.
    filters_of(query, *OTHERS)
    policy = number_in(query, "policy")
    if not filters and policy is None and "before" not in query:
        raise InvalidQuery([Fault("before", "missing_parameter", "Say what is to go: `before`, `policy`, or filters of search.")])
    question = CleanupQuestion(filters.urlencode(), _before(query, principal, policy, now), policy, now)
    # For its faults.
    asked_tree(question, principal)
    return question


def _before(query: QueryDict, principal: Principal, policy_id: int | None, now: datetime.datetime) -> datetime.datetime:
    """`before`; without it, what is over by the policy that is named, else now. Raises InvalidQuery."""
    text = query.get("before")
    if text is not None:
        try:
            before = moment_of(text)
        except ValueError as error:
            raise InvalidQuery([Fault("before", "bad_timestamp", f"{error}.")]) from None
        if before > now:
            raise InvalidQuery([Fault("before", "in_the_future", "`before` is in the future: what is not there yet can't be counted.")])
        return before
    if policy_id is None:
        return now
    total_days = _policy_at(policies_of(principal.tenant_id), policy_id)[1].total_days
    if total_days is None:
        raise InvalidQuery([Fault("policy", "keeps_for_ever", "This policy keeps for ever. Say `before` as well.")])
    return cutoff(now, total_days)


def asked_tree(question: CleanupQuestion, principal: Principal) -> All:
    """What is asked for, whatever keeps some of it. Raises InvalidQuery."""
    filters = QueryDict(question.query, mutable=True)
    words = filters.pop("q", None)
    nodes: list[Node] = [filters_of(filters).tree()] if filters else []
    if words:
        nodes.append(Reader(question.now).tree(str(words[-1])))
    if question.policy is not None:
        policies = policies_of(principal.tenant_id)
        nodes += decided_by(policies, _policy_at(policies, question.policy)[0])
    asked = asked_by(principal, All(tuple(nodes)), question.now)
    return All((TimestampBefore(question.before), NOT_OWN, *asked.nodes))


def purgeable_tree(question: CleanupQuestion, principal: Principal) -> All:
    """What of it may go now: without what legal holds and locked policies keep."""
    kept = [*held_in(principal.tenant_id), *locked_in(policies_of(principal.tenant_id), question.now)]
    return All((*asked_tree(question, principal).nodes, *(Not(node) for node in kept)))


def locked_in(policies: Sequence[Policy], now: datetime.datetime) -> list[Node]:
    """What locked policies keep at `now`: all that they match and that is younger than they say. Pure."""
    found: list[Node] = []
    for policy in policies:
        if policy.is_locked:
            young = [] if policy.total_days is None else [TimestampFrom(cutoff(now, policy.total_days))]
            found.append(All((*policy.node.nodes, *young)))
    return found


def count(question: CleanupQuestion, principal: Principal) -> Found:
    """Count what would go. Raises InvalidQuery, and TooExpensive."""
    tenant_id = principal.tenant_id
    asked = asked_tree(question, principal)
    held, locked = AnyOf(held_in(tenant_id)), AnyOf(tuple(locked_in(policies_of(tenant_id), question.now)))
    trees = [All((asked, Not(held), Not(locked))), All((asked, held)), All((asked, Not(held), locked))]
    try:
        with tenant_transaction(tenant_id, settings.AUDITLOG_SEARCH_TIMEOUT_SECONDS) as cursor:
            _, entries, by_holds, by_policies = count_matches(cursor, tenant_id, trees, TimestampBefore(question.before))
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooExpensive("Clean up in steps: an earlier `before` first, or a `from` and `to`.") from error
        raise
    return Found(entries, by_holds, by_policies)


def _policy_at(policies: Sequence[Policy], id: int) -> tuple[int, Policy]:
    """The place of a policy in its order, and the policy. Raises InvalidQuery."""
    for place, policy in enumerate(policies):
        if policy.id == id:
            return place, policy
    raise InvalidQuery([Fault("policy", "unknown_policy", f"There is no retention policy {id}.")])
