"""Words: how text is cut into what full-text search finds. Pure, and the same as `auditlog.entry_words` in SQL, step by step.

A text is lowered, then cut twice:

- into *whole words*, at white space and at the signs that end a word (quotes, brackets, `, ; ! ? | = & / : \\`); a full stop at the
  end of a word belongs to the sentence;
- each of these into its *parts*, at the signs within a word (`@ . - _ + ~ # $ % * ^`).

So `ben@example.com`, `inv-2041`, `10.0.3.17` and `user_id` are found as they are and by their parts, and `/billing/invoices` is
the phrase of its two words. What is encrypted has no words. An entry's text is searched in its first `MAX_TEXT` characters (a tsvector has at most 1 MiB).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from logs.privacy.encryption.tokens import VALUE_MARK, VALUE_PATTERN, token_in_text

MAX_TEXT = 131_072
# Stands between texts that are no neighbours. No text has it but one that means to break a phrase.
BREAK = "\x01"

# The same lists are in logs/migrations/sql/0004_search.forward.sql (`entry_text` in 0011_encryption); a test compares what both make of every text.
ENDS = "\t\n\r \"'()[]{}<>,;!?|=&`/:\\" + "\u00a0\u2028\u2029\u3000\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb\u2026\u2013\u2014"
SIGNS = "@.-_+~#$%*^"
_ENDS_TO_SPACES = str.maketrans(dict.fromkeys(ENDS, " "))
_SIGNS_TO_SPACES = str.maketrans(dict.fromkeys(SIGNS, " "))
_SEALED_VALUE = re.compile(VALUE_PATTERN)
_JSON_ESCAPE = re.compile(r"\\(?:u[0-9a-f]{4}|.)")


@dataclass(frozen=True)
class Phrase:
    """Words next to one another, as `phrase_of` makes them. `is_prefix`: the last one may go on."""

    words: tuple[str, ...]
    is_prefix: bool = False

    @property
    def is_whole(self) -> bool:
        """Has it a word with a sign in it? Then whole words are compared, else their parts."""
        return any(sign in word for word in self.words for sign in SIGNS)

    @property
    def needle(self) -> str:
        """What `spaced` text holds if it holds the phrase."""
        return f" {' '.join(self.words)}{'' if self.is_prefix else ' '}"


def phrase_of(text: str, *, is_prefix: bool = False) -> Phrase | None:
    """The phrase that a text asks for; None if there is no word in it."""
    plain = lowered(text).replace(BREAK, " ")
    # Nothing ends where it goes on: there a full stop is a part of the word.
    cut = plain.translate(_ENDS_TO_SPACES).replace(". ", " ") if is_prefix else _whole(plain)
    words = tuple(word for word in cut.split(" ") if word)
    if not words or all(sign in SIGNS for word in words for sign in word):
        return None
    return Phrase(words, is_prefix and not cut.endswith(" "))


def lowered(text: str) -> str:
    """Lower case, character by character, as PostgreSQL's pg_c_utf8 has it: no letter becomes two, and sigma has no final form."""
    return text.replace("\u0130", "i").replace("\u03a3", "\u03c3").lower()


def entry_text(user_id: str, resource_type: str, resource_id: str | None, message: str | None, metadata: str | None) -> str:
    """The text of an entry that is searched. `metadata`: JSON text in the form of PostgreSQL's jsonb."""
    parts = [user_id, resource_type, resource_id or "", "" if token_in_text(message) else message or ""]
    if metadata is not None:
        if VALUE_MARK in metadata:
            metadata = _SEALED_VALUE.sub("{}", metadata)
        if "\\" in metadata:
            metadata = _JSON_ESCAPE.sub(" ", metadata)
        parts.append(metadata.replace('"', BREAK))
    return lowered(BREAK.join(parts)[:MAX_TEXT])


def words_of(text: str) -> set[str]:
    """Whole words and parts of lowered text."""
    whole = _whole(text.replace(BREAK, " "))
    return {word for word in (*whole.split(" "), *whole.translate(_SIGNS_TO_SPACES).split(" ")) if word}


def whole_words_of(text: str) -> set[str]:
    """The whole words of a text. Whatever has them has their parts, too."""
    return {word for word in _whole(lowered(text).replace(BREAK, " ")).split(" ") if word}


def whole_words_in_json(text: str) -> set[str]:
    """The whole words that a string has where it stands in JSON."""
    return whole_words_of(_JSON_ESCAPE.sub(" ", msgspec.json.encode(text)[1:-1].decode()))


def spaced(text: str, *, is_whole: bool) -> str:
    """Lowered text with one space before, between and after its words; a break is a word of its own."""
    cut = _whole(text.replace(BREAK, f" {BREAK} "))
    if not is_whole:
        cut = cut.translate(_SIGNS_TO_SPACES)
    return f" {' '.join(word for word in cut.split(' ') if word)} "


def _whole(text: str) -> str:
    return (text.translate(_ENDS_TO_SPACES) + " ").replace(". ", " ")
