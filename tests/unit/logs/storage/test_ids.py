"""Ids: UUIDv7 of the event's own time."""

from __future__ import annotations

import datetime
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs.storage import ids

moments = st.integers(0, 221_845_392_000_000_000).map(lambda microseconds: ids.EPOCH + microseconds * ids.MICROSECOND)
random_parts = st.integers(0, 2**62 - 1)


@given(moments, random_parts)
def test_id_is_a_uuid_of_version_7_with_the_moment_in_it(moment: datetime.datetime, random: int) -> None:
    found = uuid.UUID(ids.entry_id(ids.microseconds(moment), random))
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert found.int >> 80 == ids.microseconds(moment) // 1000
    assert str(found) == ids.entry_id(ids.microseconds(moment), random)


@given(moments, moments, random_parts, random_parts)
def test_later_events_have_greater_ids(one: datetime.datetime, other: datetime.datetime, first: int, second: int) -> None:
    early, late = sorted([one, other])
    if early < late:
        assert uuid.UUID(ids.entry_id(ids.microseconds(early), first)) < uuid.UUID(ids.entry_id(ids.microseconds(late), second))


@given(moments, random_parts)
def test_floor_parts_what_is_before_from_what_is_not(moment: datetime.datetime, random: int) -> None:
    floor = ids.floor_id(moment)
    assert floor <= uuid.UUID(ids.entry_id(ids.microseconds(moment), random))
    assert ids.microseconds(moment) == 0 or uuid.UUID(ids.entry_id(ids.microseconds(moment) - 1, random)) < floor


@pytest.mark.parametrize("year", [1, 496, 1969])
def test_floor_before_1970_is_below_every_id(year: int) -> None:
    assert ids.floor_id(datetime.datetime(year, 12, 31, tzinfo=datetime.UTC)) == uuid.UUID(int=0)


def test_key_gives_the_same_bits_for_one_secret_only() -> None:
    assert ids.keyed_62(b"a" * 32, "k") == ids.keyed_62(b"a" * 32, "k")
    assert len({ids.keyed_62(b"a" * 32, "k"), ids.keyed_62(b"b" * 32, "k"), ids.keyed_62(b"a" * 32, "l")}) == 3


def test_random_parts_differ_and_have_62_bits() -> None:
    random = ids.RandomBits()
    drawn = {random.next_62() for _ in range(2000)}
    assert len(drawn) == 2000
    assert max(drawn).bit_length() <= 62
