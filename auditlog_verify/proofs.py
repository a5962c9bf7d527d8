"""The proof that one record is in a log, as a text that can be kept and checked offline: C2SP tlog-proof@v1."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass

from auditlog_verify.merkle import HASH_BYTES, ProofError, check_inclusion, leaf_hash
from auditlog_verify.notes import OpenedCheckpoint, VerifierKey, open_checkpoint

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PATH = 63


@dataclass(frozen=True)
class InclusionProof:
    """That a leaf is in the tree of a checkpoint. `checkpoint` is the signed note; hashes are 32 bytes, from the leaf up."""

    leaf_index: int
    inclusion_path: tuple[bytes, ...]
    checkpoint: str

    @property
    def encoded(self) -> str:
        """The proof as tlog-proof text."""
        path = "".join(base64.b64encode(step).decode() + "\n" for step in self.inclusion_path)
        return f"{HEADER}\nindex {self.leaf_index}\n{path}\n{self.checkpoint}"

    @classmethod
    def decode(cls, text: str) -> InclusionProof:
        """The proof in a tlog-proof text; its extra data is passed over. Raises ProofError."""
        head, found, checkpoint = text.partition("\n\n")
        lines = head.split("\n")
        if not found or lines[0] != HEADER:
            raise ProofError(f"this is no proof: {HEADER} is expected on its first line")
        del lines[0]
        if lines and lines[0].startswith("extra "):
            del lines[0]
        word, _, index = lines.pop(0).partition(" ") if lines else ("", "", "")
        if word != "index" or not (index.isascii() and index.isdigit() and str(int(index)) == index):
            raise ProofError("the proof has no line `index N`")
        if len(lines) > MAX_PATH:
            raise ProofError("the inclusion path is too long")
        return cls(int(index), tuple(_hash(line) for line in lines), checkpoint)

    def check(self, record: bytes, keys: Iterable[VerifierKey], *, origin: str | None = None) -> OpenedCheckpoint:
        """Check that `record` (32 bytes) is in the log as its checkpoint says, which one of `keys` has signed.

        Raises ProofError or `notes.NoteError`.
        """
        opened = open_checkpoint(self.checkpoint, keys, origin=origin)
        check_inclusion(
            leaf_hash=leaf_hash(record),
            leaf_index=self.leaf_index,
            tree_size=opened.checkpoint.tree_size,
            inclusion_path=self.inclusion_path,
            root_hash=opened.checkpoint.root_hash,
        )
        return opened


def _hash(line: str) -> bytes:
    try:
        raw = base64.b64decode(line.encode(), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != HASH_BYTES:
        raise ProofError("a line of the inclusion path is no hash")
    return raw
