"""Statistics and facets as the API gives them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class CountedPeriod(msgspec.Struct):
    """What was counted: `[from, to)`, in UTC."""

    from_: str = msgspec.field(name="from")
    to: str


class Part(msgspec.Struct):
    """So many entries, and their share of all."""

    count: int
    share: Annotated[float | None, Meta(description="0 to 1; null if there are no entries.")]


class DistinctUsers(msgspec.Struct):
    """How many users there were."""

    value: Annotated[int | None, Meta(description="Null if it was not counted; `reason` says why.")]
    is_exact: bool
    standard_error: Annotated[float | None, Meta(description="Of an estimate, relative: two thirds of them are within it.")] = None
    reason: str | None = None


class Totals(msgspec.Struct):
    """Counts over a whole period. `errors` and `failures` are null where `reason` says so."""

    total: int
    errors: Annotated[Part | None, Meta(description="Of severity ERROR or CRITICAL.")]
    failures: Annotated[Part | None, Meta(description="Of outcome failure.")]
    distinct_users: DistinctUsers


class Change(msgspec.Struct):
    """This period less the one before."""

    total: int
    total_share: Annotated[float | None, Meta(description="Relative to the period before; null if that had none.")]
    errors_share: Annotated[float | None, Meta(description="Difference of the two shares.")]
    failures_share: Annotated[float | None, Meta(description="Difference of the two shares.")]
    distinct_users: int | None


class PreviousPeriod(msgspec.Struct):
    """The period of the same length before this one."""

    period: CountedPeriod
    totals: Totals
    change: Change


class StatsBucket(msgspec.Struct):
    """One bucket, `[from, to)`; the first and the last end with the period."""

    from_: str = msgspec.field(name="from")
    to: str
    count: int
    errors: int | None
    failures: int | None


class CountedValue(msgspec.Struct):
    """A value of a field, and how many entries have it."""

    value: str
    count: int


class Breakdown(msgspec.Struct):
    """The most frequent values of a field. `values` is null if they were not counted; `reason` says why."""

    values: list[CountedValue] | None
    other: Annotated[int | None, Meta(description="Entries with values that are not listed.")]
    reason: str | None = None


class Breakdowns(msgspec.Struct):
    """A breakdown by each field."""

    action: Breakdown
    severity: Breakdown
    outcome: Breakdown
    resource_type: Breakdown
    source: Breakdown
    user_id: Breakdown


class Statistics(msgspec.Struct):
    """Counts of the entries that the filters find. `counted_from`: the roll-ups, or the entries one by one."""

    period: CountedPeriod
    counted_from: Literal["rollups", "entries"]
    totals: Totals
    bucket: Literal["hour", "day", "week", "month"]
    buckets: list[StatsBucket]
    by: Breakdowns
    previous: Annotated[PreviousPeriod | None, Meta(description="With `compare=previous`.")] = None


class Facet(msgspec.Struct):
    """The most frequent values of a field under the filters."""

    values: list[CountedValue]
    is_complete: Annotated[bool, Meta(description="False: only the newest `looked_at` matches were counted.")]
    looked_at: Annotated[int, Meta(description="How many entries the counts are of.")]


class FacetsByField(msgspec.Struct, omit_defaults=True):
    """The facets that were asked for."""

    action: Facet | msgspec.UnsetType = msgspec.UNSET
    severity: Facet | msgspec.UnsetType = msgspec.UNSET
    outcome: Facet | msgspec.UnsetType = msgspec.UNSET
    resource_type: Facet | msgspec.UnsetType = msgspec.UNSET
    source: Facet | msgspec.UnsetType = msgspec.UNSET
    user_id: Facet | msgspec.UnsetType = msgspec.UNSET


class Facets(msgspec.Struct):
    """The values that a further filter may choose from."""

    period: CountedPeriod
    facets: FacetsByField
