"""How many refused attempts are recorded: so many that an attack is seen, and not so many that it fills the log.

Counted in each process, by the minute: whoever has a revoked key may knock as often as they like, at any number of addresses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock

from django.conf import settings

from accounts.deeds import Actor

WINDOW_SECONDS = 60.0
# From all addresses together, an actor has so many times the bound of one.
ADDRESSES = 5
MAX_COUNTED = 10_000


@dataclass(slots=True)
class _Window:
    began_at: float
    admitted: int = 0
    suppressed: int = 0


class RefusalBound:
    """Says which refusals are recorded. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[Hashable, _Window] = {}
        self._lock = Lock()

    def admit(self, actor: Actor, address: str | None) -> int | None:
        """Is a refusal of `actor` at `address` to be recorded? None: no. Else how many were not, since the last that was."""
        bound = settings.AUDITLOG_REFUSALS_PER_MINUTE
        with self._lock:
            one = self._window((actor, address))
            together = self._window(actor)
            if one.admitted >= bound or together.admitted >= ADDRESSES * bound:
                one.suppressed += 1
                return None
            one.admitted += 1
            together.admitted += 1
            suppressed, one.suppressed = one.suppressed, 0
            return suppressed

    def _window(self, key: Hashable) -> _Window:
        """The window that counts now; what was suppressed in the one before is still to be told."""
        now = self._clock()
        found = self._windows.pop(key, None)
        if found is None:
            found = _Window(now)
        elif now - found.began_at >= WINDOW_SECONDS:
            found = _Window(now, suppressed=found.suppressed)
        # The one that was asked for longest ago comes first, and goes first.
        self._windows[key] = found
        if len(self._windows) > MAX_COUNTED:
            del self._windows[next(iter(self._windows))]
        return found


bound = RefusalBound()
