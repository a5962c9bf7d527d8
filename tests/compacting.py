"""Compaction at a test's command."""

from __future__ import annotations

import datetime

from logs.sequencer.compacting import Compacting
from tests.sequencing import sequencer_connection

EVERYTHING = {"set_aside": [], "groups": 1, "led": [0]}


def compact_all(now: datetime.datetime) -> None:
    """Compact what is over by `now`."""
    compacting = Compacting(sequencer_connection())
    while compacting.run(now, EVERYTHING, seconds=60):
        pass
