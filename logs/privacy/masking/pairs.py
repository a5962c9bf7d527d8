"""Names and values in texts: `password=x`, `"token": "y"`, `--secret z`, <pin>1234</pin>, parameters of addresses and forms.

Only where they stand; which names tell of secrets is said by the key rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from logs.privacy.masking.expressions import compiled

_LETTERS = r"A-Za-z\x{80}-\x{10ffff}"
_NAME = rf"(?P<name>[{_LETTERS}%][{_LETTERS}0-9_.\-\[\]%]*(?: [{_LETTERS}][{_LETTERS}0-9_\-]*)?(?: [{_LETTERS}][{_LETTERS}0-9_\-]*)?)"
# Quoted, quoted within JSON within a text, quoted to a quote that was cut off; bare, with the scheme that headers have.
_VALUE = (
    r"(?s)(?:\"(?:[^\"\\]|\\.)*\"|\\+\"[^\"\\]*|'[^']*'|[\"'][^\"'\s]+"
    r"|(?:(?i:bearer|basic|digest|token|negotiate|apikey) +)?[^\s&;\"'<>\\]+)"
)
_VALUE_HERE = compiled(_VALUE)
_NAMED = compiled(rf"{_NAME}[\])]?\\*[\"']?\s*(?P<mark>=>|:=|==?|:)\s*")
_FLAG = compiled(r"--(?P<name>[A-Za-z][A-Za-z0-9_\-]*) +")
_SAID = compiled(
    rb"(?i)(?P<name>pass ?word|passcode|passphrase|passwort|kennwort|pin|api key|secret|token) (?:is|was|set to|ist|=) ?(?P<bare>[^\s\"'<>,;]{4,})"
)
_ELEMENT = compiled(rb"<(?P<name>[A-Za-z][A-Za-z0-9_.:\-]*)(?: [^<>]*)?>(?P<bare>[^<>]+)</")
# What follows a colon in a sentence about a secret, and is none.
_WORDS = frozenset(
    b"a an and are at be been but by can cannot changed check contact denied did do does empty enter error expired expires failed false field "
    b"fields for from has have hidden if in incorrect invalid is it its length long longer max maximum min minimum missing must my n/a new nil no "
    b"none not null off ok old on only or our passed please policy provided read required reset see set short should sorry success text that the "
    b"they this to too true try unchanged undefined unknown updated use valid verified verify was we weak were will with wrong yes you your string "
    b"number boolean str int bool bytes varchar optional "
    .split()
)  # fmt: skip
_TRAILING = b".,)]}"


@dataclass(frozen=True, slots=True)
class Pair:
    """A name, and the span of its value in the text. `is_header`: as HTTP writes it, so that the value may have spaces."""

    name: str
    begin: int
    end: int
    is_header: bool = False


def find_pairs(content: bytes, is_meant: Callable[[str], bool]) -> Iterator[Pair]:
    """Pairs in UTF-8 text whose names are meant. They may overlap."""
    reached = 0
    for match in _names(_NAMED, content, is_meant) if b"=" in content or b":" in content else ():
        # Each value is gone through once, or password=password=... would take the square of its length.
        found = _value_at(content, match.end()) if match.start() >= reached else None
        if found is None:
            continue
        begin, end, is_bare = found
        reached = end
        is_colon = content[match.end(2) - 1 : match.end(2)] == b":"
        # arn:aws:secretsmanager:...:secret:name is an address.
        if is_colon and begin == match.end(2) and content[match.start() - 1 : match.start()] == b":":
            continue
        if is_bare:
            end = _end_of_bare(content, begin, end)
            if _is_word(content[begin:end]):
                continue
        if end > begin:
            yield Pair(match.group(1).decode(), begin, end, is_header=is_colon and is_bare)
    reached = 0
    for match in _names(_FLAG, content, is_meant) if b"--" in content else ():
        found = _value_at(content, match.end()) if match.start() >= reached else None
        if found is not None and content[found[0] : found[0] + 1] != b"-":
            reached = found[1]
            yield Pair(match.group(1).decode(), found[0], found[1])
    for match in _SAID.finditer(content) if b" " in content else ():
        value = match.group(2).rstrip(_TRAILING)
        if any(byte in b"0123456789" for byte in value) and not value.isdigit():
            yield Pair(match.group(1).decode(), match.start(2), match.start(2) + len(value))
    for match in _ELEMENT.finditer(content) if b"<" in content else ():
        name = match.group(1).decode()
        if is_meant(name):
            yield Pair(name, *match.span(2))


def _names(expression: Any, content: bytes, is_meant: Callable[[str], bool]) -> Iterator[Any]:
    """Matches of names that are meant. Of the others only the name is passed over: their value may hold a pair of its own."""
    return (match for match in expression.finditer(content) if is_meant(match.group(1).decode()))


def _value_at(content: bytes, start: int) -> tuple[int, int, bool] | None:
    """The span of the value that begins here, without its quotes, and whether it has none."""
    match = _VALUE_HERE.match(content, start)
    if match is None:
        return None
    begin, end = match.span()
    value = content[begin:end]
    quoted = value.lstrip(b"\\")
    if quoted[:1] not in (b'"', b"'"):
        return begin, end, True
    inner = begin + len(value) - len(quoted) + 1
    # What is quoted within JSON ends before the quote already.
    end = end - 1 if len(quoted) == len(value) and len(quoted) > 1 and quoted[-1:] == quoted[:1] else end
    return (inner, end, False) if end > inner else None


def header_end(content: bytes, begin: int) -> int:
    """Where the value of a header ends that begins at `begin`: at the end of the line, or at the quote around it."""
    ends = [index for index in (content.find(mark, begin) for mark in (b"\n", b"\r", b'"', b"'", b"\\")) if index >= 0]
    return min(ends, default=len(content))


def _is_word(value: bytes) -> bool:
    return value.lower().strip(b"!?.,:") in _WORDS or not any(byte >= 0x80 or chr(byte).isalnum() for byte in value)


def _end_of_bare(content: bytes, begin: int, end: int) -> int:
    """Without the punctuation of the sentence, and without what is another pair: `a=1,b=2`."""
    value = content[begin:end]
    comma = _NEXT_PAIR.search(value) if b"," in value else None
    if comma is not None:
        value = value[: comma.start()]
    return begin + len(value.rstrip(_TRAILING)) if value.rstrip(_TRAILING) else end


_NEXT_PAIR = compiled(rb",[A-Za-z_][A-Za-z0-9_\-.]*[=:]")

# -- parameters of addresses and forms -----------------------------------------------------------------------------

_PARAMETER = compiled(rb"(?:[?&#]|^)(?P<name>[^\s=&?#\"'<>/:\\]+)=(?P<value>[^\s&#\"'<>\\]+)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter, percent-encoded as it stands in the text."""

    name: bytes
    value: bytes
    begin: int
    end: int


def find_parameters(content: bytes) -> Iterator[Parameter]:
    """Parameters of addresses (`?a=1&b=2`) and of form-encoded texts (`a=1&b=2`), ascending."""
    is_form = b"&" in content and len(content.split(None, 1)) == 1
    for match in _PARAMETER.finditer(content):
        if match.start(1) == 0 and not is_form:
            continue
        yield Parameter(match.group(1), match.group(2), *match.span(2))
