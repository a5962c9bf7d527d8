"""Signed tree heads from everywhere: what each claims of the log, as far as a trusted key has signed it."""

from __future__ import annotations

import re
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from auditlog_verify.merkle import HASH_BYTES
from auditlog_verify.notes import Checkpoint, NoteError, VerifierKey, open_checkpoint
from logs.integrity import keys
from logs.integrity.anchor import Anchor
from logs.integrity.storage import Head
from logs.storage import objects
from logs.verification.findings import Finding, Kind

SELECT_KEPT = "SELECT tree_size, checkpoint, published_at IS NOT NULL FROM auditlog.logs_checkpoint_view ORDER BY id"


@dataclass
class Claims:
    """Root hashes that were signed, by size, each with where it says so; and what was wrong with the rest."""

    trusted: list[VerifierKey]
    roots: dict[int, dict[bytes, str]] = field(default_factory=lambda: defaultdict(dict))
    findings: list[Finding] = field(default_factory=list)

    def add(self, checkpoint: Checkpoint, where: str) -> None:
        self.roots[checkpoint.tree_size].setdefault(checkpoint.root_hash, where)

    def contradictions(self, size: int, root: bytes) -> Iterator[Finding]:
        """The claims that the tree of this size has another root."""
        for claimed, where in self.roots.get(size, {}).items():
            if claimed != root:
                yield Finding(Kind.CHECKPOINT_FORGED, f"{where} says another root hash for {size} entries than the log has")


def gather(cursor: Any, tenant_id: uuid.UUID, head: Head | None, anchor: Anchor, extra: Mapping[str, str]) -> Claims:
    """All claims over the cursor's log: of its head, of the kept checkpoints, of their copies, and of `extra` ones (by name)."""
    origin = head.origin if head else keys.new_origin(tenant_id)
    claims = Claims(keys.verifier_keys(origin))
    if not re.search(rf"/{tenant_id}(/\d+)?$", origin):
        claims.findings.append(Finding(Kind.CHECKPOINT_FORGED, f"the log calls itself {origin}, which is no name of this tenant's log"))
    _take_head(claims, head)
    cursor.execute(SELECT_KEPT)
    # By digest: a busy log keeps half a million of them a year.
    kept: dict[bytes, int] = {}
    published: set[bytes] = set()
    for size, text, is_published in cursor.fetchall():
        kept[_digest(text)] = size
        if is_published:
            published.add(_digest(text))
        _take(claims, origin, head, f"the kept checkpoint of {size} entries", text)
    try:
        for name, text in anchor.all(origin):
            published.discard(_digest(text))
            if _digest(text) not in kept:
                claims.findings.append(Finding(Kind.CHECKPOINT_MISSING, f"the copy {name} is of a checkpoint that the database does not have"))
            _take(claims, origin, head, f"the copy {name}", text)
    except (*objects.StorageError, ValueError) as error:
        claims.findings.append(Finding(Kind.UNREADABLE, f"the copies of the checkpoints can't be read: {error}"))
    else:
        for digest in published:
            detail = f"the kept checkpoint of {kept[digest]} entries has no copy outside of the database any more"
            claims.findings.append(Finding(Kind.CHECKPOINT_MISSING, detail))
    for where, text in extra.items():
        _take(claims, origin, head, where, text)
    return claims


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


def _take_head(claims: Claims, head: Head | None) -> None:
    if head is None:
        return
    try:
        signed = open_checkpoint(head.checkpoint, claims.trusted, origin=head.origin).checkpoint
    except NoteError as error:
        claims.findings.append(Finding(Kind.CHECKPOINT_FORGED, f"the newest checkpoint: {error}"))
        return
    claims.add(signed, "the newest checkpoint")
    if (signed.tree_size, signed.root_hash) != (head.tree_size, head.root_hash):
        detail = f"the head says {head.tree_size} entries and its checkpoint {signed.tree_size}, or they have different root hashes"
        claims.findings.append(Finding(Kind.ROLLED_BACK if signed.tree_size > head.tree_size else Kind.CHECKPOINT_FORGED, detail))
    if len(head.peaks) != head.tree_size.bit_count() * HASH_BYTES:
        claims.findings.append(Finding(Kind.CHECKPOINT_FORGED, "the head's peaks are not those of a tree of its size"))


def _take(claims: Claims, origin: str, head: Head | None, where: str, text: str) -> None:
    try:
        checkpoint = open_checkpoint(text, claims.trusted, origin=origin).checkpoint
    except NoteError as error:
        claims.findings.append(Finding(Kind.CHECKPOINT_FORGED, f"{where}: {error}"))
        return
    claims.add(checkpoint, where)
    size = head.tree_size if head else 0
    if checkpoint.tree_size > size:
        claims.findings.append(Finding(Kind.ROLLED_BACK, f"{where} was signed over {checkpoint.tree_size} entries, and the database has {size}"))
