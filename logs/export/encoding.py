"""From a question to the bytes of its file: one snapshot, read page by page, written and packed as it is read."""

from __future__ import annotations

import datetime
import functools
import os
from collections.abc import Iterator
from typing import Protocol

from logs.catalogue import TenantCatalogue
from logs.export.asking import ExportQuestion
from logs.export.compression import Compressor
from logs.export.formats import FORMATS
from logs.export.manifest import Manifest, Tally
from logs.export.opening import users_of_log
from logs.export.pseudonyms import Pseudonymiser
from logs.export.snapshot import Snapshot
from logs.export.tiers import pages_of


class FileEncoding(Protocol):
    """What makes the bytes of one file. `entries` tells how many were written so far."""

    entries: int

    def pieces(self) -> Iterator[bytes]: ...
    def manifest(self, tally: Tally | None = None) -> Manifest: ...


class Encoding:
    """The bytes of one export, by `pieces`. `entries` tells how many were written so far."""

    def __init__(self, question: ExportQuestion, catalogue: TenantCatalogue, snapshot: Snapshot, packer: Compressor, made_at: datetime.datetime) -> None:
        self._question = question
        self._catalogue = catalogue
        self._snapshot = snapshot
        self._packer = packer
        self._made_at = made_at
        # The key dies with this object.
        self._pseudonymiser = (
            Pseudonymiser(os.urandom(32), functools.partial(users_of_log, question.principal.tenant_id)) if question.is_pseudonymised else None
        )
        self.entries = 0

    def pieces(self) -> Iterator[bytes]:
        """The file, in pieces that are never empty. Raises psycopg.Error, ArchiveUnavailable."""
        question, format = self._question, FORMATS[self._question.format]
        writer = format.writer(self._catalogue)
        # Only a manifest inside the file needs the hash.
        tally = Tally() if question.has_manifest else None
        yield from self._packed(writer.begin(), tally)
        for rows in pages_of(self._snapshot, format.select(question, self._catalogue), format.weigh):
            shown = format.open(question.principal.tenant_id, rows) if question.principal.may_decrypt else rows
            piece = writer.add(format.pseudonymise(self._pseudonymiser, shown) if self._pseudonymiser else shown)
            self.entries += len(rows)
            yield from self._packed(piece, tally)
        yield from self._packed(writer.finish(), tally)
        yield from self._packed(writer.end(self.manifest(tally) if tally or format.describes_itself else None), None)
        if rest := self._packer.flush():
            yield rest

    def manifest(self, tally: Tally | None = None) -> Manifest:
        """What has been written so far; with the size and hash that `tally` has come to."""
        question = self._question
        return Manifest(
            format=question.format,
            compression=question.compression,
            question="" if question.is_pseudonymised else question.words,
            order=question.order,
            made_at=self._made_at,
            tree_size=self._snapshot.tree_size,
            entries=self.entries,
            bytes=tally.bytes if tally else None,
            sha256=tally.sha256 if tally else None,
            limit=question.limit,
            is_pseudonymised=question.is_pseudonymised,
        )

    def _packed(self, piece: bytes, tally: Tally | None) -> Iterator[bytes]:
        if piece:
            if tally:
                tally.add(piece)
            if packed := self._packer.compress(piece):
                yield packed
