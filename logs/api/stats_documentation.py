"""What the OpenAPI document says of statistics, with examples of every answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from accounts.schema import UNAVAILABLE, problem_response
from logs.api.documentation import INVALID_QUERY, TENANT, filter_parameters
from logs.stats import Facets, Statistics
from logs.stats.periods import Unit
from logs.stats.questions import DEFAULT_TOP, FIELDS, MAX_TOP

INVALID_OR_TOO_EXPENSIVE = OpenApiResponse(
    INVALID_QUERY.response,
    description="The question is not right, or too expensive.",
    examples=[
        *INVALID_QUERY.examples,
        *problem_response(
            422,
            "too_expensive",
            "The question is too expensive",
            "Answering this would read too many entries. Narrow the time (`from`, `to`), or leave a filter out.",
        ).examples,
    ],
)
_TOP = OpenApiParameter("top", {"type": "integer", "minimum": 1, "maximum": MAX_TOP, "default": DEFAULT_TOP}, description="How many values of each field.")
_PERIOD = {"from": "2026-01-31T12:00:00.000000Z", "to": "2026-01-31T14:00:00.000000Z"}
_TOTALS = {
    "total": 8,
    "errors": {"count": 2, "share": 0.25},
    "failures": {"count": 1, "share": 0.125},
    "distinct_users": {"value": 3, "is_exact": True, "standard_error": None, "reason": None},
}


def _broken_down(*values: tuple[str, int]) -> dict[str, Any]:
    return {"values": [{"value": value, "count": count} for value, count in values], "other": 0, "reason": None}


_STATISTICS = {
    "period": _PERIOD,
    "counted_from": "rollups",
    "totals": _TOTALS,
    "bucket": "hour",
    "buckets": [
        {"from": "2026-01-31T12:00:00.000000Z", "to": "2026-01-31T13:00:00.000000Z", "count": 8, "errors": 2, "failures": 1},
        {"from": "2026-01-31T13:00:00.000000Z", "to": "2026-01-31T14:00:00.000000Z", "count": 0, "errors": 0, "failures": 0},
    ],
    "by": {
        "action": _broken_down(("UPDATE", 5), ("LOGIN", 3)),
        "severity": _broken_down(("INFO", 6), ("ERROR", 2)),
        "outcome": _broken_down(("success", 7), ("failure", 1)),
        "resource_type": _broken_down(("invoice", 5), ("session", 3)),
        "source": _broken_down(("key:abcdefghijkl", 8)),
        "user_id": _broken_down(("alice", 5), ("bob", 2), ("carol", 1)),
    },
    "previous": {
        "period": {"from": "2026-01-31T10:00:00.000000Z", "to": "2026-01-31T12:00:00.000000Z"},
        "totals": _TOTALS | {"total": 4, "errors": {"count": 0, "share": 0.0}, "failures": {"count": 0, "share": 0.0}},
        "change": {"total": 4, "total_share": 1.0, "errors_share": 0.25, "failures_share": 0.125, "distinct_users": 0},
    },
}

stats: dict[str, Any] = {
    "operation_id": "entries_stats",
    "summary": "Count entries",
    "description": (
        "Counts by time and by field, of the entries that the filters find; an entry counts as soon as it is posted. Counts are exact. Distinct users "
        "of more than 7 days are estimated, and say so. Without `from` and `to`: the last 24 hours, the current one included. Filters by time, action, "
        "severity, outcome, resource type or one user are answered from roll-ups, whatever the length of time; with others the entries are "
        "counted one by one, for as long as that may take."
    ),
    "parameters": [
        *filter_parameters(),
        OpenApiParameter("bucket", OpenApiTypes.STR, enum=["auto", *Unit], default="auto", description="Of UTC. `auto`: at most about 200 of them."),
        _TOP,
        OpenApiParameter("compare", OpenApiTypes.STR, enum=["previous"], description="`previous`: totals of the same length of time before, and the change."),
        TENANT,
    ],
    "responses": {200: OpenApiResponse(Statistics, description="The counts."), 422: INVALID_OR_TOO_EXPENSIVE, 503: UNAVAILABLE},
    "examples": [OpenApiExample("two hours", value=_STATISTICS, response_only=True, status_codes=["200"])],
}
_VALUES = [{"value": "UPDATE", "count": 5}, {"value": "LOGIN", "count": 3}]
facets: dict[str, Any] = {
    "operation_id": "entries_facets",
    "summary": "List the most frequent values of fields",
    "description": (
        "What a further filter may choose from: the most frequent values of each field among the entries that the filters find, with their counts. "
        "Where the roll-ups do not know the filters, the newest 10,000 matches are counted; `is_complete` tells."
    ),
    "parameters": [
        *filter_parameters(),
        OpenApiParameter("fields", OpenApiTypes.STR, default=",".join(FIELDS), description="Names of fields, separated by commas."),
        _TOP,
        TENANT,
    ],
    "responses": {200: OpenApiResponse(Facets, description="The values."), 422: INVALID_OR_TOO_EXPENSIVE, 503: UNAVAILABLE},
    "examples": [
        OpenApiExample(
            "actions",
            value={"period": _PERIOD, "facets": {"action": {"values": _VALUES, "is_complete": True, "looked_at": 8}}},
            response_only=True,
            status_codes=["200"],
        )
    ],
}
