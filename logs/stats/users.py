"""Who was busiest, and how many there were: exact, without reading every user of a long range.

The busiest by a threshold (Fagin, Lotem, Naor 2001): each span gives its busiest few; nobody who is in none of these lists can have
more than the last places of all lists together. What the candidates have in all is then looked up by key. If that does not
settle it (users who are all about equally busy), every count of the range is added up.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg import sql

from logs.search.sql import Condition, condition_of
from logs.search.tree import All
from logs.stats import sketch
from logs.stats.counts import union_of
from logs.stats.levels import HOUR, SPAN
from logs.stats.periods import Cover, Run, Unit

LEAST_HEADS = 50
HEADS_PER_PLACE = 4

# Plan: a range of the key.
_USERS_OF_RUN = "SELECT begins_at, user_id, entry_count FROM auditlog.logs_rollup_user_view WHERE level = %s AND begins_at >= %s AND begins_at < %s"
# Plan: logs_batch_waiting.
_USERS_WAITING = """
SELECT * FROM (
    SELECT (h.hour || ':00:00Z')::timestamptz AS begins_at, u.user_id, u.entry_count::bigint
    FROM auditlog.logs_batch_view AS b CROSS JOIN LATERAL jsonb_each(b.users::jsonb) AS h (hour, by_user)
    CROSS JOIN LATERAL jsonb_each_text(h.by_user) AS u (user_id, entry_count) WHERE b.first_position IS NULL
) AS waiting WHERE begins_at >= %s AND begins_at < %s
"""
# Counts of parts of hours, from the entries; below zero for what is outside of the period.
_USERS_OF_PARTS = "SELECT NULL::timestamptz, * FROM unnest(%s::text[], %s::bigint[])"
# Plan: logs_rollup_user_busiest, the first few of each span.
_HEADS_OF_SPANS = """
SELECT p.place, u.user_id, u.entry_count FROM unnest(%s::smallint[], %s::timestamptz[]) WITH ORDINALITY AS p (level, begins_at, place)
CROSS JOIN LATERAL (
    SELECT user_id, entry_count FROM auditlog.logs_rollup_user_view WHERE level = p.level AND level > 0 AND begins_at = p.begins_at
    ORDER BY entry_count DESC LIMIT %s
) AS u
"""
_BUSIEST = """
SELECT user_id, sum(entry_count)::bigint AS total FROM ({counted}) AS c (begins_at, user_id, entry_count)
GROUP BY user_id ORDER BY total DESC, user_id COLLATE "C" LIMIT {limit}
"""
# Plan: the key, once for each span and candidate.
_CANDIDATES_IN_SPANS = """
SELECT begins_at, user_id, entry_count FROM auditlog.logs_rollup_user_view WHERE level = %s AND begins_at = ANY (%s) AND user_id = ANY (%s)
"""
_OF_CANDIDATES = "SELECT user_id, sum(entry_count)::bigint FROM ({counted}) AS c (begins_at, user_id, entry_count) WHERE user_id = ANY (%s) GROUP BY 1"
_HOW_MANY = "SELECT count(*) FROM (SELECT FROM ({counted}) AS c (begins_at, user_id, entry_count) GROUP BY user_id HAVING sum(entry_count) > 0) AS seen"
_SERIES = (
    "SELECT date_trunc({unit}, begins_at, 'UTC'), sum(entry_count)::bigint FROM ({counted}) AS c (begins_at, user_id, entry_count) WHERE {condition} GROUP BY 1"
)
_NAMED = "SELECT user_id, sum(entry_count)::bigint FROM ({counted}) AS c (begins_at, user_id, entry_count) WHERE {condition} GROUP BY 1"
_WHO = "SELECT DISTINCT user_id FROM ({counted}) AS c (begins_at, user_id, entry_count)"
_SKETCHES = "SELECT registers FROM auditlog.logs_rollup_sketch_view WHERE level = %s AND begins_at >= %s AND begins_at < %s"


def read_series_of_users(cursor: Any, cover: Cover, tree: All, unit: Unit) -> Counter[datetime.datetime]:
    """Entries by bucket of the users that `tree` (of users alone) names. The cover's spans lie in one bucket each."""
    counted, condition = _of_runs(cover.runs, cover.runs), condition_of(tree)
    statement = sql.SQL(_SERIES).format(unit=sql.Literal(str(unit)), counted=counted.text, condition=condition.text)
    cursor.execute(statement, (*counted.parameters, *condition.parameters))
    return Counter(dict(cursor.fetchall()))


def read_named(cursor: Any, cover: Cover, tree: All) -> Counter[str]:
    """Entries of each of the users that `tree` (of users alone) names, in the runs of a cover."""
    counted, condition = _of_runs(cover.runs, cover.runs), condition_of(tree)
    cursor.execute(sql.SQL(_NAMED).format(counted=counted.text, condition=condition.text), (*counted.parameters, *condition.parameters))
    return Counter(dict(cursor.fetchall()))


def read_busiest(cursor: Any, cover: Cover, parts: Mapping[str, int], limit: int) -> list[tuple[str, int]]:
    """The `limit` busiest users, most entries first, then by name. `parts`: what the cover adds and subtracts, from the entries."""
    most = max(HEADS_PER_PLACE * limit, LEAST_HEADS)
    lists = _heads(cursor, cover, parts, most)
    candidates, bound = candidates_of(lists, most)
    totals = _totals(cursor, cover, parts, candidates)
    found = first_of(totals, limit)
    if bound == 0 or (len(found) == limit and found[-1][1] > bound):
        return found
    everything = _everything(cover, parts)
    cursor.execute(sql.SQL(_BUSIEST).format(counted=everything.text, limit=sql.Literal(limit)), everything.parameters)
    return [(user_id, count) for user_id, count in cursor.fetchall() if count > 0]


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
    return sorted(((name, count) for name, count in totals.items() if count > 0), key=lambda one: (-one[1], one[0]))[:limit]


def count_distinct(cursor: Any, cover: Cover, parts: Mapping[str, int]) -> int:
    """How many users there were, exactly."""
    everything = _everything(cover, parts)
    cursor.execute(sql.SQL(_HOW_MANY).format(counted=everything.text), everything.parameters)
    return int(cursor.fetchone()[0])


def estimate_distinct(cursor: Any, runs: Sequence[Run], marks: Sequence[datetime.datetime], present: Iterable[str]) -> float:
    """How many users there were in these runs, from sketches; `present`: who was there besides."""
    sketches = [sketch.sketch_of(present)]
    unsketched: list[Run] = []
    for run in runs:
        ends_at = min(run.ends_at, max(run.begins_at, marks[HOUR])) if run.level == HOUR else run.ends_at
        cursor.execute(_SKETCHES, [run.level, run.begins_at, ends_at])
        sketches += [bytes(registers) for (registers,) in cursor.fetchall()]
        if ends_at < run.ends_at:
            unsketched.append(Run(HOUR, ends_at, run.ends_at))
    counted = _of_runs(unsketched, runs)
    cursor.execute(sql.SQL(_WHO).format(counted=counted.text), counted.parameters)
    sketches.append(sketch.sketch_of(user_id for (user_id,) in cursor.fetchall()))
    return sketch.estimate(sketch.merge(sketches))


def users_of_hour(cursor: Any, begins_at: datetime.datetime) -> Counter[str]:
    """The entries of each user in one hour."""
    hour = [Run(HOUR, begins_at, begins_at + SPAN[HOUR])]
    counted = _of_runs(hour, hour)
    cursor.execute(sql.SQL(_BUSIEST).format(counted=counted.text, limit=sql.SQL("ALL")), counted.parameters)
    return Counter(dict(cursor.fetchall()))


def _heads(cursor: Any, cover: Cover, parts: Mapping[str, int], most: int) -> list[list[tuple[str, int]]]:
    """The busiest of each span above the hours, and of all the rest together."""
    spans = [(run.level, begins_at) for run in cover.runs if run.level > HOUR for begins_at in run.spans]
    cursor.execute(_HEADS_OF_SPANS, [[level for level, _ in spans], [begins_at for _, begins_at in spans], most])
    lists: list[list[tuple[str, int]]] = [[] for _ in spans]
    for place, user_id, count in cursor.fetchall():
        lists[place - 1].append((user_id, count))
    rest = _with_parts(_of_runs([run for run in cover.runs if run.level == HOUR], cover.runs), parts)
    cursor.execute(sql.SQL(_BUSIEST).format(counted=rest.text, limit=sql.Literal(most)), rest.parameters)
    return [*lists, cursor.fetchall()]


def _totals(cursor: Any, cover: Cover, parts: Mapping[str, int], candidates: list[str]) -> Counter[str]:
    """What each candidate has in the whole cover."""
    rest = _with_parts(_of_runs([], cover.runs), parts)
    texts, parameters = [rest.text], [*rest.parameters]
    for run in cover.runs:
        texts.append(sql.SQL(_CANDIDATES_IN_SPANS))
        parameters += [run.level, run.spans, candidates]
    statement = sql.SQL(_OF_CANDIDATES).format(counted=sql.SQL(" UNION ALL ").join(texts))
    cursor.execute(statement, (*parameters, candidates))
    return Counter(dict(cursor.fetchall()))


def _everything(cover: Cover, parts: Mapping[str, int]) -> Condition:
    return _with_parts(_of_runs(cover.runs, cover.runs), parts)


def _with_parts(counted: Condition, parts: Mapping[str, int]) -> Condition:
    text = sql.SQL(" UNION ALL ").join([counted.text, sql.SQL(_USERS_OF_PARTS)])
    return Condition(text, (*counted.parameters, list(parts), list(parts.values())))


def _of_runs(runs: Sequence[Run], time: Sequence[Run]) -> Condition:
    """The counts of users in `runs`, and of what waits in the time of the runs `time`."""
    return union_of(_USERS_OF_RUN, _USERS_WAITING, runs, time)
