"""The outside anchor: copies of checkpoints in object storage, where nobody with rights on the database alone can change them.

Append-only: an object is written once, under `checkpoints/<origin>/<year>/<month>/<day>/<size>-<time of signing>`, and never again.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from django.conf import settings

from logs.storage import objects

# Year, month, day.
_DEPTH = 3


class Anchor:
    """The object storage of AUDITLOG_ANCHOR_URL. Raises `objects.StorageError` when it is away."""

    def __init__(self, url: str | None = None) -> None:
        self._store = objects.open_store(url or settings.AUDITLOG_ANCHOR_URL)

    def add(self, origin: str, tree_size: int, signed_at: datetime.datetime, checkpoint: str) -> None:
        """Copy a signed checkpoint. Adding it again changes nothing."""
        objects.put_new(self._store, f"{_folder(origin)}/{signed_at:%Y/%m/%d}/{tree_size:020d}-{signed_at:%Y%m%dT%H%M%S}", checkpoint.encode())

    def newest(self, origin: str) -> str | None:
        """The checkpoint that was added last; None if there is none."""
        name = objects.newest_name(self._store, _folder(origin), _DEPTH)
        return objects.read(self._store, name).decode() if name else None

    def all(self, origin: str) -> Iterator[tuple[str, str]]:
        """Every checkpoint of the log, oldest first: name of the object, and the checkpoint."""
        for name, content in objects.contents(self._store, _folder(origin)):
            yield name, content.decode(errors="replace")


def _folder(origin: str) -> str:
    return f"checkpoints/{origin}"
