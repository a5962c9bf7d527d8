"""What a period comes to: kinds, series and users, put together from roll-ups, from parts of hours, or from the entries alone."""

from __future__ import annotations

import datetime
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.db import OperationalError, transaction
from psycopg.errors import QueryCanceled

from logs.search.tree import All
from logs.stats import sketch, users
from logs.stats.counts import KindKey, Place, Rows, read_kinds, read_marks, read_rows, read_series
from logs.stats.levels import HOUR, SPAN, floor
from logs.stats.output import DistinctUsers
from logs.stats.periods import Cover, Period, Unit, cover_of
from logs.stats.questions import Counting, Source

# Users of a longer time are estimated.
EXACT_DAYS = datetime.timedelta(days=7)
# Where the roll-ups give a total and not the rest, so many entries are counted one by one for the rest.
MAX_COUNTED_ENTRIES = 50_000
# What an answer can do without has to be quick.
OPTIONAL_SECONDS = 1.0
SET_TIMEOUT = "SELECT set_config('statement_timeout', %s, true)"
TOO_MANY = f"Over {MAX_COUNTED_ENTRIES:,} entries match: the roll-ups do not tell this under these filters, and so many are not counted one by one."
TOO_SLOW = "Counting this one by one took too long under these filters."


@dataclass(frozen=True)
class Tally:
    """Counts of one period.

    `kinds` and `busiest` are None where they were not counted, for `reason`. `series` is by bucket; without errors, by time alone,
    if `kinds` is None.
    """

    is_from_rollups: bool
    total: int
    kinds: Counter[KindKey] | None
    series: Counter[Place] | Counter[datetime.datetime]
    busiest: list[tuple[str, int]] | None
    distinct: DistinctUsers
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
    pieces = read_pieces(cursor, cover, counting.tree, unit)
    kinds = read_kinds(cursor, cover, counting.tree)
    series: Counter[Place] = Counter()
    if not is_brief:
        fine = cover_of(counting.period, marks, counting.horizon, coarsest=unit.coarsest)
        series = read_series(cursor, fine, counting.tree, unit)
    for piece in pieces:
        add_to(kinds, piece.rows.kinds, piece.sign)
        add_to(series, piece.rows.series, piece.sign)
    found = Tally(is_from_rollups=True, total=kinds.total(), kinds=kinds, series=series, busiest=None, distinct=DistinctUsers(None, is_exact=False))
    if counting.tree.nodes:
        return _with_users_of_entries(cursor, found, counting, unit, top)
    parts = parts_of(pieces)
    return replace(
        found,
        busiest=None if is_brief else users.read_busiest(cursor, cover, parts, top),
        distinct=_distinct(cursor, counting.period, cover, marks, pieces, parts),
    )


def read_pieces(cursor: Any, cover: Cover, tree: All, unit: Unit) -> list[Piece]:
    """The parts of hours of a cover, counted one by one."""
    signed = [(period, 1) for period in cover.added] + [(period, -1) for period in cover.subtracted]
    return [Piece(period, sign, read_rows(cursor, period, tree, unit)) for period, sign in signed]


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


def _distinct(
    cursor: Any, period: Period, cover: Cover, marks: Sequence[datetime.datetime], pieces: Sequence[Piece], parts: Mapping[str, int]
) -> DistinctUsers:
    if period.length <= EXACT_DAYS:
        return DistinctUsers(users.count_distinct(cursor, cover, parts), is_exact=True)
    # Sketches know no subtraction: hours that are not whole give the names of those who are left.
    whole = cover_of(Period(_hour_from(period.begins_at), floor(period.ends_at, HOUR)), marks, period.ends_at)
    present = {user_id for piece in pieces if piece.sign > 0 for user_id in piece.rows.users}
    left: dict[datetime.datetime, Counter[str]] = defaultdict(Counter)
    for piece in pieces:
        if piece.sign < 0:
            hour = floor(piece.period.begins_at, HOUR)
            left[hour] = left[hour] or users.users_of_hour(cursor, hour)
            add_to(left[hour], piece.rows.users, -1)
    present.update(*left.values())
    value = users.estimate_distinct(cursor, whole.runs, marks, present)
    return DistinctUsers(round(value), is_exact=False, standard_error=round(sketch.STANDARD_ERROR, 4))


def _hour_from(moment: datetime.datetime) -> datetime.datetime:
    hour = floor(moment, HOUR)
    return hour if hour == moment else hour + SPAN[HOUR]


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
    try:
        # A savepoint: after a statement that took too long the transaction goes on.
        with transaction.atomic():
            cursor.execute(SET_TIMEOUT, [f"{min(OPTIONAL_SECONDS, settings.AUDITLOG_STATS_TIMEOUT_SECONDS) * 1000:.0f}"])
            rows = read_rows(cursor, counting.period, counting.tree, unit, users=top)
            cursor.execute(SET_TIMEOUT, [f"{settings.AUDITLOG_STATS_TIMEOUT_SECONDS * 1000:.0f}"])
            return rows
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        return TOO_SLOW


def _of_users(cursor: Any, counting: Counting, unit: Unit, top: int) -> Tally:
    marks = read_marks(cursor)
    cover = cover_of(counting.period, marks, counting.horizon)
    pieces = read_pieces(cursor, cover, counting.tree, unit)
    by_user = users.read_named(cursor, cover, counting.tree)
    for piece in pieces:
        add_to(by_user, piece.rows.users, piece.sign)
    rows = _affordable(cursor, by_user.total(), counting, unit, top)
    if isinstance(rows, Rows):
        return _from_rows(rows)
    fine = cover_of(counting.period, marks, counting.horizon, coarsest=unit.coarsest)
    series = users.read_series_of_users(cursor, fine, counting.tree, unit)
    for piece in pieces:
        for place, count in piece.rows.series.items():
            add_to(series, {place.begins_at: count}, piece.sign)
    return Tally(
        is_from_rollups=True,
        total=by_user.total(),
        kinds=None,
        series=series,
        busiest=users.first_of(by_user, top),
        distinct=DistinctUsers(len(by_user), is_exact=True),
        reason=rows,
    )


def _of_entries(cursor: Any, counting: Counting, unit: Unit, top: int) -> Tally:
    return _from_rows(read_rows(cursor, counting.period, counting.tree, unit, users=top))


def _from_rows(rows: Rows) -> Tally:
    return Tally(
        is_from_rollups=False,
        total=rows.kinds.total(),
        kinds=rows.kinds,
        series=rows.series,
        busiest=list(rows.users.items()),
        distinct=DistinctUsers(rows.user_count, is_exact=True),
    )
