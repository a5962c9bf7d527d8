"""A ZIP file in the making, whose bytes are given out as they come: bounded memory, no temporary file. Pure."""

from __future__ import annotations

import datetime
import hashlib
import zipfile
from typing import IO


class _Sink:
    """A file for `zipfile` that can't be sought in, and whose bytes are taken out as they come."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class Archive:
    """Members one after the other: `begin` a member, `add` to it, `end` it; at last `close`. Each answers the next bytes of the file."""

    def __init__(self, made_at: datetime.datetime) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED)  # type: ignore[call-overload]  # writes, and needs no more
        self._moment = made_at.timetuple()[:6]
        self._member: IO[bytes] | None = None
        self._hash = hashlib.sha256()

    def begin(self, name: str) -> bytes:
        member = zipfile.ZipInfo(name, self._moment)
        member.compress_type = zipfile.ZIP_DEFLATED
        # For its owner alone, as whoever unpacks it finds it.
        member.external_attr = 0o600 << 16
        # Members of any size, whose size nobody knows yet.
        self._member = self._zip.open(member, "w", force_zip64=True)
        self._hash = hashlib.sha256()
        return self._sink.take()

    def add(self, data: bytes) -> bytes:
        if self._member is None:
            raise ValueError("no member is begun")
        self._member.write(data)
        self._hash.update(data)
        return self._sink.take()

    def end(self) -> tuple[str, bytes]:
        """The member's SHA-256 in hexadecimal, and the next bytes of the file."""
        if self._member is None:
            raise ValueError("no member is begun")
        self._member.close()
        self._member = None
        return self._hash.hexdigest(), self._sink.take()

    def close(self) -> bytes:
        self._zip.close()
        return self._sink.take()
