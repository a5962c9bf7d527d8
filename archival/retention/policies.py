"""Policies as values: what they match, which of them decides, and since when something is due. Pure.

An entry's age counts from the end of its day (UTC), by its timestamp: nothing leaves early, and what is due is due at midnight.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from archival.models.policy import DEFAULT_HOT_DAYS, DEFAULT_NAME
from logs.search.tree import All, Node, Not, SeverityIs, TextIs
from logs.storage.ids import EPOCH


class Kind(NamedTuple):
    """What policies tell entries apart by. None: a value that no policy names."""

    resource_type: str | None
    action: str | None
    severity: int


class Kept(NamedTuple):
    """How long entries are kept: in the database, and in all. Infinite: for ever."""

    hot_days: float
    total_days: float


FOR_EVER = float("inf")


@dataclass(frozen=True)
class Policy:
    """One retention policy. Empty matches: of all. `cold_days` None: for ever."""

    id: int | None
    name: str
    hot_days: int
    cold_days: int | None
    resource_types: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    severities: tuple[int, ...] = ()
    is_default: bool = False
    is_locked: bool = False
    precedence: int = 100

    @property
    def total_days(self) -> int | None:
        """Days until an entry is purged; None: it never is."""
        return None if self.cold_days is None else self.hot_days + self.cold_days

    @property
    def kept(self) -> Kept:
        total_days = self.total_days
        return Kept(self.hot_days, FOR_EVER if total_days is None else total_days)

    @functools.cached_property
    def node(self) -> All:
        """What it matches, whichever policy comes before."""
        nodes: list[Node] = []
        if self.resource_types:
            nodes.append(TextIs("resource_type", self.resource_types))
        if self.actions:
            nodes.append(TextIs("action", self.actions))
        if self.severities:
            nodes.append(SeverityIs(self.severities))
        return All(tuple(nodes))

    @property
    def matches_all(self) -> bool:
        return not (self.resource_types or self.actions or self.severities)

    @functools.cached_property
    def _named(self) -> tuple[frozenset[str], frozenset[str], frozenset[int]]:
        # Sets: tens of thousands of kinds are held against every policy when policies are changed.
        return frozenset(self.resource_types), frozenset(self.actions), frozenset(self.severities)

    def matches(self, kind: Kind) -> bool:
        types, actions, severities = self._named
        return (not types or kind[0] in types) and (not actions or kind[1] in actions) and (not severities or kind[2] in severities)

    def covers(self, other: Policy) -> bool:
        """Does it match all that `other` matches?"""
        return all(
            not own or (bool(theirs) and set(theirs) <= set(own))
            for own, theirs in ((self.resource_types, other.resource_types), (self.actions, other.actions), (self.severities, other.severities))
        )

    def meets(self, other: Policy) -> bool:
        """Is there a kind of entry that both match?"""
        return all(
            not own or not theirs or not set(own).isdisjoint(theirs)
            for own, theirs in ((self.resource_types, other.resource_types), (self.actions, other.actions), (self.severities, other.severities))
        )


# What a tenant has that has said nothing.
DEFAULT = Policy(None, DEFAULT_NAME, DEFAULT_HOT_DAYS, None, is_default=True)


def in_order(policies: Sequence[Policy]) -> tuple[Policy, ...]:
    """A tenant's policies in the order in which they count, with a default at their end."""
    found = sorted(policies, key=lambda policy: (policy.is_default, policy.precedence, policy.id is None, policy.id or 0))
    return tuple(found) if found and found[-1].is_default else (*found, DEFAULT)


def deciding(policies: Sequence[Policy], kind: Kind) -> Policy:
    """The first of the policies (`in_order`) that matches."""
    return next(policy for policy in policies if policy.matches(kind))


def decided_by(policies: Sequence[Policy], place: int) -> list[Node]:
    """Conditions that all hold for the entries that the policy at `place` decides."""
    policy = policies[place]
    earlier = [other for other in policies[:place] if other.meets(policy)]
    return [*policy.node.nodes, *(Not(other.node) for other in earlier)]


def cutoff(now: datetime.datetime, days: int) -> datetime.datetime:
    """Entries before this midnight (UTC) are older than so many days, counted from the end of their day."""
    # Before 1970 there are no entries.
    whole_days = (now - EPOCH).days - days
    return EPOCH + datetime.timedelta(days=max(whole_days, 0))
