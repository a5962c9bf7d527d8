"""Following: the process that keeps cursors over positions moving (alerts, forwarding).

Promises: a follower that fails or waits holds up no other; one process leads and others stand by. Redis says when to look; the database is
the truth, and each follower's cursor moves in the same transaction as what it did, so that two leaders at once do nothing twice.
"""

from __future__ import annotations

from typing import Protocol


class Follower(Protocol):
    """Something that moves a cursor over one tenant's positions, or acts when time passes."""

    # Tells it from the others, over restarts: "alerts:<tenant>", "forwarder:<id>".
    name: str

    def step(self) -> bool:
        """Do a bounded part of what there is to do, on a database connection of this thread. True: there may be more at once.

        May raise anything: it is logged, and tried again after a pause that grows. May block on its own outside host, no longer than seconds.
        """
