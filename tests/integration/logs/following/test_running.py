"""The process of the followers: one leads, another takes over, and neither a broken connection nor SIGTERM hangs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from logs.following import Follower
from logs.following.running import Followers
from logs.storage import locks, wakeups
from tests.superuser import superuser
from tests.web import CHECKOUT, STOP_SECONDS, wait_until

# Who leads is told by one lock of the database.
pytestmark = pytest.mark.xdist_group("followers")
LEADERS = """
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND objid = %s AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Beats:
    """A follower that asks the database and counts."""

    name = "beats"

    def __init__(self) -> None:
        self.count = 0

    def step(self) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        self.count += 1
        return False


def leaders() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(LEADERS, [locks.LEAD_FOLLOWERS])
        return [pid for (pid,) in cursor.fetchall()]


@contextmanager
def followed(*followers: Follower) -> Iterator[Followers]:
    process = Followers([lambda: followers])
    thread = threading.Thread(target=process.run, daemon=True)
    thread.start()
    try:
        yield process
    finally:
        process.stop()
        thread.join(STOP_SECONDS)
        assert not thread.is_alive()


def test_one_leads_and_the_other_takes_over() -> None:
    first, second = Beats(), Beats()
    with followed(first) as leading:
        wait_until(lambda: first.count > 0, "the first leads")
        with followed(second):
            before = first.count
            wait_until(lambda: first.count > before, "the first goes on")
            assert second.count == 0
            assert len(leaders()) == 1
            leading.stop()
            wait_until(lambda: second.count > 0, "the second takes over")


def test_leader_whose_session_is_ended_leads_again() -> None:
    follower = Beats()
    with followed(follower):
        wait_until(lambda: follower.count > 0, "it leads")
        (pid,) = leaders()
        with superuser() as database:
            database.execute("SELECT pg_terminate_backend(%s)", [pid])
        wait_until(lambda: leaders() not in ([], [pid]), "it leads with another session")
        before = follower.count
        wait_until(lambda: follower.count > before, "the follower goes on")


def test_growth_of_a_log_wakes_followers_before_the_second_is_over() -> None:
    moments: list[float] = []

    class Notes(Beats):
        def step(self) -> bool:
            moments.append(time.monotonic())
            return super().step()

    with followed(Notes()):
        wait_until(lambda: len(moments) > 1, "it rests")
        # Ten growths, each a little after a step: by itself it would look once a second.
        for _ in range(10):
            before = len(moments)
            wakeups.tell_sequenced(wakeups.client(), {uuid.uuid4(): wakeups.Growth(0, 1)})
            wait_until(lambda before=before: len(moments) > before, "it is woken")  # type: ignore[misc]
        assert moments[-1] - moments[-11] < 5


def test_discovery_that_fails_keeps_the_others() -> None:
    follower = Beats()

    def fails() -> list[Follower]:
        raise ValueError("no")

    process = Followers([fails, lambda: [follower]])
    thread = threading.Thread(target=process.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: follower.count > 0, "the follower is found")
    finally:
        process.stop()
        thread.join(STOP_SECONDS)


def test_command_leads_and_ends_by_sigterm() -> None:
    # The server frees a lock a moment after the session's end: that of the test before would be taken for this one's.
    wait_until(lambda: leaders() == [], "nobody leads")
    command = [sys.executable, str(CHECKOUT / "manage.py"), "run_followers"]
    process = subprocess.Popen(command, cwd=CHECKOUT, env=os.environ | {"DJANGO_SETTINGS_MODULE": "auditlog_project.settings"})
    try:
        wait_until(lambda: len(leaders()) == 1, "it leads")
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS) == 0
        wait_until(lambda: leaders() == [], "its lock is free")
    finally:
        process.kill()
        process.wait()
