"""What an Accept-Encoding header allows, and that what is packed comes out again."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest
import zstandard

from logs.export.compression import coding_for, compressor


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("", "none"),
        ("identity", "none"),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("zstd;q=0, gzip;q=0.1", "gzip"),
        ("gzip;q=0.000", "none"),
        ("GZIP ; Q=1", "gzip"),
        ("br", "none"),
        ("*", "none"),
        ("gzip;q=nonsense", "none"),
        (",,;;=", "none"),
    ],
)
def test_coding_is_one_that_is_named(header: str, coding: str) -> None:
    assert coding_for(header) == coding


@pytest.mark.parametrize("name", ["none", "gzip", "zstd"])
def test_what_is_packed_comes_out_again(name: str) -> None:
    packer = compressor(name)
    packed = b"".join([packer.compress(b"ab" * 1000), packer.compress(b"c"), packer.flush()])
    unpack: dict[str, Callable[[bytes], bytes]] = {
        "none": bytes,
        "gzip": gzip.decompress,
        "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    }
    assert unpack[name](packed) == b"ab" * 1000 + b"c"
