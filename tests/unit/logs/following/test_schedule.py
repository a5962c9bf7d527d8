"""The followers' turns: nobody holds up others, failures rest for longer and longer, wake-ups are not lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from logs.following.schedule import LONGEST_PAUSE_SECONDS, Schedule, pause_seconds

PATIENCE_SECONDS = 10.0


class Steps:
    """A follower whose steps do what the test says; `reached` is set once it has made so many."""

    def __init__(self, name: str, step: Callable[[int], bool], wanted: int = 1) -> None:
        self.name = name
        self.count = 0
        self.reached = threading.Event()
        self._step = step
        self._wanted = wanted

    def step(self) -> bool:
        self.count += 1
        try:
            return self._step(self.count)
        finally:
            if self.count >= self._wanted:
                self.reached.set()


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def running(schedule: Schedule, threads: int) -> Iterator[None]:
    pool = [threading.Thread(target=schedule.run, daemon=True) for _ in range(threads)]
    for thread in pool:
        thread.start()
    try:
        yield
    finally:
        schedule.end()
        for thread in pool:
            thread.join(PATIENCE_SECONDS)
    assert not any(thread.is_alive() for thread in pool)


def fails(number: int) -> bool:
    raise ValueError(f"step {number}")


def test_follower_that_blocks_holds_up_no_other() -> None:
    release, schedule = threading.Event(), Schedule()
    stuck = Steps("stuck", lambda _: release.wait(PATIENCE_SECONDS))
    others = [Steps(f"other {number}", lambda _: True, wanted=50) for number in range(5)]
    schedule.set_followers([stuck, *others])
    schedule.open(True)
    with running(schedule, threads=2):
        assert all(other.reached.wait(PATIENCE_SECONDS) for other in others)
        assert stuck.count == 1
        release.set()


def test_busy_follower_goes_behind_all_that_wait() -> None:
    order: list[str] = []
    clock, schedule = Clock(), Schedule()
    followers = []
    for name in ("busy", "a", "b"):

        def step(number: int, name: str = name) -> bool:
            order.append(name)
            return True

        followers.append(Steps(name, step, wanted=10))
    schedule = Schedule(clock, step=lambda follower: _after_a_moment(clock, follower.step))
    schedule.set_followers(followers)
    schedule.open(True)
    with running(schedule, threads=1):
        assert all(follower.reached.wait(PATIENCE_SECONDS) for follower in followers)
    assert order[:30] == ["busy", "a", "b"] * 10


def _after_a_moment(clock: Clock, step: Callable[[], bool]) -> bool:
    clock.now += 0.001
    return step()


def test_failing_follower_rests_though_it_is_woken_and_others_go_on() -> None:
    clock = Clock()
    schedule = Schedule(clock)
    failing, fine = Steps("failing", fails), Steps("fine", lambda _: False, wanted=2)
    schedule.set_followers([failing, fine])
    schedule.open(True)
    with running(schedule, threads=2):
        assert failing.reached.wait(PATIENCE_SECONDS)
        while not fine.reached.wait(0.01):
            schedule.wake()
        assert failing.count == 1
        failing.reached.clear()
        clock.now += pause_seconds(1)
        assert failing.reached.wait(PATIENCE_SECONDS)
        assert failing.count == 2


def test_wake_up_during_a_step_is_not_lost() -> None:
    schedule = Schedule(Clock())

    def step(number: int) -> bool:
        if number == 1:
            schedule.wake()
        return False

    woken = Steps("woken", step, wanted=2)
    schedule.set_followers([woken])
    schedule.open(True)
    with running(schedule, threads=1):
        # The clock stands still: only the wake-up makes it due again.
        assert woken.reached.wait(PATIENCE_SECONDS)


def test_one_follower_is_never_stepped_by_two_threads() -> None:
    schedule, inside, most = Schedule(), threading.Semaphore(1), []

    def step(number: int) -> bool:
        most.append(inside.acquire(blocking=False))
        schedule.wake()
        inside.release()
        return True

    alone = Steps("alone", step, wanted=200)
    schedule.set_followers([alone])
    schedule.open(True)
    with running(schedule, threads=4):
        assert alone.reached.wait(PATIENCE_SECONDS)
    assert all(most)


def test_follower_that_is_missing_is_not_stepped_again_and_a_known_one_keeps_its_pause() -> None:
    clock = Clock()
    schedule = Schedule(clock)
    failing, gone = Steps("failing", fails), Steps("gone", lambda _: False)
    schedule.set_followers([failing, gone])
    schedule.open(True)
    with running(schedule, threads=1):
        assert failing.reached.wait(PATIENCE_SECONDS)
        assert gone.reached.wait(PATIENCE_SECONDS)
        new = Steps("new", lambda _: False)
        schedule.set_followers([Steps("failing", lambda _: True), new])
        assert new.reached.wait(PATIENCE_SECONDS)
        schedule.wake()
    assert (failing.count, gone.count) == (1, 1)


def test_closed_schedule_gives_no_turn() -> None:
    schedule, follower = Schedule(), Steps("follower", lambda _: True)
    schedule.set_followers([follower])
    with running(schedule, threads=1):
        assert not follower.reached.wait(0.05)
        schedule.open(True)
        assert follower.reached.wait(PATIENCE_SECONDS)


def test_pauses_grow_to_a_minute_and_no_further() -> None:
    pauses = [pause_seconds(failures) for failures in (1, 2, 3, 4, 5, 6, 7, 100_000)]
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]
