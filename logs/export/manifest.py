"""What an export is: how many entries, of which question and moment, and the SHA-256 by which its bytes are known."""

from __future__ import annotations

import datetime
import hashlib
from typing import Annotated

import msgspec
from msgspec import Meta


class Manifest(msgspec.Struct, omit_defaults=True):
    """Of a job: about the file as it is downloaded. Inside a file: about all of its bytes before the manifest, uncompressed."""

    format: str
    compression: Annotated[str, Meta(description="none, gzip or zstd.")]
    question: Annotated[str, Meta(description="The filters, as a query string; empty where it is pseudonymised, for they may name somebody.")]
    order: Annotated[str, Meta(description="desc (newest first) or asc.")]
    made_at: datetime.datetime
    tree_size: Annotated[int, Meta(description="Entries that were sequenced at the moment of the export.")]
    entries: int
    bytes: int | None = None
    sha256: Annotated[str | None, Meta(description="In hexadecimal.")] = None
    limit: int | None = None
    is_pseudonymised: Annotated[bool, Meta(description="Were users, sessions and addresses replaced by pseudonyms, which hold for this file alone?")] = False


class Tally:
    """Counts and hashes bytes as they pass."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.bytes = 0

    def add(self, data: bytes) -> None:
        self._hash.update(data)
        self.bytes += len(data)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()
