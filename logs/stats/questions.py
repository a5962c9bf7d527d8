"""From a query string to what is to be counted, and from where: the roll-ups, or the entries themselves."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.conf import settings
from django.http import QueryDict

from accounts.principals import Principal
from accounts.problems import Fault
from logs.errors import InvalidQuery
from logs.search.filters import filters_of
from logs.search.pseudonyms import with_pseudonyms
from logs.search.sight import what_they_may_see
from logs.search.tree import All, AnyOf, Node, Not, OutcomeIs, SeverityIs, TextIs, TimestampBefore, TimestampFrom, conjuncts
from logs.stats.levels import HOUR, SPAN, floor
from logs.stats.periods import MAX_BUCKETS, Period, Unit, bucket_count, unit_for
from logs.storage.ids import EPOCH

DEFAULT_LENGTH = datetime.timedelta(hours=24)
DEFAULT_TOP = 10
LATEST = datetime.datetime.max.replace(tzinfo=datetime.UTC)
MAX_TOP = 100
FIELDS = ("action", "severity", "outcome", "resource_type", "source", "user_id")
# What a kind of the roll-ups has a column for.
_TEXTS_OF_KINDS = frozenset({"action", "resource_type", "source"})


class Source(enum.Enum):
    """Where the counts come from: the filters decide."""

    KINDS = "kinds"
    USERS = "users"
    ENTRIES = "entries"


@dataclass(frozen=True)
class Counting:
    """What is to be counted: the entries of `tree` in `period`. `tree` holds what the principal may see, and no time.

    `sight`: the time that the principal may see; the period lies within it. `horizon`: no entry is later.
    """

    principal: Principal
    tree: All
    period: Period
    sight: Period
    horizon: datetime.datetime

    @property
    def source(self) -> Source:
        """KINDS if the roll-ups know all that is filtered by, USERS if it is users and nothing else."""
        if all(_is_of_kinds(node) for node in self.tree.nodes):
            return Source.KINDS
        if all(isinstance(node, TextIs) and node.field == "user_id" for node in self.tree.nodes):
            return Source.USERS
        return Source.ENTRIES

    def over(self, period: Period) -> Counting:
        """The same of another period, as far as the principal may see it."""
        return replace(self, period=period.within(self.sight))

    @property
    def identity(self) -> str:
        """Tells this from all others that may have another answer."""
        return f"{self.principal.tenant_id} {self.principal.restriction.digest} {self.period!r} {self.sight!r} {self.tree!r}"


@dataclass(frozen=True)
class StatsQuestion:
    counting: Counting
    unit: Unit
    top: int
    is_compared: bool

    @property
    def identity(self) -> str:
        return f"stats {self.counting.identity} {self.unit} {self.top} {self.is_compared}"


@dataclass(frozen=True)
class FacetsQuestion:
    counting: Counting
    fields: tuple[str, ...]
    top: int

    @property
    def identity(self) -> str:
        return f"facets {self.counting.identity} {self.fields} {self.top}"


def stats_question_of(query: QueryDict, principal: Principal, now: datetime.datetime) -> StatsQuestion:
    """The question of `/logs/stats`. Raises InvalidQuery."""
    counting = _counting_of(query, principal, now, "bucket", "top", "compare")
    top = _top_of(query, "top")
    compare = query.get("compare")
    if compare not in (None, "previous"):
        raise InvalidQuery([Fault("compare", "unknown_value", "compare is previous.")])
    return StatsQuestion(counting, _unit_of(query.get("bucket", "auto"), counting.period), top, compare is not None)


def facets_question_of(query: QueryDict, principal: Principal, now: datetime.datetime) -> FacetsQuestion:
    """The question of `/logs/facets`. Raises InvalidQuery."""
    counting = _counting_of(query, principal, now, "fields", "top")
    fields = tuple(dict.fromkeys(query.get("fields", ",".join(FIELDS)).split(",")))
    unknown = [name for name in fields if name not in FIELDS]
    if unknown:
        raise InvalidQuery([Fault("fields", "unknown_value", f"{unknown[0]!r} is none of {', '.join(FIELDS)}.")])
    return FacetsQuestion(counting, fields, _top_of(query, "top"))


def _counting_of(query: QueryDict, principal: Principal, now: datetime.datetime, *others: str) -> Counting:
    asked, (begins_at, ends_at) = _apart(filters_of(query, *others).tree().nodes)
    seen, (seen_from, seen_until) = _apart(what_they_may_see(principal, now))
    horizon = now + datetime.timedelta(seconds=settings.AUDITLOG_MAX_FUTURE_SECONDS)
    sight = Period(seen_from or EPOCH, seen_until or LATEST)
    tree = with_pseudonyms(principal, All(tuple(asked)), tuple(seen))
    return Counting(principal, tree, _period(begins_at, ends_at, now, horizon).within(sight), sight, horizon)


def _apart(nodes: Iterable[Node]) -> tuple[list[Node], tuple[datetime.datetime | None, datetime.datetime | None]]:
    """Conditions that all hold, without those of time; and from when, and until when, those are."""
    begins_at: datetime.datetime | None = None
    ends_at: datetime.datetime | None = None
    others: list[Node] = []
    for node in conjuncts(All(tuple(nodes))):
        match node:
            case TimestampFrom(moment):
                begins_at = moment if begins_at is None else max(begins_at, moment)
            case TimestampBefore(moment):
                ends_at = moment if ends_at is None else min(ends_at, moment)
            case _:
                others.append(node)
    return others, (begins_at, ends_at)


def _period(begins_at: datetime.datetime | None, ends_at: datetime.datetime | None, now: datetime.datetime, horizon: datetime.datetime) -> Period:
    """The period asked for, without the time before ids begin and after the newest entry that there can be.

    By default it ends with the hour that is now, and is 24 hours long.
    """
    latest = floor(horizon, HOUR) + SPAN[HOUR]
    end = floor(now, HOUR) + SPAN[HOUR] if ends_at is None else min(max(ends_at, EPOCH), latest)
    if begins_at is None:
        begin = max(EPOCH, end - DEFAULT_LENGTH)
    else:
        begin = max(EPOCH, begins_at)
    return Period(min(begin, end), end)


def _unit_of(text: str, period: Period) -> Unit:
    if text == "auto":
        return unit_for(period)
    if text not in list(Unit):
        raise InvalidQuery([Fault("bucket", "unknown_value", f"bucket is auto, {', '.join(Unit)}.")])
    unit = Unit(text)
    if bucket_count(period, unit) > MAX_BUCKETS + 2:
        raise InvalidQuery([Fault("bucket", "too_many_buckets", f"That would be over {MAX_BUCKETS} buckets. Take a longer one, or a shorter time.")])
    return unit


def _top_of(query: QueryDict, name: str) -> int:
    text = query.get(name, str(DEFAULT_TOP))
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MAX_TOP):
        raise InvalidQuery([Fault(name, "bad_limit", f"{name} has to be a whole number from 1 to {MAX_TOP}.")])
    return int(text)


def _is_of_kinds(node: Node) -> bool:
    match node:
        case TextIs(field):
            return field in _TEXTS_OF_KINDS
        case SeverityIs() | OutcomeIs():
            return True
        case All(nodes) | AnyOf(nodes):
            return all(_is_of_kinds(member) for member in nodes)
        case Not(inner):
            return _is_of_kinds(inner)
        case _:
            return False
