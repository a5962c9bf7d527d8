"""The query language: from `q` to what is asked, with the column of whatever is wrong.

    query     = any
    any       = all { "OR" all }
    all       = term { ["AND"] term }
    term      = ( "-" | "NOT" ) term | "(" any ")" | qualifier | words
    qualifier = name ":" ( value | "(" value { ["OR"] value } ")" )
    name      = letters | "metadata" { "." ( key | phrase ) }
    value     = [ ">" | ">=" | "<" | "<=" ] ( word [ "*" ] | phrase )
    words     = word [ "*" ] | phrase [ "*" ]

A word goes on to the next space, bracket or quotation mark; a phrase stands in quotation marks, where `\\"` and `\\\\` mean those
signs. Parsed by recursive descent over tokens that know their columns. This module knows the form only; what a qualifier means is in
`qualifiers`.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, replace
from typing import NoReturn

from accounts.problems import Fault
from logs.errors import InvalidQuery

MAX_CHARACTERS = 4096
MAX_DEPTH = 20
MAX_TERMS = 100
PARAMETER = "q"

_PHRASE = r'"(?:[^"\\]|\\.)*"'
_TOKEN = re.compile(
    rf"""(?P<space>\s+)|(?P<open>\()|(?P<close>\))|(?P<phrase>{_PHRASE})|(?P<quote>")|(?P<minus>-(?=[^\s)]))
    |(?P<path>metadata(?:\.(?:{_PHRASE}|[^\s()":.]+))+:[^\s()"]*)|(?P<word>[^\s()"]+)""",
    re.DOTALL | re.VERBOSE,
)
_KEY = re.compile(rf'\.(?:({_PHRASE})|([^\s()":.]+))', re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class Kind(enum.Enum):
    """What a token is."""

    OPEN = "("
    CLOSE = ")"
    OR = "OR"
    AND = "AND"
    NOT = "NOT"
    MINUS = "-"
    WORD = "a word"
    END = "the end"


@dataclass(frozen=True)
class Value:
    """A text that is asked for. `column`: where it begins, from 1."""

    text: str
    column: int
    is_quoted: bool = False
    is_prefix: bool = False
    comparison: str | None = None


@dataclass(frozen=True)
class Words:
    """Words or a phrase to be found."""

    value: Value


@dataclass(frozen=True)
class Qualifier:
    """`name:value`, or several values of which one is enough. `path`: the keys after `metadata.`."""

    name: str
    path: tuple[str, ...]
    column: int
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Both:
    """All of the terms."""

    terms: tuple[Syntax, ...]


@dataclass(frozen=True)
class Either:
    """Any of the terms."""

    terms: tuple[Syntax, ...]


@dataclass(frozen=True)
class Negated:
    """Not the term."""

    term: Syntax


Syntax = Words | Qualifier | Both | Either | Negated


@dataclass(frozen=True)
class _Token:
    kind: Kind
    text: str
    column: int
    is_quoted: bool = False
    # Is there no space before it?
    is_joined: bool = False
    # Of metadata.<key>.<key>: the keys; `text` is what follows the colon.
    path: tuple[str, ...] = ()
    colon: int = 0


def refuse(code: str, column: int, detail: str) -> NoReturn:
    """Raises InvalidQuery for what stands at `column` (from 1) of the query."""
    raise InvalidQuery([Fault(PARAMETER, code, f"Column {column}: {detail}", column=column)])


def parse(text: str) -> Syntax | None:
    """What the query says; None if it says nothing. Raises InvalidQuery, which names the column and what was expected."""
    if len(text) > MAX_CHARACTERS:
        refuse("query_too_long", MAX_CHARACTERS + 1, f"the query has {len(text)} characters; at most {MAX_CHARACTERS} are read.")
    nul = text.find("\x00")
    if nul >= 0:
        refuse("nul_character", nul + 1, "a NUL character can't be searched for: no entry has one.")
    parser = _Parser(_tokens(text))
    return parser.whole()


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    end = 0
    for match in _TOKEN.finditer(text):
        column, joined = match.start() + 1, bool(found) and match.start() == end
        kind, piece = match.lastgroup, match[0]
        if kind == "space":
            continue
        end = match.end()
        if kind == "quote":
            refuse("unclosed_quote", column, 'this quotation mark is never closed. Expected another ".')
        elif kind == "phrase":
            found.append(_Token(Kind.WORD, _ESCAPED.sub(r"\1", piece[1:-1]), column, is_quoted=True, is_joined=joined))
        elif kind == "open":
            found.append(_Token(Kind.OPEN, piece, column, is_joined=joined))
        elif kind == "close":
            found.append(_Token(Kind.CLOSE, piece, column, is_joined=joined))
        elif kind == "minus":
            found.append(_Token(Kind.MINUS, piece, column, is_joined=joined))
        elif kind == "path":
            found.append(_path(piece, column, joined))
        elif piece in ("OR", "AND", "NOT"):
            found.append(_Token(Kind(piece), piece, column, is_joined=joined))
        else:
            found.append(_Token(Kind.WORD, piece, column, is_joined=joined))
    return [*found, _Token(Kind.END, "", len(text) + 1)]


def _path(piece: str, column: int, joined: bool) -> _Token:
    keys: list[str] = []
    end = len("metadata")
    while match := _KEY.match(piece, end):
        keys.append(_ESCAPED.sub(r"\1", match[1][1:-1]) if match[1] else match[2])
        end = match.end()
    return _Token(Kind.WORD, piece[end + 1 :], column, is_joined=joined, path=tuple(keys), colon=column + end)


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._terms = 0

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._token
        self._next += 1
        return token

    def whole(self) -> Syntax | None:
        found = None if self._peek(Kind.END) else self._any(0)
        if not self._peek(Kind.END):
            refuse("unexpected", self._token.column, "this bracket was never opened. Expected a word, a qualifier, OR, or the end.")
        return found

    def _peek(self, *kinds: Kind) -> bool:
        return self._token.kind in kinds

    def _any(self, depth: int) -> Syntax:
        if depth > MAX_DEPTH:
            refuse("too_deep", self._token.column, f"brackets stand within one another more than {MAX_DEPTH} deep.")
        terms = [self._all(depth)]
        while self._peek(Kind.OR):
            self._take()
            terms.append(self._all(depth))
        return terms[0] if len(terms) == 1 else Either(tuple(terms))

    def _all(self, depth: int) -> Syntax:
        terms = [self._term(depth)]
        while not self._peek(Kind.OR, Kind.CLOSE, Kind.END):
            if self._peek(Kind.AND):
                self._take()
            terms.append(self._term(depth))
        return terms[0] if len(terms) == 1 else Both(tuple(terms))

    def _term(self, depth: int) -> Syntax:
        self._terms += 1
        if self._terms > MAX_TERMS:
            refuse("too_many_terms", self._token.column, f"more than {MAX_TERMS} terms.")
        token = self._token
        if token.kind in (Kind.NOT, Kind.MINUS):
            self._take()
            if depth > MAX_DEPTH:
                refuse("too_deep", self._token.column, f"terms stand within one another more than {MAX_DEPTH} deep.")
            return Negated(self._term(depth + 1))
        if token.kind is Kind.OPEN:
            self._take()
            found = self._any(depth + 1)
            if not self._peek(Kind.CLOSE):
                refuse("unclosed_bracket", token.column, "this bracket is never closed. Expected ) at the end.")
            self._take()
            return found
        if token.kind is not Kind.WORD:
            name = "the query ends" if token.kind is Kind.END else f"{token.text} stands"
            refuse("unexpected", token.column, f"{name} where a word, a qualifier or an opening bracket was expected.")
        self._take()
        if token.path:
            return self._qualifier("metadata", token.path, token.column, token.colon + 1, token.text)
        if token.is_quoted:
            return Words(self._value(token))
        name, colon, rest = token.text.partition(":")
        if colon and _NAME.fullmatch(name):
            return self._qualifier(name, (), token.column, token.column + len(name) + 1, rest)
        return Words(self._value(token))

    def _qualifier(self, name: str, path: tuple[str, ...], column: int, value_column: int, rest: str) -> Qualifier:
        is_joined_word = self._token.is_joined and self._token.kind is Kind.WORD
        if rest in (">", ">=", "<", "<=") and is_joined_word:
            # A comparison with something in quotation marks.
            return Qualifier(name, path, column, (self._value(self._take(), comparison=rest),))
        if rest:
            return Qualifier(name, path, column, (self._value(_Token(Kind.WORD, rest, value_column)),))
        if is_joined_word:
            return Qualifier(name, path, column, (self._value(self._take()),))
        if self._token.is_joined and self._token.kind is Kind.OPEN:
            return Qualifier(name, path, column, self._values())
        refuse("missing_value", value_column, f"{name}: has no value. Expected one right after the colon.")

    def _values(self) -> tuple[Value, ...]:
        """`(a OR b "c d")`: values of which one is enough."""
        opening = self._take()
        found: list[Value] = []
        while not self._peek(Kind.CLOSE):
            if self._peek(Kind.OR) and found:
                self._take()
            minus = self._take() if self._peek(Kind.MINUS) else None
            if not self._peek(Kind.WORD):
                if self._peek(Kind.END):
                    refuse("unclosed_bracket", opening.column, "this bracket is never closed. Expected ) after the values.")
                refuse("unexpected", self._token.column, f"{self._token.text} stands where a value was expected.")
            self._terms += 1
            if self._terms > MAX_TERMS:
                refuse("too_many_terms", self._token.column, f"more than {MAX_TERMS} terms.")
            token = self._take()
            # Among values a - is the sign of a number or of a time.
            found.append(self._value(token if minus is None else replace(token, text=f"-{token.text}", column=minus.column)))
        self._take()
        if not found:
            refuse("missing_value", opening.column, "the brackets are empty. Expected a value.")
        return tuple(found)

    def _value(self, token: _Token, comparison: str | None = None) -> Value:
        if token.is_quoted:
            is_prefix = self._token.is_joined and self._token.kind is Kind.WORD and self._token.text == "*" and not self._token.is_quoted
            if is_prefix:
                self._take()
            return Value(token.text, token.column, is_quoted=True, is_prefix=is_prefix, comparison=comparison)
        text, column = token.text, token.column
        if comparison is None:
            comparison = next((sign for sign in (">=", "<=", ">", "<") if text.startswith(sign)), None)
            if comparison:
                text, column = text[len(comparison) :], column + len(comparison)
                if not text:
                    refuse("missing_value", column, f"{comparison} has no value. Expected one right after it.")
        star = text.find("*")
        if 0 <= star < len(text) - 1:
            refuse("bad_wildcard", column + star, '* may stand at the end of a word only. In quotation marks it means itself: "a*b".')
        return Value(text.removesuffix("*"), column, is_prefix=star >= 0, comparison=comparison)
