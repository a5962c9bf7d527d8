"""From a request's body to the raw text of each entry, with every limit held while reading."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
import zstandard
from django.conf import settings
from django.http import HttpRequest

from accounts.problems import Fault, PayloadTooLarge, Refused
from logs.errors import InvalidEntries, NotJSON, WrongContentType
from logs.ingest import faults

CHUNK_BYTES = 256 * 1024
# What a zstd frame may ask the decoder to keep in memory.
MAX_WINDOW_BYTES = 8 * 2**20
# Compressed bytes that are given to the zstd decoder at once: at most 8 MiB come of them, 128 KiB of each 4.
ZSTD_SLICE_BYTES = 256
# Members or frames that a body may consist of. Each costs a decoder of its own: 16 MiB of empty ones would keep a thread for ten seconds.
MAX_MEMBERS = 10_000
# A bulk body of 10,000 ordinary entries has some 120,000 commas; with more, entries are counted before they are kept.
MANY_COMMAS = 200_000

_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read_body(request: HttpRequest, limit_bytes: int) -> bytes:
    """The body, decompressed if `Content-Encoding` says gzip or zstd.

    Raises PayloadTooLarge as soon as either the sent or the decompressed bytes pass `limit_bytes`, and Refused for
    damaged or unknown compression.
    """
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isdigit() and int(length) > limit_bytes:
        raise PayloadTooLarge(limit_bytes)
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    stream: Any = request.META.get("wsgi.input", request)
    remaining = int(length) if length.isdigit() else None
    if encoding in ("", "identity"):
        return _join(_chunks(stream, remaining), limit_bytes)
    if encoding in ("gzip", "x-gzip"):
        return _join(_gunzip(_chunks(stream, remaining)), limit_bytes)
    if encoding == "zstd":
        return _join(_unzstd(_join(_chunks(stream, remaining), limit_bytes)), limit_bytes)
    raise Refused(f"Content-Encoding {encoding!r} is not understood. Send gzip, zstd, or none.")


def _chunks(stream: Any, remaining: int | None) -> Iterator[bytes]:
    while remaining is None or remaining > 0:
        chunk = stream.read(CHUNK_BYTES if remaining is None else min(CHUNK_BYTES, remaining))
        if not chunk:
            return
        if remaining is not None:
            remaining -= len(chunk)
        yield chunk


def _join(chunks: Iterator[bytes], limit_bytes: int) -> bytes:
    kept: list[bytes] = []
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit_bytes:
            raise PayloadTooLarge(limit_bytes)
        kept.append(chunk)
    return kept[0] if len(kept) == 1 else b"".join(kept)


def _gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Decompressed pieces of at most CHUNK_BYTES; members may follow one another (RFC 1952 §2.2)."""
    member = zlib.decompressobj(wbits=31)
    is_begun = False
    count = 1
    try:
        for chunk in chunks:
            data = chunk
            while data:
                if member.eof:
                    count = _one_more(count)
                    member = zlib.decompressobj(wbits=31)
                is_begun = True
                yield member.decompress(data, CHUNK_BYTES)
                data = member.unconsumed_tail or member.unused_data
    except zlib.error as error:
        raise Refused(f"The body is not gzip: {error}.") from error
    if is_begun and not member.eof:
        raise Refused("The gzip body ends too early.")


def _unzstd(body: bytes) -> Iterator[bytes]:
    """Decompressed pieces; frames may follow one another. (The library's reader takes a frame that is cut off for one that ends.)"""
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    frame = None
    count = 0
    try:
        for start in range(0, len(body), ZSTD_SLICE_BYTES):
            data = body[start : start + ZSTD_SLICE_BYTES]
            while data:
                if frame is None or frame.eof:
                    count = _one_more(count)
                    frame = decompressor.decompressobj()
                if piece := frame.decompress(data):
                    yield piece
                data = frame.unused_data if frame.eof else b""
    except zstandard.ZstdError as error:
        raise Refused(f"The body is not zstd, or needs a window of over {MAX_WINDOW_BYTES} bytes: {error}.") from error
    if frame is not None and not frame.eof:
        raise Refused("The zstd body ends too early.")


def _one_more(count: int) -> int:
    """The number of members or frames with the one that begins now. Raises Refused."""
    if count == MAX_MEMBERS:
        raise Refused(f"The compressed body has more than {MAX_MEMBERS} parts. Compress it in one.")
    return count + 1


def media_type(request: HttpRequest) -> str:
    """The content type without its parameters; a charset other than UTF-8 is refused."""
    content_type: str = request.META.get("CONTENT_TYPE", "")
    kind, _, parameters = content_type.partition(";")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8", ""):
            raise WrongContentType(content_type, "UTF-8")
    return kind.strip().lower()


def split_bulk(body: bytes, kind: str) -> list[bytes]:
    """The raw text of each entry of a bulk body. Raises NotJSON, WrongContentType and InvalidEntries."""
    limit = settings.AUDITLOG_MAX_BULK_ENTRIES
    if kind == "application/json":
        found = _split_array(body, limit)
    elif kind in ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines"):
        found = _split_lines(body, limit)
    else:
        raise WrongContentType(kind, "application/json (an array) or application/x-ndjson (an entry a line)")
    if not found:
        raise InvalidEntries([Fault("", "no_entries", "The body has no entries.")])
    if len(found) > limit:
        raise too_many_entries(limit)
    return found


def _split_array(body: bytes, limit: int) -> list[bytes]:
    if body.count(b",") > MANY_COMMAS:
        _count_array(body, limit)
    try:
        return [bytes(raw) for raw in _raws(body)]
    except msgspec.ValidationError as error:
        raise InvalidEntries([Fault("", "wrong_type", "The body has to be a JSON array of entries.")]) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(body, error) from error


class _Counted:
    """Stands for an array's element while elements are counted and thrown away."""


def _count_array(body: bytes, limit: int) -> None:
    """Raise InvalidEntries if the array has more than `limit` elements, without keeping them in memory."""
    count = 0

    def hook(kind: type, value: Any) -> None:
        nonlocal count
        count += 1
        if count > limit:
            raise OverflowError

    try:
        msgspec.json.Decoder(list[_Counted], dec_hook=hook).decode(body)
    except OverflowError:
        raise too_many_entries(limit) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        if isinstance(error.__cause__, OverflowError):
            raise too_many_entries(limit) from None
        # What else is wrong with the body is said by the pass that keeps the entries.


def _split_lines(body: bytes, limit: int) -> list[bytes]:
    # Every line may be followed by a blank one, no more: a body of line feeds is not worth a list.
    if body.count(b"\n") > 2 * limit:
        raise too_many_entries(limit)
    return [line for line in body.split(b"\n") if line.strip()]


def too_many_entries(limit: int) -> InvalidEntries:
    return InvalidEntries([Fault("", "too_many_entries", f"A bulk request takes at most {limit} entries.")])


def not_json(body: bytes, error: Exception) -> NotJSON:
    fault = faults.fault_of_bad_json(body, error, "")
    return NotJSON(fault.detail, faults=[fault])
