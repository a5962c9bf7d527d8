"""Reading bodies: compression and limits, held while reading."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable

import msgspec
import pytest
import zstandard
from django.test import RequestFactory

from accounts.problems import PayloadTooLarge, Problem, Refused
from logs.errors import InvalidEntries, NotJSON, WrongContentType
from logs.ingest.body import media_type, read_body, split_bulk

MIB = 2**20
TEXT = b'[{"a":1}]'


def read(body: bytes, encoding: str = "identity", limit_bytes: int = MIB) -> bytes:
    request = RequestFactory().generic("POST", "/", body, headers={"Content-Encoding": encoding})
    # Django's own stand-in complains when it is asked for more than there is; servers' streams just end.
    request.META["wsgi.input"] = io.BytesIO(body)
    return read_body(request, limit_bytes)


@pytest.mark.parametrize(
    ("encoding", "pack"), [("identity", bytes), ("gzip", gzip.compress), ("x-gzip", gzip.compress), ("zstd", zstandard.compress), ("GZIP", gzip.compress)]
)
def test_body_is_unpacked(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    assert read(pack(TEXT * 1000), encoding) == TEXT * 1000


def test_gzip_members_and_zstd_frames_may_follow_one_another() -> None:
    assert read(gzip.compress(b"ab") + gzip.compress(b"cd"), "gzip") == b"abcd"
    assert read(zstandard.compress(b"ab") + zstandard.compress(b"cd"), "zstd") == b"abcd"


@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
def test_empty_body_is_empty(encoding: str) -> None:
    assert read(b"", encoding) == b""


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(TEXT * 1000, mtime=0)[:-9]),
        ("gzip", b"no gzip at all"),
        ("zstd", b"no zstd at all"),
        ("br", b"x"),
        ("gzip, zstd", b"x"),
    ],
)
def test_damaged_or_unknown_compression_is_refused(encoding: str, body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        read(body, encoding)
    assert caught.value.status == 400


def test_zstd_that_asks_for_a_huge_window_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(Refused):
        read(packer.compress(b"a" * MIB) + packer.flush(), "zstd", 2 * MIB)


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.compress)])
def test_bomb_is_refused_after_the_limit_not_after_the_bomb(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(bytes(200 * MIB))
    assert len(bomb) < MIB
    request = RequestFactory().generic("POST", "/", bomb, headers={"Content-Encoding": encoding})
    with pytest.raises(PayloadTooLarge):
        read_body(request, MIB)


def test_body_over_the_limit_is_refused_unread() -> None:
    request = RequestFactory().generic("POST", "/", b"x" * 11)
    stream = io.BytesIO(b"x" * 11)
    request.META["wsgi.input"] = stream
    with pytest.raises(PayloadTooLarge):
        read_body(request, 10)
    assert stream.tell() == 0


@pytest.mark.parametrize(
    ("body", "kind", "found"),
    [
        (b'[{"a":1}, {"b":2}]', "application/json", [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\n\n{"b":2}\r\n', "application/x-ndjson", [b'{"a":1}', b'{"b":2}\r']),
        (b"not json\n{}", "application/x-ndjson", [b"not json", b"{}"]),
    ],
)
def test_bulk_body_is_split_into_its_entries(body: bytes, kind: str, found: list[bytes]) -> None:
    assert split_bulk(body, kind) == found


@pytest.mark.parametrize(
    ("body", "kind", "problem"),
    [
        (b"[", "application/json", NotJSON),
        (b"[{]", "application/json", NotJSON),
        (b"{}", "application/json", InvalidEntries),
        (b"[]", "application/json", InvalidEntries),
        (b"\n\n", "application/x-ndjson", InvalidEntries),
        (b"[" + b"1," * 10_000 + b"1]", "application/json", InvalidEntries),
        (b"[" + b"1," * 1_000_000 + b"1]", "application/json", InvalidEntries),
        (b"{}\n" * 10_001, "application/x-ndjson", InvalidEntries),
        (b"\n" * 1_000_000, "application/x-ndjson", InvalidEntries),
        (b"[" * 1_000_000, "application/json", NotJSON),
        (b"[]", "text/plain", WrongContentType),
        (b"[]", "", WrongContentType),
    ],
)
def test_wrong_bulk_body_is_refused(body: bytes, kind: str, problem: type[Problem]) -> None:
    with pytest.raises(problem):
        split_bulk(body, kind)


def test_many_commas_within_texts_are_no_entries() -> None:
    body = msgspec.json.encode([{"a": "," * 300_000}])
    assert len(split_bulk(body, "application/json")) == 1


def test_other_charset_is_refused() -> None:
    request = RequestFactory().generic("POST", "/", b"x", content_type='application/json; charset="ISO-8859-1"')
    with pytest.raises(WrongContentType):
        media_type(request)
    assert media_type(RequestFactory().generic("POST", "/", b"x", content_type="Application/JSON; charset=UTF-8")) == "application/json"
