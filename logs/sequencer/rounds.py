"""One round: all batches that wait, for all tenants, in one transaction.

Invariants:
- A tenant's head row is locked while its log grows, and what is appended begins where that row ends. So two sequencers
  that both believe to lead can't give one position twice (and a unique index stands behind this).
- Positions, tiles, head, kept checkpoint and roll-ups of a round commit together. Killed at any moment, the next round
  begins where the last committed one ended.
- Nothing is signed for a log whose head is not what we signed last (checked when a tenant is first seen, and whenever its row
  is not as this process left it), nor for one that is behind its copies outside of the database.
- A tenant that can't go on is set aside with the reason and tried again after a while; the others go on.
"""

from __future__ import annotations

import datetime
import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from auditlog_verify.merkle import HASH_BYTES, Edge
from auditlog_verify.notes import Checkpoint, sign_checkpoint
from logs.errors import IntegrityViolation
from logs.integrity import keys
from logs.integrity.anchor import Anchor
from logs.integrity.keys import next_origin
from logs.sequencer.compacting import Compacting
from logs.sequencer.counting import add_counts
from logs.sequencer.planning import Growth, WaitingBatch, grow
from logs.sequencer.trust import AcceptedRestore, RestoreRefused, doubt_about
from logs.storage import wakeups
from logs.storage.kinds import OWN_SOURCE, sum_kinds, sum_users

logger = logging.getLogger(__name__)
MAX_BATCHES = 1000
MAX_ENTRIES = 50_000
SET_ASIDE_SECONDS = 30.0
# The rounds wait meanwhile.
COMPACTING_SECONDS = 0.25

# Oldest first, up to so many entries (and the batch that passes that bound). Plan: logs_batch_waiting, in order, to the limit.
SELECT_WAITING = """
SELECT id, tenant_id, entry_count, records, kinds, users FROM (
    SELECT *, sum(entry_count) OVER (ORDER BY committed_at, id) - entry_count AS before FROM (
        SELECT * FROM auditlog.logs_batch
        WHERE first_position IS NULL AND tenant_id <> ALL (%(set_aside)s)
          AND (%(groups)s = 1 OR get_byte(uuid_send(tenant_id), 15) %% %(groups)s = ANY (%(led)s))
        ORDER BY committed_at, id LIMIT %(max_batches)s
    ) AS oldest
) AS counted WHERE before < %(max_entries)s ORDER BY committed_at, id
"""
# In the order of the key, so that two rounds can't wait for each other in a circle.
LOCK_HEADS = """
SELECT tenant_id, origin, tree_size, peaks, root_hash, checkpoint, kept_size, kept_at, own_count FROM auditlog.logs_head
WHERE tenant_id = ANY (%s) ORDER BY tenant_id FOR UPDATE
"""
GIVE_POSITIONS = """
UPDATE auditlog.logs_batch AS b SET first_position = given.position, kinds = NULL, users = NULL
FROM unnest(%s::bigint[], %s::bigint[]) AS given (id, position) WHERE b.id = given.id AND b.first_position IS NULL
"""
BEGIN_TILE = "INSERT INTO auditlog.logs_tile (tenant_id, level, tile_index, hashes) VALUES (%(tenant)s, %(level)s, %(index)s, %(hashes)s)"
APPEND_TO_TILE = """
UPDATE auditlog.logs_tile SET hashes = hashes || %(hashes)s
WHERE tenant_id = %(tenant)s AND level = %(level)s AND tile_index = %(index)s AND octet_length(hashes) = %(length)s
"""
WRITE_HEAD = """
INSERT INTO auditlog.logs_head (tenant_id, origin, tree_size, peaks, root_hash, checkpoint, signed_at, kept_size, kept_at, own_count)
VALUES (%(tenant)s, %(origin)s, %(size)s, %(peaks)s, %(root)s, %(checkpoint)s, %(signed_at)s, %(kept_size)s, %(kept_at)s, %(own_count)s)
ON CONFLICT (tenant_id) DO UPDATE SET origin = excluded.origin, tree_size = excluded.tree_size, peaks = excluded.peaks, root_hash = excluded.root_hash,
    checkpoint = excluded.checkpoint, signed_at = excluded.signed_at, kept_size = excluded.kept_size, kept_at = excluded.kept_at,
    own_count = excluded.own_count
"""
KEEP_CHECKPOINT = "INSERT INTO auditlog.logs_checkpoint (tenant_id, tree_size, signed_at, checkpoint) VALUES (%s, %s, %s, %s)"
# Logs whose newest checkpoint is not kept yet though it is time, and logs that were silent for long.
SELECT_DUE = """
SELECT tenant_id FROM auditlog.logs_head
WHERE ((kept_size < tree_size AND kept_at <= %(keep_before)s) OR signed_at <= %(beat_before)s) AND tenant_id <> ALL (%(set_aside)s)
  AND (%(groups)s = 1 OR get_byte(uuid_send(tenant_id), 15) %% %(groups)s = ANY (%(led)s))
ORDER BY tenant_id LIMIT %(limit)s
"""
SET_ASIDE = """
INSERT INTO auditlog.logs_stopped (tenant_id, reason) VALUES (%s, %s) ON CONFLICT (tenant_id) DO UPDATE SET reason = excluded.reason
"""


@dataclass(frozen=True)
class HeadRow:
    """A tenant's head as it is locked for a round. `own_count`: how many of its entries the log made about its own use."""

    origin: str
    edge: Edge
    kept_size: int
    kept_at: datetime.datetime | None
    checkpoint: str | None
    own_count: int = 0


@dataclass(frozen=True)
class Row:
    """A waiting batch with what the database needs of it."""

    tenant_id: uuid.UUID
    batch: WaitingBatch
    kinds: str
    users: str


class Rounds:
    """Rounds over one connection (autocommit, under the sequencer's role). For one thread.

    `clock` gives the time (aware, UTC). When the connection is lost, so is the round, and psycopg's error goes through.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        private_keys: Sequence[Ed25519PrivateKey],
        anchor: Callable[[], Anchor],
        *,
        clock: Callable[[], datetime.datetime],
        led_groups: Iterable[int] = (0,),
    ) -> None:
        self._connection = connection
        self._private_keys = private_keys
        self._anchor = anchor
        self._clock = clock
        self._compacting = Compacting(connection)
        self._led = list(led_groups)
        # What this process signed last, and so need not check again.
        self._signed: dict[uuid.UUID, tuple[str, Edge]] = {}
        self._set_aside: dict[uuid.UUID, float] = {}
        self._going_on: set[uuid.UUID] = set()

    def sequence(self) -> dict[uuid.UUID, wakeups.Growth]:
        """One round. Answers how each tenant's log has grown; empty if nothing waited."""
        rows = self._select_waiting()
        if not rows:
            return {}
        try:
            return self._append(rows)
        except Exception:
            if self._is_lost():
                raise
            # Somebody's batch can't be sequenced: each tenant by itself, so that the others go on.
            logger.exception("a round of %d batches failed; trying tenant by tenant", len(rows))
        grown: dict[uuid.UUID, wakeups.Growth] = {}
        for tenant_id in dict.fromkeys(row.tenant_id for row in rows):
            try:
                grown |= self._append([row for row in rows if row.tenant_id == tenant_id])
            except Exception as error:
                if self._is_lost():
                    raise
                self._stop(tenant_id, f"{type(error).__name__}: {error}")
        return grown

    def _is_lost(self) -> bool:
        return self._connection.closed or self._connection.broken

    def tend(self) -> None:
        """Keep the checkpoints that are due, sign those of silent logs anew, and compact roll-ups."""
        now = self._clock()
        parameters = {
            "keep_before": now - datetime.timedelta(seconds=settings.AUDITLOG_CHECKPOINT_SECONDS),
            "beat_before": now - datetime.timedelta(seconds=settings.AUDITLOG_HEARTBEAT_SECONDS),
            "limit": MAX_BATCHES,
        } | self._selection()
        due = [row[0] for row in self._connection.execute(SELECT_DUE, parameters)]
        for tenant_id in due:
            with self._connection.transaction():
                heads = self._lock_heads([tenant_id])
                reason = self._distrust(tenant_id, heads[tenant_id]) if tenant_id in heads else None
                if tenant_id in heads and reason is None:
                    self._write(tenant_id, heads[tenant_id], heads[tenant_id].edge, is_kept=True)
            if reason is not None:
                self._stop(tenant_id, reason)
        self._compacting.run(now, self._selection(), seconds=COMPACTING_SECONDS)

    # -- one transaction -----------------------------------------------------------------------------------------

    def _append(self, rows: Sequence[Row]) -> dict[uuid.UUID, wakeups.Growth]:
        by_tenant: dict[uuid.UUID, list[Row]] = defaultdict(list)
        for row in rows:
            by_tenant[row.tenant_id].append(row)
        stopped: dict[uuid.UUID, str] = {}
        grown: dict[uuid.UUID, Growth] = {}
        starts: dict[uuid.UUID, int] = {}
        with self._connection.transaction():
            heads = self._lock_heads(list(by_tenant))
            for tenant_id, members in by_tenant.items():
                head = heads.get(tenant_id) or HeadRow(keys.new_origin(tenant_id), Edge(), 0, None, None)
                reason = self._distrust(tenant_id, head)
                if reason is None:
                    grown[tenant_id] = grow(head.edge, [row.batch for row in members])
                    starts[tenant_id] = head.edge.size
                    heads[tenant_id] = head
                else:
                    stopped[tenant_id] = reason
            if grown:
                self._store(heads, grown, [row for row in rows if row.tenant_id in grown])
        for tenant_id, growth in grown.items():
            self._go_on(tenant_id)
            self._signed[tenant_id] = heads[tenant_id].origin, growth.edge
        for tenant_id, reason in stopped.items():
            self._stop(tenant_id, reason)
        return {tenant_id: wakeups.Growth(starts[tenant_id], growth.edge.size) for tenant_id, growth in grown.items()}

    def _store(self, heads: dict[uuid.UUID, HeadRow], grown: dict[uuid.UUID, Growth], rows: Sequence[Row]) -> None:
        positions = [given for growth in grown.values() for given in growth.positions]
        with self._connection.cursor() as cursor:
            cursor.execute(GIVE_POSITIONS, [[id for id, _ in positions], [position for _, position in positions]])
            if cursor.rowcount != len(positions):
                raise IntegrityViolation(f"{len(positions) - cursor.rowcount} of {len(positions)} batches got a position from somebody else")
            for tenant_id, growth in grown.items():
                for tile in growth.tiles:
                    parameters = {"tenant": tenant_id, "level": tile.level, "index": tile.index, "hashes": tile.hashes, "length": tile.place * HASH_BYTES}
                    cursor.execute(APPEND_TO_TILE if tile.place else BEGIN_TILE, parameters)
                    if cursor.rowcount != 1:
                        raise IntegrityViolation(f"the tile {tile.level}/{tile.index} of tenant {tenant_id} has not the {tile.place} hashes that it should")
            kinds = {tenant_id: sum_kinds(row.kinds for row in rows if row.tenant_id == tenant_id) for tenant_id in grown}
            users = {tenant_id: sum_users(row.users for row in rows if row.tenant_id == tenant_id) for tenant_id in grown}
            add_counts(cursor, kinds, users)
        for tenant_id, growth in grown.items():
            own_count = sum(count for kind, count in kinds[tenant_id].items() if kind.source == OWN_SOURCE)
            head = replace(heads[tenant_id], own_count=heads[tenant_id].own_count + own_count)
            is_due = head.kept_at is None or (self._clock() - head.kept_at).total_seconds() >= settings.AUDITLOG_CHECKPOINT_SECONDS
            self._write(tenant_id, head, growth.edge, is_kept=is_due)

    def _write(self, tenant_id: uuid.UUID, head: HeadRow, edge: Edge, *, is_kept: bool) -> None:
        """Sign the tree and write the head; keep the checkpoint too if `is_kept`."""
        now = self._clock()
        checkpoint = sign_checkpoint(Checkpoint(head.origin, edge.size, edge.root), self._private_keys, time_seconds=int(now.timestamp()))
        if is_kept or head.kept_at is None:
            head = replace(head, kept_size=edge.size, kept_at=now)
            self._connection.execute(KEEP_CHECKPOINT, [tenant_id, edge.size, now, checkpoint])
        self._connection.execute(
            WRITE_HEAD,
            {
                "tenant": tenant_id,
                "origin": head.origin,
                "size": edge.size,
                "peaks": b"".join(edge.peaks),
                "root": edge.root,
                "checkpoint": checkpoint,
                "signed_at": now,
                "kept_size": head.kept_size,
                "kept_at": head.kept_at,
                "own_count": head.own_count,
            },
        )

    def _lock_heads(self, tenant_ids: list[uuid.UUID]) -> dict[uuid.UUID, HeadRow]:
        rows = self._connection.execute(LOCK_HEADS, [tenant_ids], binary=True).fetchall()
        heads = {}
        for tenant_id, origin, size, peaks, _, checkpoint, kept_size, kept_at, own_count in rows:
            edge = Edge(size, tuple(peaks[start : start + HASH_BYTES] for start in range(0, len(peaks), HASH_BYTES)))
            heads[tenant_id] = HeadRow(origin, edge, kept_size, kept_at, checkpoint, own_count)
        return heads

    # -- what may be signed --------------------------------------------------------------------------------------

    def _distrust(self, tenant_id: uuid.UUID, head: HeadRow) -> str | None:
        """Why nothing may be signed on top of this head; None if all is well."""
        if self._signed.get(tenant_id) == (head.origin, head.edge):
            return None
        doubt = doubt_about(head.origin, head.edge, head.checkpoint, self._anchor)
        if doubt is None:
            self._signed[tenant_id] = head.origin, head.edge
            return None
        return doubt.reason

    def accept_restore(self, tenant_id: uuid.UUID) -> AcceptedRestore:
        """Go on with a log that is older than its copies, under a new name, for two logs of one name that differ would be a fork.

        Raises RestoreRefused if it is not older, or if more is wrong with it.
        """
        with self._connection.transaction():
            head = self._lock_heads([tenant_id]).get(tenant_id) or HeadRow(keys.new_origin(tenant_id), Edge(), 0, None, None)
            doubt = doubt_about(head.origin, head.edge, head.checkpoint, self._anchor)
            if doubt is None:
                raise RestoreRefused("the log is not older than the copies of its checkpoints: there is nothing to accept")
            if doubt.anchored_size is None:
                raise RestoreRefused(f"more is wrong with this log than its age: {doubt.reason}")
            origin = next_origin(head.origin)
            while self._anchor().newest(origin) is not None:
                # Of an earlier restore, which this backup knows nothing of.
                origin = next_origin(origin)
            self._write(tenant_id, replace(head, origin=origin), head.edge, is_kept=True)
            self._connection.execute("DELETE FROM auditlog.logs_stopped WHERE tenant_id = %s", [tenant_id])
        return AcceptedRestore(head.origin, origin, head.edge.size, doubt.anchored_size)

    def _stop(self, tenant_id: uuid.UUID, reason: str) -> None:
        logger.error("tenant %s is set aside: %s", tenant_id, reason)
        self._signed.pop(tenant_id, None)
        self._going_on.discard(tenant_id)
        self._set_aside[tenant_id] = time.monotonic() + SET_ASIDE_SECONDS
        self._connection.execute(SET_ASIDE, [tenant_id, reason])

    def _go_on(self, tenant_id: uuid.UUID) -> None:
        if tenant_id not in self._going_on:
            # Set aside before, perhaps by another process.
            self._connection.execute("DELETE FROM auditlog.logs_stopped WHERE tenant_id = %s", [tenant_id])
            self._going_on.add(tenant_id)

    # -- what waits ----------------------------------------------------------------------------------------------

    def _selection(self) -> dict[str, Any]:
        now = time.monotonic()
        return {
            "set_aside": [tenant_id for tenant_id, until in self._set_aside.items() if now < until],
            "groups": settings.AUDITLOG_SEQUENCER_GROUPS,
            "led": self._led,
        }

    def _select_waiting(self) -> list[Row]:
        parameters = self._selection() | {"max_batches": MAX_BATCHES, "max_entries": MAX_ENTRIES}
        rows = self._connection.execute(SELECT_WAITING, parameters, binary=True).fetchall()
        return [Row(tenant_id, WaitingBatch(id, count, records), kinds, users) for id, tenant_id, count, records, kinds, users in rows]
