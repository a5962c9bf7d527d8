"""May the sequencer sign on top of what it finds in the database? Only if that is what was signed last, here and in the copies outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from auditlog_verify.merkle import Edge
from auditlog_verify.notes import NoteError, open_checkpoint
from logs.integrity import keys
from logs.integrity.anchor import Anchor
from logs.storage import objects


@dataclass(frozen=True)
class Doubt:
    """Why not. `anchored_size`: the size of the newest copy, if all that is wrong is that the database is older than it."""

    reason: str
    anchored_size: int | None = None


@dataclass(frozen=True)
class AcceptedRestore:
    """What was accepted: `old_origin` was signed up to `lost_size`; `new_origin` begins with the first `tree_size` entries of it."""

    old_origin: str
    new_origin: str
    tree_size: int
    lost_size: int


class RestoreRefused(Exception):
    """A restore can't be accepted. The message says why."""


def doubt_about(origin: str, edge: Edge, checkpoint: str | None, open_anchor: Callable[[], Anchor]) -> Doubt | None:
    """Why nothing may be signed on top of this head; None if all is well. `checkpoint` is None for a log that has not begun."""
    trusted = keys.verifier_keys(origin)
    if checkpoint is not None:
        try:
            signed = open_checkpoint(checkpoint, trusted, origin=origin).checkpoint
        except NoteError as error:
            return Doubt(f"the checkpoint in the database is not ours: {error}")
        if (signed.tree_size, signed.root_hash) != (edge.size, edge.root):
            return Doubt(f"the tree in the database is not the one that was signed at size {signed.tree_size}")
    try:
        copy = open_anchor().newest(origin)
    except (*objects.StorageError, ValueError) as error:
        return Doubt(f"the copies of the checkpoints can't be read ({error}); without them nobody knows whether this database is an old one")
    if copy is None:
        return None
    try:
        anchored = open_checkpoint(copy, trusted, origin=origin).checkpoint
    except NoteError as error:
        return Doubt(f"the newest copy of the checkpoint outside of the database is not ours: {error}")
    if anchored.tree_size > edge.size:
        return Doubt(
            f"this database has {edge.size} entries of the log, and {anchored.tree_size} were signed: it is older than its copies. "
            "If it was restored on purpose, run `manage.py accept_restore`",
            anchored.tree_size,
        )
    if anchored.tree_size == edge.size and anchored.root_hash != edge.root:
        return Doubt(f"at size {anchored.tree_size} the tree is another than the one that was signed")
    return None
