"""`kill -9` of the web processes under load: what was acknowledged is there, and no batch is there in part."""

from __future__ import annotations

import random

import pytest

from tests.faults.rig import Ledger, Load, Rig

pytestmark = pytest.mark.slow
ROUNDS = 3


def test_killed_web_processes_lose_no_acknowledged_entry_and_halve_no_batch(rig: Rig) -> None:
    ledger = Ledger()
    moments = random.Random(20260131)
    for number in range(ROUNDS):
        # Leaving the block stops what a killed server has not.
        with rig.web(workers=2) as web, Load(rig, web, ledger, f"round-{number}") as load:
            load.until_accepted(moments.randint(8, 40))
            web.kill()
    with rig.web() as web, rig.client(web) as client:
        assert client.get("/readyz").status_code == 200
        assert ledger.faults(rig) == []
        # Each round was cut in the middle: some batches got no answer.
        for number in range(ROUNDS):
            assert any(batch.startswith(f"round-{number}-") for batch in ledger.sent - ledger.accepted.keys())
        batch, ids = next(iter(ledger.accepted.items()))
        found = client.get("/api/v1/logs", params={"request_id": batch, "limit": 1000}).json()["results"]
        assert sorted(entry["id"] for entry in found) == sorted(ids)
