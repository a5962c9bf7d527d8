"""Statistics and facets: exact counts over any time, read from roll-ups and the live edge, never from the rows of a long range.

`questions` (query string to what is counted) -> `periods` (a period to whole spans, pure) -> `counts`, `users` (thin SQL) -> `tally`
(put together) -> `statistics` (to JSON) -> `caching`. `levels` and `sketch` are what the sequencer writes roll-ups with. Promises:
an entry counts as soon as it is committed, and once; a principal's numbers are of what it may see; what is estimated says so; a
question that would read too much is refused with advice.
"""

from __future__ import annotations

from logs.stats.caching import cached_answer
from logs.stats.output import Facets, Statistics
from logs.stats.questions import FacetsQuestion, StatsQuestion, facets_question_of, stats_question_of
from logs.stats.statistics import facets_of, statistics_of

__all__ = ["Facets", "FacetsQuestion", "Statistics", "StatsQuestion", "answer_facets", "answer_stats", "facets_question_of", "stats_question_of"]


def answer_stats(question: StatsQuestion) -> bytes:
    """The answer as JSON. Raises TooExpensive."""
    return cached_answer(question.counting.principal.tenant_id, question.identity, lambda cursor: statistics_of(cursor, question))


def answer_facets(question: FacetsQuestion) -> bytes:
    """The answer as JSON. Raises TooExpensive."""
    return cached_answer(question.counting.principal.tenant_id, question.identity, lambda cursor: facets_of(cursor, question))
