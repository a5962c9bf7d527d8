"""`kill -9` of PostgreSQL under load: what was acknowledged is there, nothing twice, and no batch is there in part."""

from __future__ import annotations

import random

import pytest

from tests.faults.rig import Ledger, Load, Rig

pytestmark = pytest.mark.slow
ROUNDS = 3


def test_a_killed_database_loses_no_acknowledged_entry_and_halves_no_batch(rig: Rig) -> None:
    ledger = Ledger()
    moments = random.Random(20260131)
    with rig.web(workers=2) as web:
        for number in range(ROUNDS):
            with Load(rig, web, ledger, f"round-{number}") as load:
                load.until_accepted(moments.randint(8, 40))
                rig.servers.postgres.kill()
                rig.servers.postgres.start()
                # The same web processes go on by themselves.
                load.until_accepted(5)
            assert ledger.faults(rig) == []
        for number in range(ROUNDS):
            assert any(batch.startswith(f"round-{number}-") for batch in ledger.sent - ledger.accepted.keys())
