"""What the query language's qualifiers mean: from the form of a query (`grammar`) to the tree of what is asked."""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from logs.models import Outcome, Severity
from logs.models.catalogue import ACTION_PATTERN
from logs.privacy.encryption.tokens import RESERVED_KEY
from logs.search import grammar
from logs.search.grammar import Both, Either, Negated, Qualifier, Syntax, Value, Words, refuse
from logs.search.tree import (
    AddressWithin,
    All,
    AnyOf,
    Comparison,
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
    TextField,
    TextIs,
    TextStarts,
    TimestampBefore,
    TimestampFrom,
)
from logs.search.values import network_of, number_of, time_of
from logs.search.words import phrase_of

if TYPE_CHECKING:
    from collections.abc import Mapping

MIN_PREFIX = 2
MAX_KEYS = 8
_ACTION = re.compile(ACTION_PATTERN)


class Reader:
    """Reads one query. `now` is what relative times are counted from."""

    def __init__(self, now: datetime.datetime) -> None:
        self._now = now

    def tree(self, text: str) -> All:
        """What `q` asks. Raises InvalidQuery."""
        syntax = grammar.parse(text)
        return All() if syntax is None else All((self._node(syntax),))

    def _node(self, syntax: Syntax) -> Node:
        match syntax:
            case Words(value):
                return _words(value)
            case Both(terms):
                return All(tuple(self._node(term) for term in terms))
            case Either(terms):
                return AnyOf(tuple(self._node(term) for term in terms))
            case Negated(term):
                return Not(self._node(term))
            case Qualifier(name, path, column, values):
                return self._qualifier(name, path, column, values)

    def _qualifier(self, name: str, path: tuple[str, ...], column: int, values: tuple[Value, ...]) -> Node:
        if name == "metadata":
            if not path:
                refuse("unknown_qualifier", column, "metadata needs a key. Expected metadata.<key>:value.")
            if RESERVED_KEY in path:
                refuse("encrypted", column, "what is encrypted can't be searched.")
            if len(path) > MAX_KEYS:
                refuse("too_deep", column, f"more than {MAX_KEYS} keys.")
            return _any_of([_metadata(path, value) for value in values])
        if name in ("after", "before"):
            return self._time(name, values)
        read = QUALIFIERS.get(name)
        if read is None:
            close = difflib.get_close_matches(name, [*NAMES, "metadata"], 1)
            hint = f"Did you mean {close[0]}:?" if close else f"Known: {', '.join(f'{known}:' for known in NAMES)}, metadata.<key>:."
            refuse("unknown_qualifier", column, f'there is no qualifier {name!r}. {hint} To find a text with a colon in it put it in quotation marks: "a:b".')
        return _any_of([read(value) for value in values])

    def _time(self, name: str, values: tuple[Value, ...]) -> Node:
        value, *others = values
        if others:
            refuse("repeated", others[0].column, f"{name}: takes one time.")
        _plain(value)
        try:
            moment = time_of(value.text, self._now)
        except ValueError as error:
            refuse("bad_timestamp", value.column, f"{error}.")
        return TimestampFrom(moment) if name == "after" else TimestampBefore(moment)


def _any_of(nodes: list[Node]) -> Node:
    """One of `nodes`. Values of one field are one condition, for the index."""
    if len(nodes) == 1:
        return nodes[0]
    texts = [node for node in nodes if isinstance(node, TextIs)]
    if len(texts) == len(nodes):
        return TextIs(texts[0].field, tuple(dict.fromkeys(value for node in texts for value in node.values)))
    severities = [node for node in nodes if isinstance(node, SeverityIs)]
    if len(severities) == len(nodes):
        return SeverityIs(tuple(dict.fromkeys(number for node in severities for number in node.values)))
    return AnyOf(tuple(nodes))


def _words(value: Value) -> Node:
    if value.comparison:
        refuse("unexpected", value.column - len(value.comparison), f"{value.comparison} needs a qualifier before it, such as severity:{value.comparison}ERROR.")
    if value.is_prefix and len(value.text) < MIN_PREFIX:
        refuse("bad_wildcard", value.column, f"at least {MIN_PREFIX} characters have to stand before *.")
    phrase = phrase_of(value.text, is_prefix=value.is_prefix)
    if phrase is None:
        refuse("no_word", value.column, f"{value.text!r} has no letter or digit in it, and only words are found.")
    return HasPhrase(phrase)


def _text(field: TextField) -> Callable[[Value], Node]:
    def read(value: Value) -> Node:
        _not_compared(value)
        if value.is_prefix:
            return TextStarts(field, value.text)
        if not value.text:
            refuse("missing_value", value.column, "the value is empty.")
        return TextIs(field, (value.text,))

    return read


def _action(value: Value) -> Node:
    _not_compared(value)
    name = value.text.upper()
    if value.is_prefix:
        return TextStarts("action", name)
    if not _ACTION.match(name):
        refuse("bad_format", value.column, f"{value.text!r} is no name of an action: letters, digits and _ . : -")
    return TextIs("action", (name,))


def _severity(value: Value) -> Node:
    numbers = {str(choice.label): choice.value for choice in Severity}
    number = numbers.get(value.text.upper())
    if number is None or value.is_prefix:
        refuse("unknown_value", value.column, f"{value.text!r} is none of {', '.join(numbers)}.")
    match value.comparison:
        case ">=":
            chosen = [other for other in Severity.values if other >= number]
        case ">":
            chosen = [other for other in Severity.values if other > number]
        case "<=":
            chosen = [other for other in Severity.values if other <= number]
        case "<":
            chosen = [other for other in Severity.values if other < number]
        case _:
            chosen = [number]
    return SeverityIs(tuple(chosen))


def _outcome(value: Value) -> Node:
    _plain(value)
    numbers = {str(choice.label): choice.value for choice in Outcome}
    if value.text.lower() not in numbers:
        refuse("unknown_value", value.column, f"{value.text!r} is none of {', '.join(numbers)}.")
    return OutcomeIs((numbers[value.text.lower()],))


def _address(value: Value) -> Node:
    _plain(value)
    try:
        return AddressWithin((network_of(value.text),))
    except ValueError as error:
        refuse("bad_ip_address", value.column, f"{error}.")


def _changed(value: Value) -> Node:
    _plain(value)
    return FieldChanged(value.text)


def _metadata(path: tuple[str, ...], value: Value) -> Node:
    if value.comparison:
        number = number_of(value.text)
        if number is None or value.is_prefix:
            refuse("bad_number", value.column, f"{value.text!r} is no number, and only numbers are compared.")
        return MetadataCompared(path, Comparison(value.comparison), number)
    if value.is_prefix:
        return MetadataStarts(path, value.text) if value.text else MetadataExists(path)
    if not value.text and not value.is_quoted:
        refuse("missing_value", value.column, "the value is empty.")
    return MetadataIs(path, value.text)


def _not_compared(value: Value) -> None:
    if value.comparison:
        refuse("bad_comparison", value.column, f"texts are not compared by {value.comparison}. Expected the text itself.")


def _plain(value: Value) -> None:
    _not_compared(value)
    if value.is_prefix:
        refuse("bad_wildcard", value.column + len(value.text), "* has no meaning here. Expected the whole value.")


NAMES = ("action", "user", "resource", "resource_type", "severity", "outcome", "ip", "session", "request", "source", "changed", "after", "before")
# The names that entries have for the same things do as well.
QUALIFIERS: Mapping[str, Callable[[Value], Node]] = {
    "action": _action,
    "user": _text("user_id"),
    "user_id": _text("user_id"),
    "resource": _text("resource_id"),
    "resource_id": _text("resource_id"),
    "resource_type": _text("resource_type"),
    "severity": _severity,
    "outcome": _outcome,
    "ip": _address,
    "ip_address": _address,
    "session": _text("session_id"),
    "session_id": _text("session_id"),
    "request": _text("request_id"),
    "request_id": _text("request_id"),
    "source": _text("source"),
    "changed": _changed,
}
