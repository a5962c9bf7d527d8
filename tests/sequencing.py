"""The sequencer at a test's command: one round after the other in this process, under the sequencer's role."""

from __future__ import annotations

import datetime
import functools
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, Self

import psycopg

from accounts.models import Tenant
from auditlog_verify.notes import VerifierKey
from logs.integrity import keys
from logs.integrity.anchor import Anchor
from logs.integrity.storage import Head, read_head
from logs.sequencer import publishing
from logs.sequencer.rounds import Rounds
from logs.storage import connecting
from logs.storage.reading import tenant_transaction
from tests.web import CHECKOUT, STOP_SECONDS


@functools.cache
def sequencer_connection() -> psycopg.Connection[Any]:
    return connecting.connect("sequencer")


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def new_rounds(clock: Callable[[], datetime.datetime] = now) -> Rounds:
    """Rounds of a sequencer that has just started."""
    return Rounds(sequencer_connection(), keys.private_keys(), Anchor, clock=clock)


def sequence_all(clock: Callable[[], datetime.datetime] = now) -> None:
    """Give every entry that waits its position (of tenants that are not set aside)."""
    rounds = new_rounds(clock)
    while rounds.sequence():
        pass


def publish_all() -> None:
    """Copy every kept checkpoint to the anchor."""
    while publishing.publish(sequencer_connection(), Anchor(), []):
        pass


class SequencerProcess:
    """`manage.py run_sequencer` as `make run` starts it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        command = [sys.executable, str(CHECKOUT / "manage.py"), "run_sequencer"]
        self._process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        assert self._process.wait(STOP_SECONDS) in (0, -signal.SIGKILL, -signal.SIGTERM)

    def kill(self) -> None:
        """As `kill -9`."""
        self._process.kill()
        self._process.wait(STOP_SECONDS)


def head_of(tenant: Tenant) -> Head:
    with tenant_transaction(tenant.id) as cursor:
        head = read_head(cursor)
    assert head is not None
    return head


def trusted_keys(tenant: Tenant) -> list[VerifierKey]:
    return keys.verifier_keys(head_of(tenant).origin)
