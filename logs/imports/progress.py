"""How far an import of a file got, so that an interrupted one goes on from there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec


class Done(msgspec.Struct):
    """Documents that were dealt with, and what was wrong with those that were refused."""

    documents: int = 0
    failures: list[str] = []


class Progress:
    """Documents of one file that the service has answered for, kept in `folder` until the import is complete.

    Only a short cut: what is sent again is recognised by its idempotency key.
    """

    def __init__(self, folder: Path, file: Path, url: str, format: str) -> None:
        found = file.stat()
        identity = msgspec.json.encode([str(file.resolve()), found.st_size, found.st_mtime_ns, url, format])
        self._path = folder / f"{hashlib.sha256(identity).hexdigest()[:24]}.json"

    def load(self) -> Done:
        """What an earlier run left; nothing if there was none, or if the file is damaged."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Done)
        except (OSError, msgspec.DecodeError):
            return Done()

    def keep(self, done: Done) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(done))
        draft.replace(self._path)

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)
