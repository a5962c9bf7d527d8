"""When a failed delivery is tried again: pure.

The waits grow to hours and are scattered (between half of each and one and a half), so that what failed together does not come back
together. Twelve attempts are spread over about two days; then it is a dead letter.
"""

from __future__ import annotations

import datetime

DELAYS_SECONDS = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 43_200, 43_200)
MAX_ATTEMPTS = len(DELAYS_SECONDS) + 1
# A receiver may ask for a later time (Retry-After), within this.
MAX_ASKED_SECONDS = 86_400
# A series, tried or not since its target failed all the while or is switched off, is given up after so long.
MAX_AGE = datetime.timedelta(days=3)


def delay_seconds(failures: int, random: float, asked_seconds: int | None = None) -> float:
    """How long to wait after so many failures in a row (from 1). `random`: in [0, 1). `asked_seconds`: what the receiver asked for, at least."""
    usual = DELAYS_SECONDS[min(failures, len(DELAYS_SECONDS)) - 1] * (0.5 + random)
    return max(usual, min(asked_seconds or 0, MAX_ASKED_SECONDS))
