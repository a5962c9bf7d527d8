"""Pseudonymised exports: who an entry is about becomes a name that says nothing, the same throughout one export. Pure.

In each entry `user_id`, `session_id`, `ip_address` and the person of `source` become pseudonyms, and every text in the rest that is one of
these, or holds it, has the pseudonym in its place. What people write freely (`message`, `user_agent`), what is made of names (`title`) and
what could tell a guess right (`idempotency_key`, the leaf's hash) is left out.

Other people whom an entry names in its metadata stay: that they are people is known to nobody here. Entries keep their ids: who may read the
log can look them up there.
"""

from __future__ import annotations

import functools
import hmac
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from auditlog_verify.canonical import decode_json, encode_json
from logs.export.snapshot import Rows
from logs.storage.table import TABLE_COLUMN_NAMES

# Of an HMAC-SHA256, in hexadecimal: 80 bits, so that two people of an export never share one.
DIGITS = 20
# Shorter ones are taken for themselves only where they are words of their own: else `a` would be found in every word.
LEAST_WITHIN_WORDS = 4
_PERSON = "user:"
_LEFT_OUT = frozenset({"message", "user_agent", "title", "idempotency_key", "highlights", "subject"})
_PREFIXES = {"user_id": "u_", "session_id": "s_", "ip_address": "ip_"}
_TEXTS = frozenset({"resource_id", "request_id"})
_JSON = frozenset({"metadata", "before", "after"})
_LISTS = frozenset({"changed_fields", "masked"})
_USER_ID = TABLE_COLUMN_NAMES.index("user_id")
_decode_line = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.json.decode
_encode = msgspec.json.Encoder().encode


def nobody_behind(user_ids: Collection[str]) -> Mapping[str, str]:
    return {}


class Pseudonymiser:
    """Pseudonymises the entries of one export. `key`: 32 random bytes, which nobody keeps: no two exports go together.

    `users_behind` tells who is behind those of some `user_id`s that are pseudonyms of the log's own: their names are replaced too.
    """

    def __init__(self, key: bytes, users_behind: Callable[[Collection[str]], Mapping[str, str]] = nobody_behind) -> None:
        self._key = key
        self._users_behind = users_behind
        self._name = functools.lru_cache(maxsize=65_536)(self._name_of)

    def lines(self, rows: Rows) -> Rows:
        """Rows of `selecting.select_lines` without their titles."""
        lines = [_decode_line(row[0]) for row in rows]
        users = self._users_behind({_decode(line["user_id"]) for line in lines})
        return [(self._line(line, users),) for line in lines]

    def columns(self, rows: Rows) -> Rows:
        """Rows of `selecting.select_columns`."""
        users = self._users_behind({row[_USER_ID] for row in rows})
        return [self._row(row, users) for row in rows]

    def _name_of(self, prefix: str, value: str) -> str:
        return prefix + hmac.digest(self._key, f"{prefix}{value}".encode(), "sha256").hex()[:DIGITS]

    def _line(self, raw: dict[str, msgspec.Raw], users: Mapping[str, str]) -> str:
        given = {name: _decode(raw[name]) for name in (*_PREFIXES, "source", "subject") if name in raw}
        scrubber = self._scrubber(given, users)
        found: dict[str, Any] = {}
        for name, value in raw.items():
            if name in _LEFT_OUT:
                continue
            if name in _PREFIXES:
                found[name] = self._name(_PREFIXES[name], given[name])
            elif name == "source":
                found[name] = self._source(given[name])
            elif name == "integrity":
                found[name] = {"position": _decode(value)["position"]}
            elif name in _TEXTS or name in _JSON or name in _LISTS:
                found[name] = msgspec.Raw(scrubber.json(bytes(value)))
            else:
                found[name] = value
        return _encode(found).decode()

    def _row(self, row: Sequence[Any], users: Mapping[str, str]) -> Sequence[Any]:
        given = {name: value for name, value in zip(TABLE_COLUMN_NAMES, row, strict=True) if value is not None}
        scrubber = self._scrubber(given, users)
        return [None if value is None else self._cell(name, value, scrubber) for name, value in zip(TABLE_COLUMN_NAMES, row, strict=True)]

    def _cell(self, name: str, value: Any, scrubber: _Scrubber) -> Any:
        if name in _LEFT_OUT:
            return None
        if name in _PREFIXES:
            return self._name(_PREFIXES[name], value)
        if name == "source":
            return self._source(value)
        if name in _JSON:
            return scrubber.json(value.encode()).decode()
        if name in _LISTS:
            return [scrubber.text(item) for item in value]
        return scrubber.text(value) if name in _TEXTS else value

    def _source(self, source: str) -> str:
        """A key stays what it is; a person becomes who they are as a user."""
        return _PERSON + self._name("u_", source.removeprefix(_PERSON)) if source.startswith(_PERSON) else source

    def _scrubber(self, given: Mapping[str, Any], users: Mapping[str, str]) -> _Scrubber:
        names = {given[name]: prefix for name, prefix in _PREFIXES.items() if given.get(name)}
        person = given.get("source", "").removeprefix(_PERSON) if given.get("source", "").startswith(_PERSON) else ""
        for other in (person, given.get("subject"), users.get(given["user_id"])):
            if other:
                names.setdefault(other, "u_")
        return _Scrubber(tuple(names.items()), self._name)


class _Scrubber:
    """Puts pseudonyms in the place of an entry's own names, wherever they stand in its texts."""

    def __init__(self, names: tuple[tuple[str, str], ...], name: Callable[[str, str], str]) -> None:
        self._names = names
        self._needles = [(needle, named) for named in names for needle in _needles(named[0])]
        self._name = name

    def json(self, text: bytes) -> bytes:
        """JSON text; as it is, letter by letter, where no name is in it."""
        found = self._names_in(text.decode())
        return encode_json(self._value(decode_json(text), found)) if found else text

    def text(self, text: str) -> str:
        return self._replaced(text, self._names_in(text))

    def _names_in(self, text: str) -> tuple[tuple[str, str], ...]:
        """The names that may stand in a text (or JSON text), longest first. To look costs a tenth of what replacing does."""
        lowered = text.lower()
        # A character may also be written by its number.
        if "\\u" in lowered:
            return _longest_first(self._names)
        found = {named for needle, named in self._needles if needle in lowered}
        return _longest_first(tuple(found)) if found else ()

    def _replaced(self, text: str, names: tuple[tuple[str, str], ...]) -> str:
        if not names:
            return text
        # In one go: what was put in is not looked through again.
        return _pattern(names).sub(lambda match: self._name(names[(match.lastindex or 1) - 1][1], names[(match.lastindex or 1) - 1][0]), text)

    def _value(self, value: Any, names: tuple[tuple[str, str], ...]) -> Any:
        if isinstance(value, str):
            return self._replaced(value, names)
        if isinstance(value, dict):
            return {self._replaced(key, names): self._value(member, names) for key, member in value.items()}
        if isinstance(value, list):
            return [self._value(member, names) for member in value]
        if value is None or isinstance(value, bool):
            return value
        # A number that is somebody's number.
        text = str(value)
        return next((self._name(prefix, name) for name, prefix in names if name == text), value)


def _longest_first(names: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """In an order that is the same whenever the names are, so that a pattern is found again."""
    return tuple(sorted(names, key=lambda named: (-len(named[0]), named)))


# Most texts hold the one name of a person, who comes again and again.
@functools.lru_cache(maxsize=16_384)
def _pattern(names: tuple[tuple[str, str], ...]) -> re.Pattern[str]:
    """One group for each name, in their order. Of names that are words, in any case."""
    parts = [re.escape(name) if len(name) >= LEAST_WITHIN_WORDS else rf"(?<!\w){re.escape(name)}(?!\w)" for name, _ in names]
    return re.compile("|".join(f"({part})" for part in parts), re.IGNORECASE)


@functools.lru_cache(maxsize=65_536)
def _needles(name: str) -> frozenset[str]:
    """The name in lower case, as texts and JSON texts hold it."""
    return frozenset({name.lower(), _encode(name).decode()[1:-1].lower()})
