"""Values in an entry's metadata: what a text that is asked for may stand for, and where a path leads. Pure."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from logs.search.values import number_of

MISSING = object()
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}
_encode = msgspec.json.Encoder(decimal_format="number").encode


def meanings(text: str) -> list[Any]:
    """The JSON scalars that `text` may mean: the string, and the number, true, false or null that it reads as."""
    found: list[Any] = [text]
    number = number_of(text)
    if number is not None:
        found.append(number)
    if text in _WORDS:
        found.append(_WORDS[text])
    return found


def text_of(scalar: Any) -> str:
    """A number, true, false or null as PostgreSQL's jsonb writes it."""
    return format(scalar.normalize(), "f") if isinstance(scalar, Decimal) else msgspec.json.encode(scalar).decode()


def containing(path: Sequence[str], text: str) -> list[str]:
    """JSON objects, as text, of which metadata has to contain one (`@>`) to have `text` at `path`."""
    found = []
    for meaning in meanings(text):
        for value in (meaning, [meaning]):
            found.append(_encode(functools.reduce(lambda inner, key: {key: inner}, reversed(path), value)).decode())
    return found


def value_at(value: Any, path: Sequence[str]) -> Any:
    """What stands at `path` of a decoded JSON object; MISSING if nothing does. Arrays are not gone into."""
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return MISSING
        value = value[key]
    return value


def is_one_of(value: Any, wanted: Sequence[Any]) -> bool:
    """Is `value`, or a member of it if it is an array, one of the scalars `wanted`?"""
    members = value if isinstance(value, list) else [value]
    return any(_are_same(member, scalar) for member in members for scalar in wanted)


def is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _are_same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    if is_number(one) or is_number(other):
        return is_number(one) and is_number(other) and one == other
    return isinstance(one, str) and isinstance(other, str) and one == other
