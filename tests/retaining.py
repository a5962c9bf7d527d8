"""Policies, holds and entries for the tests of retention, and what becomes of an entry, told by hand."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hypothesis import strategies as st

from archival.retention.planning import EVERYTHING
from archival.retention.policies import DEFAULT, Policy, in_order
from logs.models import Severity
from logs.search.facts import Facts
from logs.search.tree import Node, TextIs
from logs.storage.ids import entry_id, microseconds

DAY = datetime.timedelta(days=1)
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
TYPES, ACTIONS = ("invoice", "payment", "note"), ("READ", "UPDATE")


@dataclass(frozen=True)
class Made:
    """One entry of the model."""

    number: int
    at: datetime.datetime
    resource_type: str
    action: str
    severity: int

    def facts(self) -> Facts:
        texts: dict[str, str | None] = dict.fromkeys(("user_id", "resource_id", "request_id", "session_id", "source"), "x")
        texts |= {"resource_type": self.resource_type, "action": self.action}
        id = uuid.UUID(entry_id(microseconds(self.at), self.number))
        return Facts(id=id, severity=self.severity, outcome=0, ip_address=None, texts=texts, message=None, changed_fields=[], metadata=None)


moments = st.integers(0, 20 * 24 * 60).map(lambda minutes: START + datetime.timedelta(minutes=minutes))
midnights = st.integers(0, 20).map(lambda day: START + day * DAY)
policies = st.builds(
    Policy,
    id=st.integers(1, 1000),
    name=st.just("p"),
    hot_days=st.integers(1, 12),
    cold_days=st.none() | st.integers(0, 12),
    resource_types=st.lists(st.sampled_from(TYPES), unique=True, max_size=2).map(tuple),
    actions=st.lists(st.sampled_from(ACTIONS), unique=True, max_size=1).map(tuple),
    severities=st.lists(st.sampled_from(Severity.values), unique=True, max_size=2).map(tuple),
    precedence=st.integers(0, 3),
)
defaults = st.builds(replace, st.just(DEFAULT), hot_days=st.integers(1, 12), cold_days=st.none() | st.integers(0, 12))
sets = st.tuples(st.lists(policies, max_size=4, unique_by=lambda policy: policy.id), defaults).map(lambda found: in_order([*found[0], found[1]]))
holds = st.lists(st.sampled_from([TextIs("resource_type", ("invoice",)), TextIs("action", ("READ",)), EVERYTHING]), max_size=2).map(tuple)
entries = st.lists(
    st.builds(
        Made,
        number=st.integers(0, 2**40),
        at=moments | midnights,
        resource_type=st.sampled_from(TYPES),
        action=st.sampled_from(ACTIONS),
        severity=st.sampled_from(Severity.values),
    ),
    max_size=8,
)
nows = st.integers(0, 60 * 24).map(lambda hours: START + datetime.timedelta(hours=hours))


def fate_by_hand(entry: Made, policies: Sequence[Policy], held: Sequence[Node], now: datetime.datetime) -> str | None:
    """What the documentation says, entry by entry: from its day's end on so many days hot, then so many cold, unless it is held."""
    policy = next(
        policy
        for policy in policies
        if (not policy.resource_types or entry.resource_type in policy.resource_types)
        and (not policy.actions or entry.action in policy.actions)
        and (not policy.severities or entry.severity in policy.severities)
    )
    midnight = entry.at.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    is_held = any(node == EVERYTHING or (isinstance(node, TextIs) and getattr(entry, node.field) in node.values) for node in held)
    if policy.cold_days is not None and now >= midnight + (policy.hot_days + policy.cold_days) * DAY and not is_held:
        return "purge"
    return "archive" if now >= midnight + policy.hot_days * DAY else None


Place = Literal["hot", "cold", "purged"]
_ORDER: list[Place] = ["hot", "cold", "purged"]


def place_by_hand(entry: Made, yesterday: Place | None, policies: Sequence[Policy], held: Sequence[Node], now: datetime.datetime) -> Place:
    """Where an entry has to be, by what is true today and where it was yesterday (None: it was not there yet): nothing comes back."""
    fate = fate_by_hand(entry, policies, held, now)
    today: Place = "purged" if fate == "purge" else "cold" if fate == "archive" else "hot"
    return max(yesterday or "hot", today, key=_ORDER.index)
