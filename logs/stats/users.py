"""Who was busiest, and how many there were: exact, without reading every user of a long range.

Of hours and days that are over, one row names all users; it is added up here. Over long ranges the busiest are found by a threshold
(Fagin, Lotem, Naor 2001): each span gives its busiest few; nobody who is in none of these lists can have more than the last
places of all lists together. What the candidates have in all is then looked up by key. If that does not settle it (users who
are all about equally busy), every count of the range is added up.
"""

from __future__ import annotations

import datetime
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from psycopg import sql

from logs.search.tree import All, TextIs
from logs.stats import sketch
from logs.stats.counts import union_of
from logs.stats.levels import BLOCK, HOUR
from logs.stats.periods import Cover, Run
from logs.stats.seen import decode_users
from logs.storage.kinds import add_up

LEAST_HEADS = 50
HEADS_PER_PLACE = 4

# Plan: a range of the key.
_ROWS_OF_RUN = "SELECT begins_at, user_id, entry_count FROM auditlog.logs_rollup_user_view WHERE level = %s AND begins_at >= %s AND begins_at < %s"
_SEEN_IN_RUN = "SELECT begins_at, users FROM auditlog.logs_rollup_seen_view WHERE level = %s AND begins_at >= %s AND begins_at < %s"
_REGISTERS_OF_RUN = "SELECT registers FROM auditlog.logs_rollup_seen_view WHERE level = %s AND begins_at >= %s AND begins_at < %s"
# Plan: logs_batch_waiting.
_WAITING = """
SELECT * FROM (
    SELECT (h.hour || ':00:00Z')::timestamptz AS begins_at, u.user_id, u.entry_count::bigint
    FROM auditlog.logs_batch_view AS b CROSS JOIN LATERAL jsonb_each(b.users::jsonb) AS h (hour, by_user)
    CROSS JOIN LATERAL jsonb_each_text(h.by_user) AS u (user_id, entry_count) WHERE b.first_position IS NULL
) AS waiting WHERE begins_at >= %s AND begins_at < %s
"""
_BY_USER = "SELECT user_id, sum(entry_count)::bigint FROM ({counted}) AS c (begins_at, user_id, entry_count) GROUP BY 1"
_OF_USERS = "SELECT begins_at, user_id, sum(entry_count)::bigint FROM ({counted}) AS c (begins_at, user_id, entry_count) WHERE user_id = ANY (%s) GROUP BY 1, 2"
# Plan: logs_rollup_user_busiest, the first few of each span.
_HEADS_OF_SPANS = """
SELECT p.place, u.user_id, u.entry_count FROM unnest(%s::smallint[], %s::timestamptz[]) WITH ORDINALITY AS p (level, begins_at, place)
CROSS JOIN LATERAL (
    SELECT user_id, entry_count FROM auditlog.logs_rollup_user_view WHERE level = p.level AND level > 0 AND begins_at = p.begins_at
    ORDER BY entry_count DESC LIMIT %s
) AS u
"""
# Plan: the key, once for each span and candidate.
_CANDIDATES_IN_SPANS = """
SELECT user_id, sum(entry_count)::bigint FROM auditlog.logs_rollup_user_view WHERE level = %s AND begins_at = ANY (%s) AND user_id = ANY (%s) GROUP BY user_id
"""


def read_all(cursor: Any, cover: Cover, marks: Sequence[datetime.datetime], parts: Mapping[str, int]) -> dict[str, int]:
    """Every user of a cover. `parts`: what the cover adds and subtracts, counted from the entries."""
    return {name: count for name, count in _read(cursor, cover.runs, cover, marks, parts).items() if count > 0}


def read_busiest(cursor: Any, cover: Cover, hours: Mapping[str, int], limit: int) -> list[tuple[str, int]]:
    """The `limit` busiest users of a cover, most entries first, then by name. `hours`: what there is besides its days and blocks."""
    most = max(HEADS_PER_PLACE * limit, LEAST_HEADS)
    runs = [run for run in cover.runs if run.level > HOUR]
    lists = [*_heads(cursor, runs, most), heapq.nlargest(most, hours.items(), key=lambda one: one[1])]
    candidates, bound = candidates_of(lists, most)
    totals = {user_id: hours.get(user_id, 0) for user_id in candidates}
    for user_id, count in _of_each(cursor, _CANDIDATES_IN_SPANS, [(run.level, run.spans, candidates) for run in runs]):
        totals[user_id] += count
    found = first_of(totals, limit)
    if bound == 0 or (len(found) == limit and found[-1][1] > bound):
        return found
    everybody = dict(hours)
    # What waits is among `hours`.
    add_up(everybody, _added_up(cursor, runs, Cover(())))
    return first_of(everybody, limit)


def read_hours(cursor: Any, cover: Cover, marks: Sequence[datetime.datetime], parts: Mapping[str, int]) -> dict[str, int]:
    """The users of a cover's hours, of what waits in its time, and of `parts`: all besides its days and blocks.

    Below zero where a part of an hour is to be subtracted from a day.
    """
    return _read(cursor, [run for run in cover.runs if run.level == HOUR], cover, marks, parts)


def read_unsketched(cursor: Any, cover: Cover, marks: Sequence[datetime.datetime]) -> set[str]:
    """The users of a cover that no sketch knows of yet: of hours that are not over, and of what waits."""
    rests = [_split(run, marks)[1] for run in cover.runs if run.level == HOUR]
    return set(_added_up(cursor, [rest for rest in rests if not rest.is_empty], cover))


def estimate_distinct(cursor: Any, runs: Sequence[Run], marks: Sequence[datetime.datetime], present: Iterable[str]) -> float:
    """How many users there were in these runs, from sketches; `present`: who was there besides."""
    over = [_split(run, marks)[0] for run in runs]
    sketches = [bytes(registers) for (registers,) in _of_each(cursor, _REGISTERS_OF_RUN, [_bounds(run) for run in over])]
    return sketch.estimate(sketch.merge([*sketches, sketch.sketch_of(present)]))


def names_of(tree: All) -> list[str]:
    """The users that `tree` (of users alone) names: with several conditions, those in all of them."""
    named = [set(node.values) for node in tree.nodes if isinstance(node, TextIs)]
    return sorted(set.intersection(*named)) if named else []


def read_named(cursor: Any, cover: Cover, marks: Sequence[datetime.datetime], names: Sequence[str]) -> Iterator[tuple[datetime.datetime, str, int]]:
    """The entries of some users in a cover's runs: where a span begins, whose, how many."""
    hours = [_split(run, marks) for run in cover.runs if run.level == HOUR]
    for begins_at, text in _of_each(cursor, _SEEN_IN_RUN, [_bounds(over) for over, _ in hours]):
        by_user = decode_users(text)
        yield from ((begins_at, name, by_user[name]) for name in names if name in by_user)
    rows = [run for run in cover.runs if run.level > HOUR] + [rest for _, rest in hours if not rest.is_empty]
    counted = union_of(_ROWS_OF_RUN, _WAITING, rows, cover.runs)
    cursor.execute(sql.SQL(_OF_USERS).format(counted=counted.text), (*counted.parameters, list(names)))
    yield from cursor.fetchall()


def candidates_of(lists: Iterable[Sequence[tuple[str, int]]], most: int) -> tuple[list[str], int]:
    """Everybody in the lists (each with its most entries first, cut off at `most`), and what anybody else can have at most."""
    candidates: dict[str, None] = {}
    bound = 0
    for one in lists:
        candidates |= dict.fromkeys(user_id for user_id, _ in one)
        if len(one) == most:
            bound += max(0, one[-1][1])
    return list(candidates), bound


def first_of(totals: Mapping[str, int], limit: int) -> list[tuple[str, int]]:
    """The `limit` greatest, greatest first, then by name."""
    order: Callable[[tuple[str, int]], tuple[int, str]] = lambda one: (-one[1], one[0])  # noqa: E731  # a name for the order
    return heapq.nsmallest(limit, ((name, count) for name, count in totals.items() if count > 0), key=order)


def _read(cursor: Any, runs: Sequence[Run], cover: Cover, marks: Sequence[datetime.datetime], parts: Mapping[str, int]) -> dict[str, int]:
    """The users of `runs`, of what waits in the time of `cover`, and of `parts`."""
    total: dict[str, int] = {}
    named = [_split(run, marks) for run in runs if run.level < BLOCK]
    for _, text in _of_each(cursor, _SEEN_IN_RUN, [_bounds(over) for over, _ in named]):
        add_up(total, decode_users(text))
    rows = [run for run in runs if run.level == BLOCK] + [rest for _, rest in named if not rest.is_empty]
    add_up(total, _added_up(cursor, rows, cover))
    add_up(total, parts)
    return total


def _added_up(cursor: Any, runs: Sequence[Run], cover: Cover) -> dict[str, int]:
    """The rows of `runs`, and what waits in the time of `cover`, by user."""
    counted = union_of(_ROWS_OF_RUN, _WAITING, runs, cover.runs)
    cursor.execute(sql.SQL(_BY_USER).format(counted=counted.text), counted.parameters)
    return dict(cursor.fetchall())


def _heads(cursor: Any, runs: Iterable[Run], most: int) -> list[list[tuple[str, int]]]:
    """The busiest of each span."""
    spans = [(run.level, begins_at) for run in runs for begins_at in run.spans]
    cursor.execute(_HEADS_OF_SPANS, [[level for level, _ in spans], [begins_at for _, begins_at in spans], most])
    lists: list[list[tuple[str, int]]] = [[] for _ in spans]
    for place, user_id, count in cursor.fetchall():
        lists[place - 1].append((user_id, count))
    return lists


def _split(run: Run, marks: Sequence[datetime.datetime]) -> tuple[Run, Run]:
    """The part of a run that is compacted, and the rest."""
    at = min(run.ends_at, max(run.begins_at, marks[run.level]))
    return Run(run.level, run.begins_at, at), Run(run.level, at, run.ends_at)


def _bounds(run: Run) -> tuple[Any, ...]:
    return run.level, run.begins_at, run.ends_at


def _of_each(cursor: Any, statement: str, parameters: Sequence[tuple[Any, ...]]) -> list[Any]:
    """The rows of one statement with each of several sets of parameters, asked at once."""
    if not parameters:
        return []
    cursor.execute(" UNION ALL ".join([statement] * len(parameters)), [value for values in parameters for value in values])
    return list(cursor.fetchall())
