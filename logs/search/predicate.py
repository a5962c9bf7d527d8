"""From the tree to a predicate over one entry: for the live tail, alerts, and what a Parquet file's own filter can't say."""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Callable
from typing import Any, TypeAlias

from logs.search import metadata
from logs.search.facts import Facts
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
    TextIs,
    TextStarts,
    TierIs,
    TimestampBefore,
    TimestampFrom,
)
from logs.search.words import Phrase
from logs.storage.ids import floor_id

Predicate: TypeAlias = Callable[[Facts], bool]
_COMPARE: dict[Comparison, Callable[[Any, Any], bool]] = {
    Comparison.LESS: operator.lt,
    Comparison.AT_MOST: operator.le,
    Comparison.MORE: operator.gt,
    Comparison.AT_LEAST: operator.ge,
}


def predicate_of(node: Node) -> Predicate:  # noqa: C901, PLR0911  # one for each kind of node
    """The predicate that `node` stands for: it holds for the entries that `sql.condition_of` finds, and no other."""
    match node:
        case TextIs(field, values):
            wanted = frozenset(values)
            return lambda facts: facts.texts[field] in wanted
        case TextStarts(field, prefix):
            return lambda facts: (facts.texts[field] or "").startswith(prefix) and facts.texts[field] is not None
        case SeverityIs(numbers):
            return lambda facts: facts.severity in numbers
        case OutcomeIs(numbers):
            return lambda facts: facts.outcome in numbers
        case AddressWithin(networks):
            parsed = [ipaddress.ip_network(network) for network in networks]
            return lambda facts: facts.address is not None and any(facts.address in network for network in parsed)
        case TimestampFrom(moment):
            low = floor_id(moment)
            return lambda facts: facts.id >= low
        case TimestampBefore(moment):
            high = floor_id(moment)
            return lambda facts: facts.id < high
        case HasPhrase(phrase):
            return _has_phrase(phrase)
        case FieldChanged(name):
            return lambda facts: name in facts.changed_fields
        case MetadataIs() | MetadataStarts() | MetadataExists() | MetadataCompared():
            return _of_metadata(node)
        case TierIs(tier):
            # Of an entry that just came in, or will; `cold.as_cold` asks for archived ones.
            is_hot = tier == "hot"
            return lambda facts: is_hot
        case Not(inner):
            holds = predicate_of(inner)
            return lambda facts: not holds(facts)
        case All(nodes):
            members = [predicate_of(member) for member in nodes]
            return lambda facts: all(member(facts) for member in members)
        case AnyOf(nodes):
            members = [predicate_of(member) for member in nodes]
            return lambda facts: any(member(facts) for member in members)


def _of_metadata(node: MetadataIs | MetadataStarts | MetadataExists | MetadataCompared) -> Predicate:
    match node:
        case MetadataIs(path, value):
            meanings = metadata.meanings(value)
            return lambda facts: (found := metadata.value_at(facts.metadata, path)) is not metadata.MISSING and metadata.is_one_of(found, meanings)
        case MetadataStarts(path, prefix):
            return lambda facts: isinstance(found := metadata.value_at(facts.metadata, path), str) and found.startswith(prefix)
        case MetadataExists(path):
            return lambda facts: metadata.value_at(facts.metadata, path) is not metadata.MISSING
        case MetadataCompared(path, comparison, number):
            compare = _COMPARE[comparison]
            return lambda facts: metadata.is_number(found := metadata.value_at(facts.metadata, path)) and compare(found, number)


def _has_phrase(phrase: Phrase) -> Predicate:
    if len(phrase.words) > 1:
        needle = phrase.needle
        return (lambda facts: needle in facts.spaced_whole) if phrase.is_whole else (lambda facts: needle in facts.spaced_parts)
    word = phrase.words[0]
    if phrase.is_prefix:
        return lambda facts: any(found.startswith(word) for found in facts.words)
    return lambda facts: word in facts.words
