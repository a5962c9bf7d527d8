"""The answers: what a tally comes to in the words of the API."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from logs.models import Outcome, Severity
from logs.stats.counts import KindKey, Place, Rows, read_kinds, read_marks, read_newest
from logs.stats.output import (
    Breakdown,
    Breakdowns,
    Change,
    CountedPeriod,
    CountedValue,
    Facet,
    Facets,
    FacetsByField,
    Part,
    PreviousPeriod,
    Statistics,
    StatsBucket,
    Totals,
)
from logs.stats.periods import Period, Unit, buckets_of, cover_of
from logs.stats.questions import FacetsQuestion, Source, StatsQuestion
from logs.stats.tally import Tally, add_to, parts_of, read_pieces, tally
from logs.stats.users import first_of, read_busiest, read_hours

FACETS_LOOK_AT = 10_000
_LABELS: dict[str, dict[int, str]] = {"severity": dict(Severity.choices), "outcome": dict(Outcome.choices)}


def statistics_of(cursor: Any, question: StatsQuestion) -> Statistics:
    """The answer to `/logs/stats`. Needs a cursor of `tenant_snapshot`."""
    counting = question.counting
    found = tally(cursor, counting, question.unit, question.top)
    totals = _totals(found)
    previous = None
    if question.is_compared:
        before = counting.over(counting.period.before)
        previous = _previous(before.period, totals, _totals(tally(cursor, before, question.unit, question.top, is_brief=True)))
    return Statistics(
        period=_period(counting.period),
        counted_from="rollups" if found.is_from_rollups else "entries",
        totals=totals,
        bucket=question.unit.value,
        buckets=list(_buckets(found, counting.period, question.unit)),
        by=_breakdowns(found, question.top),
        previous=previous,
    )


def facets_of(cursor: Any, question: FacetsQuestion) -> Facets:
    """The answer to `/logs/facets`. Needs a cursor of `tenant_snapshot`."""
    counting, top = question.counting, question.top
    facets: dict[str, Facet] = {}
    rows: Rows | None = None
    if counting.source is Source.KINDS:
        marks = read_marks(cursor)
        cover = cover_of(counting.period, marks, counting.horizon)
        pieces = read_pieces(cursor, counting, cover, Unit.MONTH)
        kinds = read_kinds(cursor, cover, counting.tree)
        for piece in pieces:
            add_to(kinds, piece.rows.kinds, piece.sign)
        total = kinds.total()
        facets = {name: Facet(_values(first_of(values_of(kinds, name), top)), True, total) for name in question.fields if name != "user_id"}
        if "user_id" in question.fields and not counting.tree.nodes:
            hours = read_hours(cursor, cover, marks, parts_of(pieces))
            facets["user_id"] = Facet(_values(read_busiest(cursor, cover, hours, top)), True, total)
    missing = [name for name in question.fields if name not in facets]
    if missing:
        rows = read_newest(cursor, counting.principal.tenant_id, counting.period, counting.tree, FACETS_LOOK_AT)
        looked_at = rows.kinds.total()
        for name in missing:
            values = first_of(rows.users if name == "user_id" else values_of(rows.kinds, name), top)
            facets[name] = Facet(_values(values), looked_at < FACETS_LOOK_AT, looked_at)
    return Facets(_period(counting.period), FacetsByField(**facets))


def values_of(kinds: Mapping[KindKey, int], name: str) -> Counter[str]:
    """The entries of each value of a field, by its name on the wire."""
    counts: Counter[str] = Counter()
    place, labels = KindKey._fields.index(name), _LABELS.get(name)
    for kind, count in kinds.items():
        value: Any = kind[place]
        counts[labels[value] if labels else value] += count
    return counts


def is_error(severity: int) -> bool:
    return severity >= Severity.ERROR


def is_failure(outcome: int) -> bool:
    return outcome == Outcome.FAILURE


def _totals(found: Tally) -> Totals:
    if found.results is None:
        return Totals(found.total, None, None, found.distinct)
    errors = sum(count for result, count in found.results.items() if is_error(result.severity))
    failures = sum(count for result, count in found.results.items() if is_failure(result.outcome))
    return Totals(found.total, Part(errors, _share(errors, found.total)), Part(failures, _share(failures, found.total)), found.distinct)


def _previous(period: Period, now: Totals, before: Totals) -> PreviousPeriod:
    change = Change(
        total=now.total - before.total,
        total_share=_share(now.total - before.total, before.total),
        errors_share=_difference(now.errors, before.errors),
        failures_share=_difference(now.failures, before.failures),
        distinct_users=None if now.distinct_users.value is None or before.distinct_users.value is None
        else now.distinct_users.value - before.distinct_users.value,
    )  # fmt: skip
    return PreviousPeriod(_period(period), before, change)


def _buckets(found: Tally, period: Period, unit: Unit) -> Iterator[StatsBucket]:
    counts: Counter[datetime.datetime] = Counter()
    errors: Counter[datetime.datetime] = Counter()
    failures: Counter[datetime.datetime] = Counter()
    for place, count in found.series.items():
        if isinstance(place, Place):
            counts[place.begins_at] += count
            errors[place.begins_at] += count if is_error(place.severity) else 0
            failures[place.begins_at] += count if is_failure(place.outcome) else 0
        else:
            counts[place] += count
    is_known = found.results is not None
    for begin, part in buckets_of(period, unit):
        yield StatsBucket(
            rfc3339(part.begins_at), rfc3339(part.ends_at), counts[begin], errors[begin] if is_known else None, failures[begin] if is_known else None
        )


def _breakdowns(found: Tally, top: int) -> Breakdowns:
    by: dict[str, Breakdown] = {}
    for name in KindKey._fields:
        if found.kinds is None:
            by[name] = Breakdown(None, None, found.reason)
        else:
            by[name] = _breakdown(first_of(values_of(found.kinds, name), top), found.total)
    by["user_id"] = Breakdown(None, None, found.reason) if found.busiest is None else _breakdown(found.busiest, found.total)
    return Breakdowns(**by)


def _breakdown(values: list[tuple[str, int]], total: int) -> Breakdown:
    return Breakdown(_values(values), total - sum(count for _, count in values))


def _values(values: list[tuple[str, int]]) -> list[CountedValue]:
    return [CountedValue(value, count) for value, count in values]


def _share(count: int, total: int) -> float | None:
    return round(count / total, 6) if total else None


def _difference(now: Part | None, before: Part | None) -> float | None:
    if now is None or before is None or now.share is None or before.share is None:
        return None
    return round(now.share - before.share, 6)


def _period(period: Period) -> CountedPeriod:
    return CountedPeriod(rfc3339(period.begins_at), rfc3339(period.ends_at))


def rfc3339(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
