"""The file of a subject report: a ZIP with a page to read, the entries for machines, and a manifest of both.

Both are made from one snapshot, read twice, a bounded page of entries at a time: neither is ever in memory as a whole.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import msgspec

from logs.catalogue import TenantCatalogue
from logs.export.asking import ExportQuestion
from logs.export.formats import FORMATS, titled
from logs.export.manifest import Manifest, Tally
from logs.export.snapshot import Snapshot
from logs.export.tiers import pages_of
from logs.subjects.archive import Archive
from logs.subjects.page import Heading, Page

PAGE_NAME, ENTRIES_NAME, MANIFEST_NAME = "report.html", "entries.ndjson", "manifest.json"
CONTENT_TYPE = "application/zip"


class SubjectReport:
    """The bytes of one report, by `pieces`. `question.tree` finds the entries about the subject; `entries`: how many were written so far."""

    def __init__(self, question: ExportQuestion, catalogue: TenantCatalogue, snapshot: Snapshot, made_at: datetime.datetime, heading: Heading) -> None:
        self._question = question
        self._catalogue = catalogue
        self._snapshot = snapshot
        self._made_at = made_at
        self._heading = heading
        self.entries = 0

    def pieces(self) -> Iterator[bytes]:
        """The file, in pieces that are never empty. Raises psycopg.Error, ArchiveUnavailable."""
        return filter(None, self._members())

    def manifest(self, tally: Tally | None = None) -> Manifest:
        """What has been written so far; with the size and hash that `tally` has come to."""
        question = self._question
        return Manifest(
            format=question.format,
            compression=question.compression,
            question=question.words,
            order=question.order,
            made_at=self._made_at,
            tree_size=self._snapshot.tree_size,
            entries=self.entries,
            bytes=tally.bytes if tally else None,
            sha256=tally.sha256 if tally else None,
        )

    def _members(self) -> Iterator[bytes]:
        archive, page = Archive(self._made_at), Page(self._heading)
        digests: dict[str, str] = {}
        yield archive.begin(PAGE_NAME)
        yield archive.add(page.begin().encode())
        for lines in self._lines():
            yield archive.add(page.add(lines).encode())
        yield archive.add(page.end().encode())
        digests[PAGE_NAME], end = archive.end()
        yield end
        yield archive.begin(ENTRIES_NAME)
        for lines in self._lines():
            self.entries += len(lines)
            yield archive.add(("\n".join(lines) + "\n").encode())
        digests[ENTRIES_NAME], end = archive.end()
        yield end
        yield archive.begin(MANIFEST_NAME)
        yield archive.add(msgspec.json.format(msgspec.json.encode(self._described(digests)), indent=2) + b"\n")
        yield archive.end()[1]
        yield archive.close()

    def _lines(self) -> Iterator[list[str]]:
        """The entries as the API gives them to the asker, page by page."""
        question, lines = self._question, FORMATS["ndjson"]
        for rows in pages_of(self._snapshot, lines.select(question, self._catalogue), lines.weigh):
            yield titled(lines.open(question.principal.tenant_id, rows) if question.principal.may_decrypt else rows, self._catalogue)

    def _described(self, digests: dict[str, str]) -> dict[str, Any]:
        heading = self._heading
        return {
            "subject": heading.subject,
            "tenant": heading.tenant,
            "asked_by": heading.asked_by,
            "asked_at": heading.asked_at,
            "made_at": heading.made_at,
            "question": heading.question,
            "entries": self.entries,
            "tree_size": self._snapshot.tree_size,
            "checkpoint": self._snapshot.checkpoint,
            "files": [{"name": name, "sha256": digest} for name, digest in digests.items()],
        }
