"""Signed tree heads from everywhere: what each claims of the log, as far as a trusted key has signed it."""

from __future__ import annotations

import re
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from auditlog_verify.merkle import HASH_BYTES
from auditlog_verify.notes import Checkpoint, NoteError, open_checkpoint
from logs.integrity import keys
from logs.integrity.anchor import Anchor
from logs.integrity.storage import Head, read_head
from logs.storage import objects
from logs.verification.findings import Finding, Kind

SELECT_KEPT = "SELECT id, tree_size, checkpoint, published_at IS NOT NULL FROM auditlog.logs_checkpoint_view WHERE id > %s ORDER BY id"


@dataclass
class Claims:
    """Root hashes that were signed, by size, each with where it says so; and what was wrong with the rest."""

    roots: dict[int, dict[bytes, str]] = field(default_factory=lambda: defaultdict(dict))
    findings: list[Finding] = field(default_factory=list)

    def contradictions(self, size: int, root: bytes) -> Iterator[Finding]:
        """The claims that the tree of this size has another root."""
        for claimed, where in self.roots.get(size, {}).items():
            if claimed != root:
                yield Finding(Kind.CHECKPOINT_FORGED, f"{where} says another root hash for {size} entries than the log has")


def gather(cursor: Any, tenant_id: uuid.UUID, head: Head | None, anchor: Anchor, extra: Mapping[str, str]) -> Claims:
    """All claims over the cursor's log: of its head, of the kept checkpoints, of their copies, and of `extra` ones (by name)."""
    found = _Gathering(head, head.origin if head else keys.new_origin(tenant_id))
    if not re.search(rf"/{tenant_id}(\.\d+)?$", found.origins[-1]):
        found.say(Kind.CHECKPOINT_FORGED, f"the log calls itself {found.origins[-1]}, which is no name of this tenant's log")
    found.take_head()
    cursor.execute(SELECT_KEPT, [0])
    # By digest: a busy log keeps half a million of them a year.
    kept: dict[bytes, int] = {}
    published: set[bytes] = set()
    last_id = 0
    for last_id, size, text, is_published in cursor.fetchall():  # noqa: B007  the last one is needed below
        kept[_digest(text)] = size
        if is_published:
            published.add(_digest(text))
        found.take(f"the kept checkpoint of {size} entries", text)
    try:
        for origin in found.origins:
            for name, text in anchor.all(origin):
                published.discard(_digest(text))
                found.take(f"the copy {name}", text, is_copy=True)
    except (*objects.StorageError, ValueError) as error:
        found.say(Kind.UNREADABLE, f"the copies of the checkpoints can't be read: {error}")
    else:
        for digest in published:
            found.say(Kind.CHECKPOINT_MISSING, f"the kept checkpoint of {kept[digest]} entries has no copy outside of the database any more")
    for where, text in extra.items():
        found.take(where, text)
    # The log goes on while it is looked at: what was signed meanwhile is neither missing nor ahead.
    cursor.execute(SELECT_KEPT, [last_id])
    kept |= {_digest(text): size for _, size, text, _ in cursor.fetchall()}
    newest = read_head(cursor)
    return found.claims(kept.keys(), newest.tree_size if newest else 0)


class _Gathering:
    """Checkpoints that a trusted key has signed, under each of the names that the log has had."""

    def __init__(self, head: Head | None, origin: str) -> None:
        self._head = head
        self.origins = keys.origins_of(origin)
        self._trusted = [key for name in self.origins for key in keys.verifier_keys(name)]
        self._findings: list[Finding] = []
        self._taken: list[tuple[Checkpoint, str, bytes | None]] = []

    def say(self, kind: Kind, detail: str) -> None:
        self._findings.append(Finding(kind, detail))

    def take_head(self) -> None:
        """The newest checkpoint, and whether the head agrees with it."""
        head = self._head
        if head is None:
            return
        signed = self.take("the newest checkpoint", head.checkpoint)
        if signed is None:
            return
        if (signed.origin, signed.tree_size, signed.root_hash) != (head.origin, head.tree_size, head.root_hash):
            detail = f"the head says {head.tree_size} entries and its checkpoint {signed.tree_size}, or they have different names or root hashes"
            self.say(Kind.ROLLED_BACK if signed.tree_size > head.tree_size else Kind.CHECKPOINT_FORGED, detail)
        if len(head.peaks) != head.tree_size.bit_count() * HASH_BYTES:
            self.say(Kind.CHECKPOINT_FORGED, "the head's peaks are not those of a tree of its size")

    def take(self, where: str, text: str, *, is_copy: bool = False) -> Checkpoint | None:
        """A checkpoint, if a trusted key has signed it. `is_copy`: the database should have it too."""
        try:
            checkpoint = open_checkpoint(text, self._trusted).checkpoint
            if checkpoint.origin not in self.origins:
                raise NoteError(f"it is of the log {checkpoint.origin}")
        except NoteError as error:
            self.say(Kind.CHECKPOINT_FORGED, f"{where}: {error}")
            return None
        self._taken.append((checkpoint, where, _digest(text) if is_copy else None))
        return checkpoint

    def claims(self, kept: Collection[bytes], size: int) -> Claims:
        """What all of them claim of the log as it is now, with `size` entries and the `kept` checkpoints (their digests)."""
        claims = Claims(findings=self._findings)
        starts = {name: min([one.tree_size for one, _, _ in self._taken if one.origin == name], default=None) for name in self.origins[1:]}
        for checkpoint, where, copied in self._taken:
            later = [start for name in self.origins[self.origins.index(checkpoint.origin) + 1 :] if (start := starts[name]) is not None]
            if later and checkpoint.tree_size > min(later):
                # Of the part that an accepted restore has given up.
                continue
            claims.roots[checkpoint.tree_size].setdefault(checkpoint.root_hash, where)
            if checkpoint.tree_size > size:
                self.say(Kind.ROLLED_BACK, f"{where} was signed over {checkpoint.tree_size} entries, and the database has {size}")
            # Copies under an earlier name may be of what a restore has given up, even at a size that was kept.
            if copied is not None and copied not in kept and checkpoint.origin == self.origins[-1]:
                self.say(Kind.CHECKPOINT_MISSING, f"{where} is of a checkpoint that the database does not have")
        return claims


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()
