"""Documents of a file or stream, one after the other, decompressed as they are read."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, cast

import msgspec
import zstandard

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


class Document(NamedTuple):
    """One JSON object of the input: the line it stands on (from 1), its bytes and its value."""

    line: int
    raw: bytes
    value: dict[str, Any]


class Unreadable(Exception):
    """A line that is no JSON object. `line` is its number, from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class _ZstdReader(io.RawIOBase):
    """The content of zstd frames. Raises EOFError where the last one is cut off (zstandard's own reader just ends there)."""

    # A few bytes can stand for many; what is unpacked at once stays bounded by what is read at once.
    CHUNK_BYTES = 8192

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._is_begun = False
        self._ready = bytearray()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            data = self._packed.read(self.CHUNK_BYTES)
            if not data:
                if self._is_begun and not self._frame.eof:
                    raise EOFError("Compressed file ended before the end of the frame was reached")
                return 0
            while data:
                if self._frame.eof:
                    self._frame = zstandard.ZstdDecompressor().decompressobj()
                self._is_begun = True
                self._ready += self._frame.decompress(data)
                data = self._frame.unused_data
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        del self._ready[:count]
        return count


def open_stream(raw: BinaryIO) -> BinaryIO:
    """`raw`, decompressed if it begins as gzip or zstd does."""
    buffered = io.BufferedReader(cast("io.RawIOBase", raw)) if not isinstance(raw, io.BufferedReader) else raw
    start = buffered.peek(4)[:4]
    if start.startswith(_GZIP):
        return cast("BinaryIO", gzip.GzipFile(fileobj=buffered))
    if start == _ZSTD:
        return io.BufferedReader(_ZstdReader(buffered))
    return buffered


def documents(stream: BinaryIO) -> Iterator[Document | Unreadable]:
    """Every document of `stream`: an object a line. A line `{"Records": [...]}` (CloudTrail's files) stands for its records.

    Lines that are none come as `Unreadable`, so that one bad line does not end the import.
    """
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            value = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            yield Unreadable(number, f"this is not JSON: {error}")
            continue
        if not isinstance(value, dict):
            yield Unreadable(number, "this is no JSON object.")
        elif isinstance(value.get("Records"), list) and all(isinstance(record, dict) for record in value["Records"]):
            for record in value["Records"]:
                yield Document(number, msgspec.json.encode(record), record)
        else:
            yield Document(number, line.strip(), value)
