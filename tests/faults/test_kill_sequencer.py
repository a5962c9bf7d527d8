"""`kill -9` of the sequencer at any moment under load: no position is given twice, none is skipped, and another goes on."""

from __future__ import annotations

import random
import time

import pytest

from tests.faults.rig import Ledger, Load, Rig
from tests.sequencing import SequencerProcess
from tests.web import manage, wait_until

pytestmark = pytest.mark.slow(seconds=60)
ROUNDS = 50


def tree_size(rig: Rig) -> int:
    with rig.maintenance() as connection:
        row = connection.execute("SELECT coalesce(sum(tree_size), 0)::bigint FROM auditlog.logs_head").fetchone()
    assert row is not None
    return int(str(row[0]))


def waiting(rig: Rig) -> int:
    with rig.maintenance() as connection:
        row = connection.execute("SELECT batches FROM auditlog.logs_waiting").fetchone()
    assert row is not None
    return int(str(row[0]))


def test_sequencer_killed_at_any_moment_gives_each_position_once(rig: Rig) -> None:
    ledger, moments = Ledger(), random.Random(20260131)
    processes = [SequencerProcess(rig.environment), SequencerProcess(rig.environment)]
    with rig.web() as web:
        with Load(rig, web, ledger, "kill", threads=2):
            for number in range(ROUNDS):
                before = tree_size(rig)
                wait_until(lambda before=before: tree_size(rig) > before, "somebody sequences")  # type: ignore[misc]
                time.sleep(moments.random() * 0.3)
                # Sometimes the one that leads, sometimes the one that waits, now and then both.
                for place in (0, 1) if number % 7 == 6 else (moments.randrange(2),):
                    processes[place].kill()
                    processes[place] = SequencerProcess(rig.environment)
        wait_until(lambda: waiting(rig) == 0, "everything is sequenced")
        assert ledger.faults(rig) == []
        for process in processes:
            process.__exit__()
    with rig.maintenance() as connection:
        rows = connection.execute("SELECT first_position, entry_count FROM auditlog.logs_batch ORDER BY first_position").fetchall()
    position = 0
    for first, count in rows:
        assert first == position
        position += int(str(count))
    assert position == tree_size(rig) >= ROUNDS * 50
    done = manage(rig.environment, "verify_log")
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


def test_without_redis_positions_come_within_a_few_seconds(rig: Rig) -> None:
    before = tree_size(rig)
    with rig.web() as web, SequencerProcess(rig.environment | {"REDIS_URL": "redis://127.0.0.1:1/0"}):
        with Load(rig, web, Ledger(), "redis", threads=1) as load:
            load.until_accepted(3)
        wait_until(lambda: waiting(rig) == 0 and tree_size(rig) > before, "everything is sequenced")
