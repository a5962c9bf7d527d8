"""A pytest plugin (`-p tests.sharing_out`): which worker runs which tests, so that no worker is left with a long file at the end.

xdist's `--dist loadfile` gives each file to one worker, those with most tests first. But the files that take longest have few tests: they came last, and
one worker ran a minute of `kill -9` while the other had nothing to do. Here what is slow comes first, the slowest at the very start.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadFileScheduling, Scheduling

if TYPE_CHECKING:
    from xdist.remote import Producer

# What `@pytest.mark.slow` without `seconds` says.
SLOW_SECONDS = 5
# Files of long tests that share nothing worth keeping them together for: each test is given out by itself.
ONE_BY_ONE = ("tests/journeys/test_make_run.py", "tests/security/test_schemathesis.py")


def unit_of(nodeid: str) -> str:
    """What one worker gets in one go: a file, or one test."""
    return nodeid if nodeid.startswith(ONE_BY_ONE) else nodeid.split("::", 1)[0]


class SlowFirst(LoadFileScheduling):  # type: ignore[misc]  # its package has no types
    """As `loadfile`, in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """One more than there are processors: a third of the time a test waits for a process, a timeout or the disk."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) + 1


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    return SlowFirst(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what is slow first: by the seconds of all that one worker will run in one go."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for item in items:
        if slow := item.get_closest_marker("slow"):
            seconds[unit_of(item.nodeid)] += float(slow.kwargs.get("seconds", SLOW_SECONDS))
    # Stable: the rest stays in its order, and a file's tests beside one another.
    items.sort(key=lambda item: -seconds[unit_of(item.nodeid)])
