"""One `run` (or `exec --state`) at a time for one state folder.

Invariant: the lock is held by the process that took it and by the processes it forked (honcho's readers), so it is free
only when nothing of that run is left, even if its supervisor was killed.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auditlog_project.embedded.errors import SetupError

LOCK_FILE = "run.lock"


@contextmanager
def sole_user(state: Path, *, patience_seconds: float) -> Iterator[None]:
    """Hold the lock of `state` for the block.

    Raises SetupError at once if a living process holds it, and after `patience_seconds` if what is left of a killed
    one does.
    """
    state.mkdir(parents=True, exist_ok=True)
    with (state / LOCK_FILE).open("a+") as opened:
        deadline = time.monotonic() + patience_seconds
        is_told = False
        while not _take(opened.fileno()):
            holder = _holder(state)
            if (holder is not None and _is_alive(holder)) or time.monotonic() > deadline:
                raise SetupError(
                    f"{state} is in use by process {holder}. Stop that one first (Ctrl-C in its terminal, or: kill {holder}), "
                    "or set AUDITLOG_STATE_DIR and AUDITLOG_PORT to others for a second installation beside it."
                )
            if not is_told:
                print("Waiting for the processes of an earlier run that was killed ...", flush=True)
                is_told = True
            time.sleep(0.2)
        opened.truncate(0)
        opened.write(f"{os.getpid()}\n")
        opened.flush()
        yield
        opened.truncate(0)


def holder_of(state: Path) -> int | None:
    """Process id of the living process that has the lock of `state`, or None."""
    holder = _holder(state)
    if holder is None or not _is_alive(holder):
        return None
    with (state / LOCK_FILE).open() as opened:
        return None if _take(opened.fileno()) else holder


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(state: Path) -> int | None:
    try:
        return int((state / LOCK_FILE).read_text())
    except (FileNotFoundError, ValueError):
        return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
