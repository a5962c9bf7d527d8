"""Which lexemes an entry must have to be an answer: what the GIN index over `auditlog.entry_words` is asked.

Necessary, not sufficient: whoever uses them checks the condition itself too. The lexemes are those of
logs/migrations/sql/0004_search.forward.sql.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from logs.models import Outcome, Severity
from logs.search import metadata
from logs.search.tree import (
    All,
    AnyOf,
    FieldChanged,
    HasPhrase,
    MetadataCompared,
    MetadataExists,
    MetadataIs,
    MetadataStarts,
    Node,
    Not,
    OutcomeIs,
    SeverityIs,
    TextIs,
    TextStarts,
)
from logs.search.words import SIGNS, Phrase, phrase_of, whole_words_in_json, whole_words_of

# Longer words may be cut off here.
MAX_LEXEME = 480
_PREFIX_CHARACTERS = 6


def tenant_prefix(tenant_id: uuid.UUID) -> str:
    """What every lexeme of the tenant's entries begins with."""
    return str(tenant_id)[-_PREFIX_CHARACTERS:]


def lexemes_of(node: Node, prefix: str) -> str | None:  # noqa: PLR0911  # one for each kind of node
    """A `tsquery` that holds for every entry that `node` holds for, as text; None if nothing can be said."""
    match node:
        case All(nodes):
            known = [found for member in nodes if (found := lexemes_of(member, prefix)) is not None]
            return _join("&", known)
        case AnyOf(nodes):
            return _all_or_none(lexemes_of(member, prefix) for member in nodes)
        case HasPhrase(phrase):
            last = len(phrase.words) - 1
            return _join("&", [_lexeme(prefix, word, goes_on=phrase.is_prefix and number == last) for number, word in enumerate(phrase.words)])
        case TextIs("action", values):
            return _join("|", [_lexeme(prefix, f"={value}") for value in values])
        case TextIs("source", values):
            return _join("|", [_lexeme(prefix, f"=@{value.replace(' ', '_')}") for value in values])
        case TextIs("user_id" | "resource_type" | "resource_id", values):
            return _all_or_none(_words(prefix, value) for value in values)
        case TextStarts("action", start):
            return _lexeme(prefix, f"={start}", goes_on=True)
        case TextStarts("source", start):
            return _lexeme(prefix, f"=@{start.replace(' ', '_')}", goes_on=True)
        case TextStarts("user_id" | "resource_type" | "resource_id", start):
            return _start(prefix, start)
        case SeverityIs(numbers) if numbers and min(numbers) >= Severity.WARNING:
            return _join("|", [_lexeme(prefix, f"={number}") for number in numbers])
        case OutcomeIs((Outcome.FAILURE,)):
            return _lexeme(prefix, "=failure")
        case FieldChanged(name) if "\x01" not in name:
            return _lexeme(prefix, f"~{name.replace(' ', '_')}")
        case MetadataIs() | MetadataStarts() | MetadataExists() | MetadataCompared():
            return _of_metadata(node, prefix)
        case _:
            return None


def words_alone(node: Node, prefix: str) -> str | None:
    """A `tsquery` that holds for the very entries that `node` holds for, if it is of single words alone, however combined; else None."""
    match node:
        case All(nodes) | AnyOf(nodes) if nodes:
            found = [words_alone(member, prefix) for member in nodes]
            known = [query for query in found if query is not None]
            return _join("&" if isinstance(node, All) else "|", known) if len(known) == len(found) else None
        case Not(inner):
            query = words_alone(inner, prefix)
            return None if query is None else f"!{query}"
        case HasPhrase(Phrase((word,), is_prefix)) if len(word) < MAX_LEXEME:
            return _lexeme(prefix, word, goes_on=is_prefix)
        case _:
            return None


def _of_metadata(node: MetadataIs | MetadataStarts | MetadataExists | MetadataCompared, prefix: str) -> str | None:
    """The keys and the value, unless the entry's text is so long that it was cut off."""
    found = [lexeme for key in node.path for lexeme in _all_of(prefix, whole_words_in_json(key))]
    if isinstance(node, MetadataIs):
        value = _all_or_none(_join("&", _all_of(prefix, _words_of_meaning(meaning))) for meaning in metadata.meanings(node.value))
        found += [] if value is None else [value]
    known = _join("&", found)
    return None if known is None else f"({known} | {_lexeme(prefix, '=long')})"


def _words_of_meaning(meaning: Any) -> set[str]:
    return whole_words_in_json(meaning) if isinstance(meaning, str) else whole_words_of(metadata.text_of(meaning))


def _all_of(prefix: str, words: Iterable[str]) -> list[str]:
    return [_lexeme(prefix, word) for word in sorted(words)]


def _words(prefix: str, value: str) -> str | None:
    return _join("&", _all_of(prefix, whole_words_of(value)))


def _start(prefix: str, start: str) -> str | None:
    phrase = phrase_of(start, is_prefix=True)
    if phrase is None:
        return None
    *whole, last = phrase.words
    found = [_lexeme(prefix, word) for word in whole]
    if phrase.is_prefix:
        # A sign at the end may be the full stop of a sentence, which no word keeps.
        last = last.rstrip(SIGNS)
        if last:
            found.append(_lexeme(prefix, last, goes_on=True))
    else:
        found.append(_lexeme(prefix, last))
    # Of several words those before the last may end with a full stop.
    return _join("&", [lexeme for lexeme in found if ".'" not in lexeme])


def _lexeme(prefix: str, word: str, *, goes_on: bool = False) -> str:
    goes_on = goes_on or len(word) >= MAX_LEXEME
    text = f"{prefix}{word[:MAX_LEXEME]}".replace("\\", "\\\\").replace("'", "''")
    return f"'{text}'{':*' if goes_on else ''}"


def _all_or_none(queries: Iterable[str | None]) -> str | None:
    """Any of the queries; if nothing is known of one, then of all."""
    found = list(queries)
    known = [query for query in found if query is not None]
    return _join("|", known) if len(known) == len(found) else None


def _join(sign: str, queries: list[str]) -> str | None:
    if not queries:
        return None
    return queries[0] if len(queries) == 1 else f"({f' {sign} '.join(queries)})"
