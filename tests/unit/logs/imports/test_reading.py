"""Documents of a stream: one a line, whatever it is compressed by, and bad lines among good ones."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable

import pytest
import zstandard

from logs.imports.reading import Document, Unreadable, documents, open_stream

LINES = b"".join(b'{"number":%d,"padding":"%s"}\n' % (number, bytes([97 + number % 26]) * 200) for number in range(5000))
PACKS: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}


class Pipe(io.RawIOBase):
    """A stream that gives a few bytes at a time and can't be wound back, as a pipe does."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # typed as a wider kind of buffer
        taken = self._content.read(min(len(buffer), 777))
        buffer[: len(taken)] = taken
        return len(taken)


def numbers(content: bytes) -> list[int]:
    found = list(documents(open_stream(Pipe(content))))  # type: ignore[arg-type]  # a raw stream, as standard input may be
    assert all(isinstance(document, Document) for document in found)
    return [document.value["number"] for document in found if isinstance(document, Document)]


@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
def test_every_document_comes_whatever_it_is_compressed_by(pack: Callable[[bytes], bytes]) -> None:
    assert numbers(pack(LINES)) == list(range(5000))
    half = LINES.index(b"\n", len(LINES) // 2) + 1
    assert numbers(pack(LINES[:half]) + pack(LINES[half:])) == list(range(5000))


@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
def test_an_empty_input_has_no_documents(pack: Callable[[bytes], bytes]) -> None:
    assert numbers(pack(b"")) == numbers(pack(b"\n\n \n")) == []


@pytest.mark.parametrize("name", ["gzip", "zstd"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_an_input_that_ends_in_the_middle_is_an_error_and_not_an_end(name: str, share: float) -> None:
    packed = PACKS[name](LINES)
    with pytest.raises((EOFError, OSError)):
        numbers(packed[: int(len(packed) * share)])


def test_a_bad_line_comes_with_its_number_and_the_next_ones_follow() -> None:
    found = list(documents(io.BytesIO(b'{"a":1}\n\nnot json\n[1]\n"text"\n\xff\xfe\n' + b"[" * 100_000 + b'\n{"a":2}')))
    assert [(document.line, isinstance(document, Unreadable)) for document in found] == [
        (1, False), (3, True), (4, True), (5, True), (6, True), (7, True), (8, False),
    ]  # fmt: skip


def test_records_of_one_line_share_its_number() -> None:
    found = list(documents(io.BytesIO(b'{"a":0}\n{"Records":[{"a":1},{"a":2}]}\n{"Records":[]}\n{"Records":"no list"}')))
    assert [(document.line, document.value) for document in found if isinstance(document, Document)] == [
        (1, {"a": 0}), (2, {"a": 1}), (2, {"a": 2}), (4, {"Records": "no list"}),
    ]  # fmt: skip
