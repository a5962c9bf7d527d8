"""Copies of kept checkpoints outside of the database: object storage, then a webhook and witnesses.

In a thread of its own: a slow storage holds up no round. A checkpoint counts as published once it is in the object storage; that
is tried until it succeeds. Webhook and witnesses get the newest one of each log only, for it covers all before it.
"""

from __future__ import annotations

import logging
import threading
import uuid
from typing import Any

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from logs.integrity.anchor import Anchor
from logs.outbound import OutboundError, Reach, check_url, post
from logs.sequencer.witnesses import Witness, WitnessError, configured_witnesses
from logs.storage import connecting, objects

logger = logging.getLogger(__name__)
PAUSE_SECONDS = 2.0
MAX_AT_ONCE = 200
WEBHOOK_TIMEOUT_SECONDS = 10
WEBHOOK_TRIES = 3

# Plan: logs_checkpoint_unpublished, in order. SKIP LOCKED: every sequencer process has a publisher.
SELECT_UNPUBLISHED = """
SELECT id, tenant_id, tree_size, signed_at, checkpoint FROM auditlog.logs_checkpoint
WHERE published_at IS NULL ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
"""
MARK_PUBLISHED = "UPDATE auditlog.logs_checkpoint SET published_at = now() WHERE id = ANY (%s)"
ADD_COSIGNATURES = "UPDATE auditlog.logs_checkpoint SET cosignatures = cosignatures || %s WHERE id = %s"


class Publisher:
    """The thread. `start` it once; `stop` lets it end what it does."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoint-publisher", daemon=True)
        self._witnesses = configured_witnesses()
        if settings.AUDITLOG_CHECKPOINT_WEBHOOK:
            try:
                check_url(settings.AUDITLOG_CHECKPOINT_WEBHOOK, reach=Reach.INSIDE)
            except OutboundError as error:
                raise ImproperlyConfigured(f"AUDITLOG_CHECKPOINT_WEBHOOK: {error}") from None

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float = 15) -> None:
        self._stop.set()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with connecting.connect("sequencer") as connection:
                    while not self._stop.is_set():
                        publish(connection, Anchor(), self._witnesses)
                        self._stop.wait(PAUSE_SECONDS)
            except (*objects.StorageError, ValueError, psycopg.Error, DatabaseError) as error:
                logger.error("checkpoints can't be copied to %s: %s", settings.AUDITLOG_ANCHOR_URL, error)
                self._stop.wait(PAUSE_SECONDS * 5)


def publish(connection: psycopg.Connection[Any], anchor: Anchor, witnesses: list[Witness]) -> int:
    """Publish what is not published. Answers how many checkpoints that were. Raises StorageError, and nothing is marked."""
    newest: dict[uuid.UUID, tuple[int, str]] = {}
    with connection.transaction():
        rows = connection.execute(SELECT_UNPUBLISHED, [MAX_AT_ONCE]).fetchall()
        for id, tenant_id, tree_size, signed_at, checkpoint in rows:
            anchor.add(checkpoint.split("\n", 1)[0], tree_size, signed_at, checkpoint)
            newest[tenant_id] = id, checkpoint
        connection.execute(MARK_PUBLISHED, [[row[0] for row in rows]])
    for tenant_id, (id, checkpoint) in newest.items():
        if settings.AUDITLOG_CHECKPOINT_WEBHOOK:
            _post(settings.AUDITLOG_CHECKPOINT_WEBHOOK, checkpoint)
        for witness in witnesses:
            try:
                lines = witness.cosign(tenant_id, checkpoint)
            except WitnessError as error:
                logger.warning("the witness %s did not cosign: %s", witness.name, error)
            else:
                connection.execute(ADD_COSIGNATURES, [lines, id])
    return len(rows)


def _post(url: str, checkpoint: str) -> None:
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    for number in range(1, WEBHOOK_TRIES + 1):
        try:
            answer = post(url, checkpoint.encode(), reach=Reach.INSIDE, headers=headers, timeout_seconds=WEBHOOK_TIMEOUT_SECONDS)
        except OutboundError as error:
            fault = str(error)
        else:
            if answer.is_success:
                return
            fault = f"it answered {answer.status}"
        logger.warning("the webhook for checkpoints failed (%d of %d): %s", number, WEBHOOK_TRIES, fault)
