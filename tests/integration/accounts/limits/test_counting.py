"""The counts in Redis against a list of everything that was granted, under a clock of the test's own."""

from __future__ import annotations

import math
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.limits.counting import SLICES, Charge, Counter, slice_ms_of
from accounts.limits.leases import LEASE_SECONDS, LOT, Leases
from accounts.limits.policies import Bucket, Policy

START_MS = 1_700_000_000_000
counter = Counter()


def bucket(amount: int, window_seconds: int = 10) -> Bucket:
    return Bucket(Policy("search", "principal", amount, window_seconds), uuid.uuid4().hex)


def granted_within(granted: list[tuple[int, int]], after_ms: int, to_ms: int) -> int:
    return sum(cost for at_ms, cost in granted if after_ms < at_ms <= to_ms)


# Steps of up to a window and a half, most of them short: gaps, bursts, and everything between.
steps = st.lists(st.tuples(st.integers(0, 400) | st.integers(0, 15_000), st.integers(1, 12)), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None)
@given(steps=steps, amount=st.integers(5, 40))
def test_no_window_has_more_than_the_limit_and_nobody_is_refused_who_left_room(steps: list[tuple[int, int]], amount: int) -> None:
    one, window_ms, slice_ms = bucket(amount), 10_000, slice_ms_of(10)
    now_ms = START_MS
    granted: list[tuple[int, int]] = []
    for gap_ms, cost in steps:
        now_ms += gap_ms
        (reply,) = counter.charge([Charge(one, cost, cost)], now_ms=now_ms)
        if reply.granted:
            granted.append((now_ms, cost))
            # Also of the windows that end here; windows that end between two charges have no more than these.
            assert granted_within(granted, now_ms - window_ms, now_ms) <= amount
            assert reply.remaining <= amount - granted_within(granted, now_ms - window_ms, now_ms)
        else:
            # Late by a slice at most: with what was granted a slice before the window there was no room.
            assert granted_within(granted, now_ms - window_ms - slice_ms, now_ms) + cost > amount


@settings(max_examples=100, deadline=None)
@given(steps=steps, amount=st.integers(12, 40))
def test_who_waits_as_long_as_they_are_told_is_let_through(steps: list[tuple[int, int]], amount: int) -> None:
    one, now_ms = bucket(amount), START_MS
    for gap_ms, cost in steps:
        now_ms += gap_ms
        (reply,) = counter.charge([Charge(one, cost, cost)], now_ms=now_ms)
        if not reply.granted:
            assert 0 < reply.retry_ms <= 10_000 + slice_ms_of(10)
            (early,) = counter.charge([Charge(one, cost, cost)], now_ms=now_ms + reply.retry_ms - 1)
            assert not early.granted
            now_ms += reply.retry_ms
            (reply,) = counter.charge([Charge(one, cost, cost)], now_ms=now_ms)
            assert reply.granted == cost


def test_the_turn_of_a_window_gives_nobody_twice_the_limit() -> None:
    """What fixed windows, and two weighted ones, allow: all at the end of one, and all again at the end of the next."""
    one = bucket(100)
    turn_ms = START_MS // 10_000 * 10_000 + 10_000
    (reply,) = counter.charge([Charge(one, 100, 100)], now_ms=turn_ms - 1)
    assert reply.granted == 100
    for at_ms in range(turn_ms, turn_ms + 10_000 - 1, 500):
        assert counter.charge([Charge(one, 1, 1)], now_ms=at_ms)[0].granted == 0


def test_more_than_the_whole_limit_is_never_granted() -> None:
    (reply,) = counter.charge([Charge(bucket(10), 11, 11)], now_ms=START_MS)
    assert (reply.granted, reply.retry_ms) == (0, -1)


def test_buckets_are_charged_each_for_itself() -> None:
    full, free = bucket(10), bucket(10)
    counter.charge([Charge(full, 10, 10)], now_ms=START_MS)
    refused, granted = counter.charge([Charge(full, 1, 1), Charge(free, 1, 1)], now_ms=START_MS)
    assert (refused.granted, granted.granted, granted.remaining) == (0, 1, 9)


def test_what_is_given_back_is_free_again_and_never_more_than_was_charged() -> None:
    one = bucket(100)
    (first,) = counter.charge([Charge(one, 40, 40)], now_ms=START_MS)
    (second,) = counter.charge([Charge(one, 1, 1, given_back=30, given_back_slice=first.slice)], now_ms=START_MS + 1_000)
    assert second.remaining == 100 - 10 - 1
    (third,) = counter.charge([Charge(one, 1, 1, given_back=1_000, given_back_slice=first.slice)], now_ms=START_MS + 2_000)
    assert third.remaining == 98
    (long_after,) = counter.charge([Charge(one, 1, 1, given_back=50, given_back_slice=first.slice)], now_ms=START_MS + 60_000)
    assert long_after.remaining == 99


def test_a_changed_limit_goes_on_with_the_count() -> None:
    one = bucket(100)
    counter.charge([Charge(one, 90, 90)], now_ms=START_MS)
    narrower = Bucket(one.policy._replace(amount=50), one.subject)
    assert counter.charge([Charge(narrower, 1, 1)], now_ms=START_MS)[0].granted == 0
    wider = Bucket(one.policy._replace(amount=200), one.subject)
    assert counter.charge([Charge(wider, 1, 1)], now_ms=START_MS)[0].remaining == 109


class Clock:
    """One time for Redis and for the processes."""

    def __init__(self) -> None:
        self.ms = START_MS

    def seconds(self) -> float:
        return self.ms / 1000

    def process(self) -> Leases:
        return Leases(counter, self.seconds, now_ms=lambda: self.ms)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 60) | st.integers(0, 5_000), st.integers(0, 2), st.integers(1, 120)), min_size=1, max_size=120),
    amount=st.integers(200, 3_000),
)
def test_leases_of_several_processes_exceed_the_limit_by_a_lot_each_at_most(steps: list[tuple[int, int, int]], amount: int) -> None:
    clock, one = Clock(), bucket(amount)
    processes = [clock.process() for _ in range(3)]
    lot = int(amount * LOT)
    granted: list[tuple[int, int]] = []
    for gap_ms, number, cost in steps:
        clock.ms += gap_ms
        (standing,) = processes[number].take([one], cost)
        if not standing.is_refused:
            granted.append((clock.ms, cost))
            assert granted_within(granted, clock.ms - 10_000, clock.ms) <= amount + 3 * lot
        else:
            # Others hold a lot at most, and a refusal is repeated for a quarter of a second.
            earliest_ms = clock.ms - 10_000 - slice_ms_of(10) - 250
            assert granted_within(granted, earliest_ms, clock.ms) + cost > amount - 3 * lot - cost


def test_most_requests_ask_redis_nothing() -> None:
    clock = Clock()
    asked: list[int] = []

    class Counting(Counter):
        def charge(self, charges: object, *, now_ms: int = 0) -> list[object]:  # type: ignore[override]
            asked.append(1)
            return super().charge(charges, now_ms=now_ms)  # type: ignore[arg-type,return-value]

    process = Leases(Counting(), clock.seconds, now_ms=lambda: clock.ms)
    one = bucket(2_000_000, 60)
    for _ in range(10_000):
        clock.ms += 1 if _ % 2 else 0
        assert not process.take([one], 1)[0].is_refused
    assert len(asked) <= math.ceil(5 / LEASE_SECONDS) + 1


def test_a_slow_caller_uses_up_what_they_ask_for_and_no_lots() -> None:
    """One request every two seconds in each of two processes: whole lots would be 24 times as many."""
    clock, one = Clock(), bucket(10_000, 60)
    processes = [clock.process(), clock.process()]
    for _ in range(25):
        clock.ms += 2_000
        for process in processes:
            (standing,) = process.take([one], 1)
            assert not standing.is_refused
    assert standing.remaining >= 10_000 - 50 - 2 * int(10_000 * LOT)


def test_a_request_that_one_bucket_refuses_costs_the_others_nothing() -> None:
    clock = Clock()
    full, free = bucket(10), bucket(10)
    process = clock.process()
    process.take([full], 10)
    for _ in range(20):
        clock.ms += 20
        refused, other = process.take([full, free], 1)
        assert (refused.is_refused, other.is_refused) == (True, False)
    assert process.take([free], 10)[0].is_refused is False


def test_hammering_is_refused_without_asking_redis_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, one = Clock(), bucket(10)
    process = clock.process()
    process.take([one], 10)
    assert process.take([one], 1)[0].is_refused
    monkeypatch.setattr(Counter, "charge", lambda *arguments, **more: pytest.fail("Redis was asked"))
    for _ in range(100):
        standing = process.take([one], 1)[0]
        assert standing.is_refused
        assert standing.retry_seconds is not None
        assert 0 < standing.retry_seconds <= 10 + 10 / SLICES


def test_a_changed_limit_counts_at_once_for_who_holds_a_lot() -> None:
    clock, one = Clock(), bucket(100_000)
    process = clock.process()
    process.take([one], 50)
    narrower = Bucket(one.policy._replace(amount=20), one.subject)
    assert process.take([narrower], 1)[0].is_refused


def test_a_narrowed_limit_takes_back_what_was_leased_of_the_wide_one() -> None:
    clock, one = Clock(), bucket(1_000_000)
    process = clock.process()
    process.take([one], 5)
    narrower = Bucket(one.policy._replace(amount=20), one.subject)
    standing = process.take([narrower], 1)[0]
    assert (standing.is_refused, standing.remaining) == (False, 14)


def test_whose_a_count_is_does_not_stand_in_redis() -> None:
    assert "alice" not in Bucket(Policy("sign_in", "principal", 1, 1), "alice").key
