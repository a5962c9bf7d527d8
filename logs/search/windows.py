"""How far a search looks at a time: stretches of ids, from the newest to the oldest (or back), each larger than the one before. Pure.

A page costs what it shows only if the search stops once the page is full, and PostgreSQL can't stop early in an index that is not in
order (GIN), nor does it know how matches are spread over time. So a search goes through windows and stops by itself.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from logs.search.lexemes import lexemes_of
from logs.search.tree import AddressWithin, All, AnyOf, HasPhrase, MetadataIs, Node, SeverityIs, TextIs, TimestampBefore, TimestampFrom, conjuncts
from logs.storage.ids import DAY_MS, EPOCH, floor_id, microseconds

LOWEST = uuid.UUID(int=0)
HIGHEST = uuid.UUID(int=2**128 - 1)
MAX_MS = 2**48 - 1
GROWTH = 4
# The newest so many entries are looked at one by one, before anything is known of how frequent matches are.
PROBE_ENTRIES = 400
# The first window that is searched by index after that, in entries at most, and how each window after it grows.
FIRST_ENTRIES = 20_000
ENTRY_GROWTH = 8
# An index has each of these in order of id.
_ORDERED_FIELDS = {"user_id", "action", "request_id", "session_id"}


@dataclass(frozen=True)
class Window:
    """Entries with `low <= id < high`."""

    low: uuid.UUID
    high: uuid.UUID


def moment_of_id(id: uuid.UUID) -> datetime.datetime:
    """The time that an id begins with, to the millisecond; the calendar's end for ids beyond it."""
    try:
        return EPOCH + datetime.timedelta(milliseconds=_ms(id))
    except OverflowError:
        return datetime.datetime.max.replace(tzinfo=datetime.UTC)


def bounds_of(tree: Node) -> Window:
    """The ids that the tree's own bounds in time leave."""
    low, high = LOWEST, HIGHEST
    for node in conjuncts(tree):
        if isinstance(node, TimestampFrom):
            low = max(low, floor_id(node.moment))
        elif isinstance(node, TimestampBefore):
            high = min(high, floor_id(node.moment))
    return Window(low, high)


def is_in_order(tree: Node) -> bool:
    """Does reading in order of id serve the tree best: because an index has its matches in that order, or because no index finds them?"""
    asked = [node for node in conjuncts(tree) if not isinstance(node, TimestampFrom | TimestampBefore)]
    texts = {node.field for node in asked if isinstance(node, TextIs) and len(node.values) == 1}
    if "request_id" in texts or not asked:
        return True
    if len(asked) == 1 and (texts & _ORDERED_FIELDS or (isinstance(asked[0], SeverityIs) and len(asked[0].values) == 1)):
        return True
    if len(asked) == 2 and texts == {"resource_type", "resource_id"}:
        return True
    return not is_found_by_index(tree)


def is_found_by_index(node: Node) -> bool:
    """Can an index give the entries that may match, without reading the others?"""
    match node:
        case All(nodes):
            return any(is_found_by_index(member) for member in nodes)
        case AnyOf(nodes):
            return all(is_found_by_index(member) for member in nodes)
        case HasPhrase() | MetadataIs() | AddressWithin():
            return True
        case TextIs("request_id" | "session_id", _):
            return True
        case _:
            return lexemes_of(node, "") is not None


def days(bounds: Window, start: datetime.datetime, *, goes_back: bool = True) -> Iterator[Window]:
    """Windows over all of `bounds`: the day of `start`, then ever more days towards the past (or the future)."""
    midnight_ms = microseconds(start) // 1000 // DAY_MS * DAY_MS
    yield from _stretches(bounds, midnight_ms if goes_back else midnight_ms + DAY_MS, DAY_MS, GROWTH, goes_back=goes_back)


def entries(bounds: Window, probed: Window, *, matches: int, missing: int, goes_back: bool = True) -> Iterator[Window]:
    """Windows over `bounds` beyond `probed`, which holds PROBE_ENTRIES entries and so many matches, so that so many are missing.

    The first has twice as many entries as should hold what is missing, and at most FIRST_ENTRIES; those after it ever more.
    """
    expected = FIRST_ENTRIES if matches == 0 else min(FIRST_ENTRIES, max(PROBE_ENTRIES, 2 * missing * PROBE_ENTRIES // matches))
    span_ms = max(_ms(probed.high) - _ms(probed.low), 1)
    step_ms = max(span_ms * expected // PROBE_ENTRIES, 1)
    if goes_back:
        rest, edge_ms = Window(bounds.low, probed.low), _ms(probed.low) - step_ms
    else:
        rest, edge_ms = Window(probed.high, bounds.high), _ms(probed.high) + step_ms
    yield from _stretches(rest, edge_ms, step_ms * ENTRY_GROWTH, ENTRY_GROWTH, goes_back=goes_back)


def _stretches(bounds: Window, edge_ms: int, step_ms: int, growth: int, *, goes_back: bool) -> Iterator[Window]:
    """`bounds` cut at `edge_ms`, then after `step_ms`, then after `step_ms * growth` and so on."""
    low, high = bounds.low, bounds.high
    while low < high:
        cut = LOWEST if edge_ms <= 0 else HIGHEST if edge_ms > MAX_MS else uuid.UUID(int=edge_ms << 80)
        cut = min(max(low, cut), high)
        if goes_back:
            if cut < high:
                yield Window(cut, high)
            high, edge_ms = cut, edge_ms - step_ms
        else:
            if low < cut:
                yield Window(low, cut)
            low, edge_ms = cut, edge_ms + step_ms
        step_ms *= growth


def _ms(id: uuid.UUID) -> int:
    return id.int >> 80
