"""Proofs of one tenant's entries and checkpoints, as the API gives them. Here our words become those of RFC 9162."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from accounts.problems import Fault, NotFound
from auditlog_verify.merkle import EMPTY_ROOT
from auditlog_verify.notes import Checkpoint, Note
from auditlog_verify.proofs import InclusionProof
from logs.errors import IntegrityViolation, InvalidQuery, NotSequenced
from logs.integrity.entries import canonical_bytes
from logs.integrity.storage import Head, Place, StoredNodes, read_head, read_places
from logs.integrity.tree import consistency_path, inclusion_path, root_at
from logs.storage.columns import INDEX, SELECT_STORED_WITH_BATCH
from logs.storage.reading import tenant_transaction

Hash = Annotated[str, Meta(description="32 bytes in base64.")]
SELECT_KEPT = "SELECT checkpoint || cosignatures FROM auditlog.logs_checkpoint_view WHERE tree_size = %s ORDER BY id DESC LIMIT 1"
SELECT_BATCH_OF = "SELECT id::text, batch_id, batch_index FROM auditlog.logs_entry_view WHERE id = ANY (%s::uuid[])"


class EntryProof(msgspec.Struct, omit_defaults=True):
    """That an entry is in its tenant's log: SHA-256 of `canonical` is its record, SHA-256 of a zero byte and the record its leaf hash."""

    id: str
    leaf_index: Annotated[int, Meta(description="The entry's position in the log, from 0.")]
    leaf_hash: Hash
    tree_size: int
    root_hash: Hash
    inclusion_path: Annotated[list[Hash], Meta(description="From the leaf up (RFC 9162, 2.1.3).")]
    checkpoint: Annotated[str, Meta(description="The signed tree head (C2SP tlog-checkpoint).")]
    canonical: Annotated[str, Meta(description="The entry's canonical bytes, as text.")]


class Consistency(msgspec.Struct):
    """That the first tree is the beginning of the second."""

    first_size: int
    first_root_hash: Hash
    second_size: int
    second_root_hash: Hash
    consistency_path: Annotated[list[Hash], Meta(description="RFC 9162, 2.1.4.")]


class EntryIntegrity(msgspec.Struct):
    """Where an entry stands in its tenant's log."""

    position: Annotated[int, Meta(description="Its leaf index, from 0, in the order of commits.")]
    leaf_hash: Hash


@dataclass(frozen=True)
class Proven:
    """An entry with its proof."""

    id: str
    place: Place
    canonical: bytes
    proof: InclusionProof
    tree_size: int
    root_hash: bytes

    @property
    def output(self) -> EntryProof:
        return EntryProof(
            id=self.id,
            leaf_index=self.proof.leaf_index,
            leaf_hash=to_base64(self.place.leaf_hash),
            tree_size=self.tree_size,
            root_hash=to_base64(self.root_hash),
            inclusion_path=[to_base64(step) for step in self.proof.inclusion_path],
            checkpoint=self.proof.checkpoint,
            canonical=self.canonical.decode(),
        )


def prove_entry(cursor: Any, id: uuid.UUID) -> Proven | None:
    """The proof of one entry of the cursor's tenant that is in PostgreSQL, against the newest checkpoint. None if there is no such entry.

    Raises as `prove_row`.
    """
    cursor.execute(SELECT_STORED_WITH_BATCH, [[id]])
    row = cursor.fetchone()
    return None if row is None else prove_row(cursor, row)


def prove_row(cursor: Any, row: Sequence[Any], tree_size: int | None = None) -> Proven:
    """The proof of an entry, given as a row of `columns.STORED_WITH_BATCH`: against the newest checkpoint, or a kept one of `tree_size`.

    Raises NotSequenced, InvalidQuery (no checkpoint of that size is kept, or it is too small), IntegrityViolation.
    """
    *columns, batch_id, batch_index = row
    id = columns[INDEX["id"]]
    (place,) = read_places(cursor, [(batch_id, batch_index)])
    head = read_head(cursor)
    if place is None:
        raise IntegrityViolation(f"the entry {id} belongs to the batch {batch_id}, which is not there")
    if place.position is None or head is None:
        raise NotSequenced(id)
    size, root_hash, checkpoint = _checkpoint(cursor, head, tree_size)
    if place.position >= size:
        raise InvalidQuery([Fault("tree_size", "unknown_size", f"The entry's position is {place.position}: it is in no tree of {size} entries.")])
    path = inclusion_path(place.position, size, StoredNodes(cursor))
    proof = InclusionProof(place.position, tuple(path), checkpoint)
    return Proven(id, place, canonical_bytes(columns), proof, size, root_hash)


def _checkpoint(cursor: Any, head: Head, tree_size: int | None) -> tuple[int, bytes, str]:
    """Size, root hash and signed note of the newest checkpoint, or of a kept one."""
    if tree_size is None or tree_size == head.tree_size:
        return head.tree_size, head.root_hash, head.checkpoint
    checkpoint = kept_checkpoint(cursor, tree_size)
    if checkpoint is None:
        raise InvalidQuery([Fault("tree_size", "unknown_size", f"No checkpoint of {tree_size} entries is kept. See /api/v1/integrity/checkpoints.")])
    return tree_size, Checkpoint.of_text(Note.decode(checkpoint).text).root_hash, checkpoint


def kept_checkpoint(cursor: Any, tree_size: int) -> str | None:
    """The newest kept checkpoint of this size, with its cosignatures."""
    cursor.execute(SELECT_KEPT, [tree_size])
    row = cursor.fetchone()
    return str(row[0]) if row else None


def prove_consistency(cursor: Any, first: int, second: int | None) -> Consistency:
    """That the tree of `first` entries is the beginning of that of `second` (None: the newest). Raises InvalidQuery."""
    head = head_of(cursor)
    second = head.tree_size if second is None else second
    for name, size in (("from", first), ("to", second)):
        if size > head.tree_size:
            raise InvalidQuery([Fault(name, "unknown_size", f"The log has {head.tree_size} entries, not {size}.")])
    if first > second:
        raise InvalidQuery([Fault("to", "bad_range", "`to` is before `from`.")])
    nodes = StoredNodes(cursor)
    return Consistency(
        first_size=first,
        first_root_hash=to_base64(root_at(first, nodes) if first else EMPTY_ROOT),
        second_size=second,
        second_root_hash=to_base64(root_at(second, nodes)),
        consistency_path=[to_base64(step) for step in consistency_path(first, second, nodes)],
    )


def head_of(cursor: Any) -> Head:
    """The log's head. Raises NotFound while nothing is sequenced."""
    head = read_head(cursor)
    if head is None:
        raise NotFound("The log has no checkpoint yet: nothing is sequenced.")
    return head


def integrity_of(places: Iterable[Place | None]) -> list[EntryIntegrity | None]:
    """What an entry's body says of its place; None while it has no position."""
    return [None if place is None or place.position is None else EntryIntegrity(place.position, to_base64(place.leaf_hash)) for place in places]


@dataclass(frozen=True)
class Sequenced:
    """What a poster who waited gets: the place of each of their entries by id, the checkpoint over them, a proof if it is one entry."""

    places: Mapping[str, EntryIntegrity | None]
    checkpoint: str
    proof: EntryProof | None


def describe_sequenced(tenant_id: uuid.UUID, ids: list[str]) -> Sequenced | None:
    """What can be said of entries of the tenant that are sequenced. None if nothing is."""
    with tenant_transaction(tenant_id) as cursor:
        head = read_head(cursor)
        if head is None:
            return None
        cursor.execute(SELECT_BATCH_OF, [ids])
        rows = cursor.fetchall()
        places = integrity_of(read_places(cursor, [(batch_id, batch_index) for _, batch_id, batch_index in rows]))
        proven = prove_entry(cursor, uuid.UUID(ids[0])) if len(ids) == 1 else None
    return Sequenced({row[0]: place for row, place in zip(rows, places, strict=True)}, head.checkpoint, proven.output if proven else None)


def to_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
