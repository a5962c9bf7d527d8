"""Where in an entry the words of a query stand: ranges of characters, so that whoever shows them marks them in a safe way of his own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from logs.search.output import EntryOutput
from logs.search.tree import All, AnyOf, HasPhrase, Node
from logs.search.words import ENDS, SIGNS, Phrase, lowered

MAX_RANGES = 50
# Longer texts are marked up to here: a page may have a thousand of them, and a query a hundred words.
MAX_CHARACTERS = 10_000
_WHOLE = f"[{re.escape(ENDS)}]"
_PART = f"[{re.escape(ENDS + SIGNS)}]"
_FIELDS = ("user_id", "resource_type", "resource_id", "message")


class Highlighter:
    """Marks what `tree` looks for. Words that are to be absent are not marked."""

    def __init__(self, tree: Node) -> None:
        patterns = [_pattern(phrase) for phrase in _phrases(tree)]
        self._pattern = re.compile("|".join(f"(?:{pattern})" for pattern in patterns)) if patterns else None

    def highlights(self, entry: EntryOutput) -> dict[str, list[tuple[int, int]]]:
        """Ranges `[begin, end)` in characters (code points), by field; of a text in the metadata by `metadata` and its JSON Pointer (RFC 6901)."""
        if self._pattern is None:
            return {}
        found: dict[str, list[tuple[int, int]]] = {}
        for name, text in self._texts(entry):
            ranges = [match.span() for match in self._pattern.finditer(lowered(text[:MAX_CHARACTERS])) if match.end() > match.start()]
            if ranges:
                found[name] = ranges[:MAX_RANGES]
        return found

    @staticmethod
    def _texts(entry: EntryOutput) -> Iterator[tuple[str, str]]:
        for name in _FIELDS:
            text = getattr(entry, name)
            if text is not None:
                yield name, text
        if not isinstance(entry.metadata, msgspec.UnsetType):
            yield from _texts_in(msgspec.json.decode(bytes(entry.metadata)), "metadata")


def _texts_in(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield pointer, value
        case dict():
            for key, member in value.items():
                yield from _texts_in(member, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
        case list():
            for index, member in enumerate(value):
                yield from _texts_in(member, f"{pointer}/{index}")
        case _:
            # Numbers and keys are found, and not marked.
            pass


def _phrases(node: Node) -> Iterator[Phrase]:
    """The phrases that an answer may have, outside of every `Not`."""
    if isinstance(node, HasPhrase):
        yield node.phrase
    elif isinstance(node, All | AnyOf):
        for member in node.nodes:
            yield from _phrases(member)


def _pattern(phrase: Phrase) -> str:
    words = [re.escape(word) for word in phrase.words]
    if phrase.is_whole:
        between, before, behind = rf"\.?{_WHOLE}+", f"(?<![^{_WHOLE[1:-1]}])", rf"(?=\.?(?:{_WHOLE}|$))"
    else:
        between, before, behind = f"{_PART}+", f"(?<![^{_PART[1:-1]}])", f"(?={_PART}|$)"
    return before + between.join(words) + ("" if phrase.is_prefix else behind)
