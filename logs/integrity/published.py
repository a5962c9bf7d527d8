"""What a tenant's log shows of itself, as C2SP tlog-tiles names it: tiles, entry bundles, kept checkpoints, keys."""

from __future__ import annotations

import base64
import datetime
import uuid
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from auditlog_verify.merkle import HASH_BYTES, leaf_hashes
from auditlog_verify.notes import keys_of
from logs.integrity import keys
from logs.integrity.storage import read_head, read_records, read_tiles
from logs.integrity.tiles import MAX_LEVEL, WIDTH, Tile, bundle, width_in

# Newest first. Plan: logs_checkpoint_tenant, backwards, to the limit.
SELECT_CHECKPOINTS = """
SELECT id, tree_size, signed_at, checkpoint || cosignatures, published_at FROM auditlog.logs_checkpoint_view
WHERE id < %s ORDER BY id DESC LIMIT %s
"""


class KeptCheckpoint(msgspec.Struct):
    """A signed tree head that was kept."""

    tree_size: int
    signed_at: datetime.datetime
    anchored_at: Annotated[datetime.datetime | None, Meta(description="When its copy outside of the database was made.")]
    checkpoint: Annotated[str, Meta(description="The signed note (C2SP tlog-checkpoint), with the cosignatures of witnesses.")]


class CheckpointPage(msgspec.Struct):
    """Kept checkpoints, newest first. `next`: the path of the page of older ones, or null."""

    results: list[KeptCheckpoint]
    next: str | None


class PublishedKey(msgspec.Struct):
    """A public key by which the log's checkpoints are trusted."""

    public_key: Annotated[str, Meta(description="Ed25519, 32 bytes in base64.")]
    verifier_keys: Annotated[list[str], Meta(description="As C2SP signed-note writes it: for the plain and for the timestamped signature.")]


class LogKey(msgspec.Struct):
    """The name of the tenant's log and the keys that sign it, the current one first, then older ones."""

    origin: str
    keys: list[PublishedKey]


def read_tile(cursor: Any, tile: Tile) -> bytes | None:
    """The hashes of a tile, 32 bytes each; None if the log has not (yet) so many."""
    head = read_head(cursor)
    if head is None or tile.level > MAX_LEVEL or width_in(tile.level, tile.index, head.tree_size) < tile.width:
        return None
    if not tile.level:
        return b"".join(leaf_hashes(_records(cursor, tile)))
    hashes = read_tiles(cursor, [(tile.level, tile.index)]).get((tile.level, tile.index), b"")
    return hashes[: tile.width * HASH_BYTES] if len(hashes) >= tile.width * HASH_BYTES else None


def read_bundle(cursor: Any, tile: Tile) -> bytes | None:
    """The records of a tile of level 0 as an entry bundle; None if the log has not (yet) so many."""
    head = read_head(cursor)
    if head is None or width_in(0, tile.index, head.tree_size) < tile.width:
        return None
    return bundle(_records(cursor, tile))


def _records(cursor: Any, tile: Tile) -> bytes:
    return read_records(cursor, tile.index * WIDTH, tile.index * WIDTH + tile.width)


@dataclass(frozen=True)
class Checkpoints:
    """Kept checkpoints, newest first. `before`: where to go on, None at the end."""

    results: list[KeptCheckpoint]
    before: int | None


def list_checkpoints(cursor: Any, before: int, limit: int) -> Checkpoints:
    """Kept checkpoints whose id is below `before`."""
    cursor.execute(SELECT_CHECKPOINTS, [before, limit + 1])
    rows = cursor.fetchall()
    results = [KeptCheckpoint(size, signed_at, published_at, text) for _, size, signed_at, text, published_at in rows[:limit]]
    return Checkpoints(results, rows[limit - 1][0] if len(rows) > limit else None)


def describe_keys(cursor: Any, tenant_id: uuid.UUID) -> LogKey:
    """The name and the keys of the tenant's log, or of the one that will begin with its first entry."""
    head = read_head(cursor)
    origin = head.origin if head else keys.new_origin(tenant_id)
    found = [PublishedKey(base64.b64encode(key).decode(), [one.encoded for one in keys_of(origin, [key])]) for key in keys.public_keys()]
    return LogKey(origin, found)
