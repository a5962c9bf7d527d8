"""What a period comes to: kinds, series and users, put together from roll-ups, from parts of hours, or from the entries alone."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings
from django.db import OperationalError, transaction
from psycopg.errors import QueryCanceled

from logs.errors import TooExpensive
from logs.stats import sketch, users
from logs.stats.counts import KindKey, Place, Result, Rows, read_kinds, read_marks, read_rows, read_series, read_totals
from logs.stats.levels import HOUR, SPAN, ceil, floor
from logs.stats.output import DistinctUsers
from logs.stats.periods import Cover, Period, Run, Unit, cover_of
from logs.stats.questions import Counting, Source

# Users of a longer time are estimated.
EXACT_DAYS = datetime.timedelta(days=7)
# Where the roll-ups give a total and not the rest, so many entries are counted one by one for the rest.
MAX_COUNTED_ENTRIES = 50_000
# What an answer can do without has to be quick.
OPTIONAL_SECONDS = 1.0
NOT_COUNTED = DistinctUsers(None, is_exact=False)
SET_TIMEOUT = "SELECT set_config('statement_timeout', %s, true)"
TOO_MANY = f"Over {MAX_COUNTED_ENTRIES:,} entries match: the roll-ups do not tell this under these filters, and so many are not counted one by one."
TOO_SLOW = "Counting this one by one took too long under these filters."


@dataclass(frozen=True)
class Tally:
    """Counts of one period.

    What is None was not counted, for `reason` (or because only totals were asked for). Without `results`, `series` is by time alone.
    """

    is_from_rollups: bool
    total: int
    distinct: DistinctUsers
    results: Counter[Result] | None = None
    series: Counter[Place] | Counter[datetime.datetime] = field(default_factory=Counter)
    kinds: Counter[KindKey] | None = None
    busiest: list[tuple[str, int]] | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Piece:
    """Entries of a part of an hour, and whether they are to be added (1) or subtracted (-1)."""

    period: Period
    sign: int
    rows: Rows


def tally(cursor: Any, counting: Counting, unit: Unit, top: int, *, is_brief: bool = False) -> Tally:
    """Count. `is_brief`: totals alone, neither series nor busiest users."""
    match counting.source:
        case Source.KINDS:
            return _of_kinds(cursor, counting, unit, top, is_brief=is_brief)
        case Source.USERS:
            return _of_users(cursor, counting, unit, top)
        case Source.ENTRIES:
            return _of_entries(cursor, counting, unit, top)


def _of_kinds(cursor: Any, counting: Counting, unit: Unit, top: int, *, is_brief: bool) -> Tally:
    marks = read_marks(cursor)
    cover = cover_of(counting.period, marks, counting.horizon)
    pieces = read_pieces(cursor, counting, cover, unit)
    if is_brief:
        results = read_totals(cursor, cover, counting.tree)
        for piece in pieces:
            add_to(results, results_of(piece.rows.kinds), piece.sign)
        found = Tally(is_from_rollups=True, total=results.total(), distinct=NOT_COUNTED, results=results)
    else:
        kinds = read_kinds(cursor, cover, counting.tree)
        fine = cover_of(counting.period, marks, counting.horizon, coarsest=unit.coarsest)
        series = read_series(cursor, fine, counting.tree, unit)
        for piece in pieces:
            add_to(kinds, piece.rows.kinds, piece.sign)
            add_to(series, piece.rows.series, piece.sign)
        found = Tally(is_from_rollups=True, total=kinds.total(), distinct=NOT_COUNTED, results=results_of(kinds), series=series, kinds=kinds)
    if counting.tree.nodes:
        return _with_users_of_entries(cursor, found, counting, unit, top)
    busiest, distinct = _users(cursor, counting.period, cover, marks, pieces, None if is_brief else top)
    return replace(found, busiest=busiest, distinct=distinct)


def results_of(kinds: Mapping[KindKey, int]) -> Counter[Result]:
    """The kinds by severity and outcome alone."""
    results: Counter[Result] = Counter()
    for kind, count in kinds.items():
        results[Result(kind.severity, kind.outcome)] += count
    return results


def read_pieces(cursor: Any, counting: Counting, cover: Cover, unit: Unit) -> list[Piece]:
    """The parts of hours of a cover, counted one by one."""
    tenant_id = counting.principal.tenant_id
    signed = [(period, 1) for period in cover.added] + [(period, -1) for period in cover.subtracted]
    return [Piece(period, sign, read_rows(cursor, tenant_id, period, counting.tree, unit)) for period, sign in signed]


def parts_of(pieces: Sequence[Piece]) -> Counter[str]:
    """What the pieces come to for each user; below zero where more is subtracted than added."""
    parts: Counter[str] = Counter()
    for piece in pieces:
        for user_id, count in piece.rows.users.items():
            parts[user_id] += piece.sign * count
    return parts


def add_to(counts: Counter[Any], more: Mapping[Any, int], sign: int) -> None:
    """Add or subtract in place; what comes to nothing is gone."""
    for key, count in more.items():
        counts[key] += sign * count
        if not counts[key]:
            del counts[key]


def _users(
    cursor: Any, period: Period, cover: Cover, marks: Sequence[datetime.datetime], pieces: Sequence[Piece], top: int | None
) -> tuple[list[tuple[str, int]] | None, DistinctUsers]:
    """The busiest users (not with `top` None), and how many there were."""
    parts = parts_of(pieces)
    if period.length <= EXACT_DAYS:
        everybody = users.read_all(cursor, cover, marks, parts)
        return None if top is None else users.first_of(everybody, top), DistinctUsers(len(everybody), is_exact=True)
    # Sketches know no subtraction: hours that are not whole give the names of those who are left.
    whole = cover_of(Period(ceil(period.begins_at, HOUR), floor(period.ends_at, HOUR)), marks, period.ends_at)
    present = users.read_unsketched(cursor, whole, marks) | {user_id for piece in pieces if piece.sign > 0 for user_id in piece.rows.users}
    for hour in {floor(piece.period.begins_at, HOUR) for piece in pieces if piece.sign < 0}:
        outside = [piece for piece in pieces if piece.sign < 0 and floor(piece.period.begins_at, HOUR) == hour]
        alone = Cover((Run(HOUR, hour, hour + SPAN[HOUR]),))
        present |= users.read_all(cursor, alone, marks, parts_of(outside)).keys()
    value = users.estimate_distinct(cursor, whole.runs, marks, present)
    busiest = None if top is None else users.read_busiest(cursor, cover, users.read_hours(cursor, cover, marks, parts), top)
    return busiest, DistinctUsers(round(value), is_exact=False, standard_error=round(sketch.STANDARD_ERROR, 4))


def _with_users_of_entries(cursor: Any, found: Tally, counting: Counting, unit: Unit, top: int) -> Tally:
    """The users of what is filtered by kind, counted one by one where that is quick."""
    rows = _affordable(cursor, found.total, counting, unit, top)
    if isinstance(rows, str):
        return replace(found, distinct=DistinctUsers(None, is_exact=False, reason=rows), reason=rows)
    return replace(found, busiest=list(rows.users.items()), distinct=DistinctUsers(rows.user_count, is_exact=True))


def _affordable(cursor: Any, total: int, counting: Counting, unit: Unit, top: int) -> Rows | str:
    """The entries counted one by one; or why they were not."""
    if total > MAX_COUNTED_ENTRIES:
        return TOO_MANY
    seconds = min(OPTIONAL_SECONDS, settings.AUDITLOG_STATS_TIMEOUT_SECONDS)
    try:
        # A savepoint: after a statement that took too long the transaction goes on.
        with transaction.atomic():
            cursor.execute(SET_TIMEOUT, [f"{seconds * 1000:.0f}"])
            rows = read_rows(cursor, counting.principal.tenant_id, counting.period, counting.tree, unit, users=top, seconds=seconds)
            cursor.execute(SET_TIMEOUT, [f"{settings.AUDITLOG_STATS_TIMEOUT_SECONDS * 1000:.0f}"])
            return rows
    except TooExpensive:
        return TOO_SLOW
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        return TOO_SLOW


def _of_users(cursor: Any, counting: Counting, unit: Unit, top: int) -> Tally:
    marks = read_marks(cursor)
    cover = cover_of(counting.period, marks, counting.horizon, coarsest=unit.coarsest)
    series: Counter[datetime.datetime] = Counter()
    by_user: Counter[str] = Counter()
    for begins_at, user_id, count in users.read_named(cursor, cover, marks, users.names_of(counting.tree)):
        add_to(series, {unit.begin(begins_at): count}, 1)
        add_to(by_user, {user_id: count}, 1)
    for piece in read_pieces(cursor, counting, cover, unit):
        add_to(by_user, piece.rows.users, piece.sign)
        for place, count in piece.rows.series.items():
            add_to(series, {place.begins_at: count}, piece.sign)
    rows = _affordable(cursor, by_user.total(), counting, unit, top)
    if isinstance(rows, Rows):
        return _from_rows(rows)
    distinct = DistinctUsers(len(by_user), is_exact=True)
    return Tally(is_from_rollups=True, total=by_user.total(), distinct=distinct, series=series, busiest=users.first_of(by_user, top), reason=rows)


def _of_entries(cursor: Any, counting: Counting, unit: Unit, top: int) -> Tally:
    return _from_rows(read_rows(cursor, counting.principal.tenant_id, counting.period, counting.tree, unit, users=top))


def _from_rows(rows: Rows) -> Tally:
    return Tally(
        is_from_rollups=False,
        total=rows.kinds.total(),
        distinct=DistinctUsers(rows.user_count, is_exact=True),
        results=results_of(rows.kinds),
        series=rows.series,
        kinds=rows.kinds,
        busiest=list(rows.users.items()),
    )
