"""What of a tenant's entries a principal may see, as a value. `logs.search.sight` makes conditions of it, in one place.

A restriction is made of `Limits`, and all of them hold: those of a grant, and for a viewer token those of whoever minted it and its own.
Whoever has none sees the whole log. One that has ended sees nothing.
"""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Limits:
    """Conditions that all hold for an entry that is seen. An empty list, None or an empty text leaves everything.

    `own_user_id`: entries about this user; `own_source`: entries that this principal posted. `from_at` and `until_at` bound the timestamp,
    the first included, the second not. `forced_query`: text in the grammar of search; relative times in it count from the moment of the
    question. From `valid_until` on nothing is seen.
    """

    resource_types: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    own_user_id: str | None = None
    own_source: str | None = None
    from_at: datetime.datetime | None = None
    until_at: datetime.datetime | None = None
    forced_query: str = ""
    valid_until: datetime.datetime | None = None


@dataclass(frozen=True, slots=True)
class Restriction:
    """All of `parts` hold. `has_ended`: the right to see anything was there once, and is over."""

    parts: tuple[Limits, ...] = ()
    has_ended: bool = False

    @classmethod
    def of(cls, limits: Limits) -> Restriction:
        """Just these limits; limits that leave everything are none."""
        return cls((limits,)) if limits != _NO_LIMITS else WHOLE_LOG

    @property
    def leaves_all(self) -> bool:
        """Is the whole log seen, for as long as anything is?"""
        return not self.has_ended and not self._lasting

    def joined_with(self, other: Restriction) -> Restriction:
        """What both leave."""
        return Restriction(tuple(dict.fromkeys(self.parts + other.parts)), self.has_ended or other.has_ended)

    def is_over(self, now: datetime.datetime) -> bool:
        """Is nothing seen any more?"""
        return self.has_ended or any(limits.valid_until is not None and limits.valid_until <= now for limits in self.parts)

    @property
    def digest(self) -> str:
        """Tells what is seen from what is seen under others, for however long: hexadecimal, empty for the whole log."""
        return "" if self.leaves_all else hashlib.sha256(repr((self._lasting, self.has_ended)).encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def _lasting(self) -> tuple[Limits, ...]:
        """The parts that leave something out, without their ends: what is prolonged shows the same."""
        parts = (replace(limits, valid_until=None) for limits in self.parts)
        return tuple(dict.fromkeys(limits for limits in parts if limits != _NO_LIMITS))


_NO_LIMITS = Limits()
WHOLE_LOG = Restriction()
NOTHING = Restriction(has_ended=True)
