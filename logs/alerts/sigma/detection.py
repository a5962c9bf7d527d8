"""From the detection of a Sigma rule to a query. Pure.

A detection is a set of named selections and a condition over their names. In a selection a map means all of its items, a list any of its
members; an item is a field, with modifiers, and a value or several of which one is enough; without a field it is a keyword, to be found anywhere.
"""

from __future__ import annotations

import datetime
import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sigma.conditions import ConditionAND, ConditionIdentifier, ConditionNOT, ConditionOR, ConditionSelector, SigmaCondition
from sigma.exceptions import SigmaError
from sigma.rule.detection import SigmaDetectionItem
from sigma.types import (
    CompareOperators,
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaNull,
    SigmaNumber,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
)

from accounts.problems import Fault
from logs.alerts.sigma.fields import UNSEARCHABLE, Fields, Known, Target, escaped, quoted
from logs.errors import InvalidQuery
from logs.search.grammar import MAX_TERMS
from logs.search.qualifiers import Reader

# Of a rule, all of its conditions together: pyparsing takes 30 ms for a thousand characters.
MAX_CONDITION_CHARACTERS = 1_000
# Of brackets and of `not` in a condition: parsing goes as deep as they stand within one another.
MAX_CONDITION_DEPTH = 40
# pySigma would take them; the query language has nothing like them.
UNFIT_MODIFIERS: Mapping[str, str] = {
    "re": "the query language has no regular expressions",
    "contains": "a value is found by its whole or its beginning, not by what is in the middle of it",
    "base64offset": "a value is found by its whole or its beginning, not by what is in the middle of it",
    "endswith": "a value is found by its whole or its beginning, not by its end",
    "fieldref": "two fields of an entry can't be compared with one another",
    "expand": "there are no lists that placeholders stand for",
    **dict.fromkeys(("minute", "hour", "day", "week", "month", "year"), "a time can't be asked for by a part of it"),
}
# What `windash` writes in five ways.
_DASH = re.compile(r"\B[-/]\b")
_SIGNS = {CompareOperators.LT: "<", CompareOperators.LTE: "<=", CompareOperators.GT: ">", CompareOperators.GTE: ">="}
NOTE_CASE = "Texts are compared as they are written; Sigma does not tell capitals from small letters. Actions are found in any case."
NOTE_WORDS = "A keyword is found as a whole word of the entry's text; Sigma finds it within words as well."
NOTE_NULL = "null finds what is not there or null, and the text null as well."
# What relative times are counted from, and there are none.
_ANY_TIME = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


class Unfit(Exception):
    """A part of a rule that the query language can't say. The message says why."""


@dataclass(frozen=True)
class Query:
    """A text in the query language that may stand behind `-` and next to others."""

    text: str

    def __neg__(self) -> Query:
        return Query(self.text[1:] if self.text.startswith("-") else f"-{self.text}")


def all_of(queries: Sequence[Query]) -> Query:
    return _joined(queries, " ")


def any_of(queries: Sequence[Query]) -> Query:
    return _joined(queries, " OR ")


def without_brackets(query: Query) -> str:
    """The text, without the brackets around the whole of it."""
    return query.text[1:-1] if query.text.startswith("(") else query.text


@dataclass
class Reading:
    """What is found out while one rule is read."""

    fields: Fields
    faults: list[Fault] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    # Fields of the rule, and what is asked of instead.
    mapped: dict[tuple[str, str], None] = field(default_factory=dict)
    # Of the detection, as far as it was read. A query has room for MAX_TERMS.
    value_count: int = 0

    def unfit(self, pointer: str, reason: str) -> None:
        self.faults.append(Fault(pointer, "sigma_unfit", f"{reason[:1].upper()}{reason[1:]}."))


def query_of(detection: Any, pointer: str, reading: Reading) -> Query | None:
    """What a detection finds; None if something of it does not fit, which is among the faults then."""
    if not isinstance(detection, dict):
        reading.unfit(pointer, "a detection is a map of selections, with a condition")
        return None
    conditions = detection.get("condition")
    conditions = conditions if isinstance(conditions, list) else [conditions]
    if sum(len(text) for text in conditions if isinstance(text, str)) > MAX_CONDITION_CHARACTERS or len(conditions) > MAX_TERMS:
        reading.unfit(f"{pointer}/condition", f"the condition has more than {MAX_CONDITION_CHARACTERS} characters")
        return None
    selections = {str(name): value for name, value in detection.items() if name not in ("condition", "timeframe")}
    if "timeframe" in detection:
        reading.unfit(f"{pointer}/timeframe", "timeframe belongs to a form of counting that Sigma has replaced by correlations. Write one")
    queries: dict[str, Query | None] = {}

    def selected(name: str) -> Query | None:
        if name not in queries:
            queries[name] = _selection(selections[name], f"{pointer}/{escaped(name)}", reading)
        return queries[name]

    found = [_condition(text, selections, selected, f"{pointer}/condition", reading) for text in conditions]
    known = [query for query in found if query is not None]
    return any_of(known) if known and len(known) == len(found) else None


# -- the condition -----------------------------------------------------------------------------------------------


def _condition(text: Any, names: Iterable[str], selected: Callable[[str], Query | None], pointer: str, reading: Reading) -> Query | None:
    try:
        if not isinstance(text, str):
            raise Unfit("the condition has to be a text such as `selection and not filter`")
        if text.count("(") > MAX_CONDITION_DEPTH or text.split().count("not") > MAX_CONDITION_DEPTH:
            raise Unfit("the condition is nested too deep")
        if "|" in text:
            raise Unfit("counting behind | is a form that Sigma has replaced by correlations. Write one")
        # The selections are read one by one, each with its own faults, and not by pySigma, which stops at the first.
        tree = SigmaCondition(text, None).parse(postprocess=False)  # type: ignore[arg-type]
        return _combined(tree, list(names), selected)
    except (SigmaError, RecursionError) as error:
        reading.unfit(pointer, f"the condition can't be read: {error}")
    except Unfit as error:
        reading.unfit(pointer, str(error))
    return None


def _combined(tree: Any, names: Sequence[str], selected: Callable[[str], Query | None]) -> Query | None:
    """The query of a parsed condition; None if one of its selections does not fit. Raises Unfit."""
    match tree:
        case ConditionIdentifier():
            if tree.identifier not in names:
                raise Unfit(f"there is no selection {tree.identifier!r}")
            return selected(tree.identifier)
        case ConditionSelector():
            pattern = "*" if tree.pattern == "them" else tree.pattern
            # Names with _ before them are not for patterns, as in pySigma.
            chosen = [name for name in names if fnmatch.fnmatchcase(name, pattern) and (pattern.startswith("_") or not name.startswith("_"))]
            if not chosen:
                raise Unfit(f"no selection has a name like {tree.pattern!r}")
            return _together(all_of if tree.cond_class is ConditionAND else any_of, [selected(name) for name in chosen])
        case ConditionNOT():
            inner = _combined(tree.args[0], names, selected)
            return None if inner is None else -inner
        case ConditionAND():
            return _together(all_of, [_combined(part, names, selected) for part in tree.args])
        case ConditionOR():
            return _together(any_of, [_combined(part, names, selected) for part in tree.args])
        case _:
            raise Unfit("the condition can't be read")


# -- selections --------------------------------------------------------------------------------------------------


def _selection(definition: Any, pointer: str, reading: Reading) -> Query | None:
    if isinstance(definition, dict):
        if not definition:
            reading.unfit(pointer, "the selection is empty")
            return None
        return _together(all_of, [_item(key, value, f"{pointer}/{escaped(str(key))}", reading) for key, value in definition.items()])
    if isinstance(definition, list) and any(isinstance(member, dict | list) for member in definition):
        return _together(any_of, [_selection(member, f"{pointer}/{index}", reading) for index, member in enumerate(definition)])
    return _item(None, definition, pointer, reading)


def _item(key: Any, value: Any, pointer: str, reading: Reading) -> Query | None:
    if reading.value_count > MAX_TERMS:
        # Which was said where it went beyond.
        return None
    try:
        query = _query_of_item(key, value, reading)
        # What the query language itself refuses: a NUL, an action that can't be one, too many keys.
        Reader(_ANY_TIME).tree(query.text)
        return query
    except Unfit as error:
        reading.unfit(pointer, str(error))
    except InvalidQuery as error:
        reading.unfit(pointer, error.faults[0].detail.partition(": ")[2].removesuffix("."))
    except SigmaError as error:
        reading.unfit(pointer, f"it can't be read as Sigma: {error}")
    return None


def _query_of_item(key: Any, value: Any, reading: Reading) -> Query:
    if key is not None and not isinstance(key, str):
        raise Unfit("the name of a field has to be a text")
    name, *modifiers = (key or "").split("|")
    for modifier in modifiers:
        if modifier in UNFIT_MODIFIERS:
            raise Unfit(UNFIT_MODIFIERS[modifier])
    if len(set(modifiers)) < len(modifiers):
        # Each base64 of sixty makes the value a third longer.
        raise Unfit("a modifier may be given once")
    values = value if isinstance(value, list) else [value]
    if not values:
        raise Unfit("the list of values is empty")
    if not all(one is None or isinstance(one, str | int | float) for one in values):
        raise Unfit("a value is a text, a number, true, false or null")
    reading.value_count += sum(5 ** len(_DASH.findall(one)) if "windash" in modifiers and isinstance(one, str) else 1 for one in values)
    if reading.value_count > MAX_TERMS:
        raise Unfit(f"the detection has more than {MAX_TERMS} values, and a query has room for no more")
    try:
        item = SigmaDetectionItem.from_mapping(key, values)
    except (TypeError, ValueError, AttributeError) as error:
        raise Unfit(f"it can't be read as Sigma: {error}") from error
    known = reading.fields.known(name) if name else None
    if name and known is None:
        raise Unfit(UNSEARCHABLE[name])
    queries = list(_of_values(item.value, name, known, reading))
    combined = all_of(queries) if item.value_linking is ConditionAND else any_of(_grouped(queries))
    return -combined if item.negated else combined


def _of_values(values: Iterable[SigmaType], name: str, known: Known | None, reading: Reading) -> Iterator[Query]:
    for value in values:
        if isinstance(value, SigmaExpansion):
            yield any_of(_grouped(list(_of_values(value.values, name, known, reading))))
        elif known is None:
            yield _keyword(value, reading)
        else:
            target, query = _of_value(value, known, reading)
            reading.mapped[name, target.qualifier] = None
            yield query


def _keyword(value: SigmaType, reading: Reading) -> Query:
    match value:
        case SigmaCasedString():
            raise Unfit("words are found in any case")
        case SigmaString():
            text, is_prefix = _beginning(value)
        case SigmaNumber() if not isinstance(value, SigmaTimestampPart):
            text, is_prefix = str(value), False
        case _:
            raise Unfit("a keyword is a text")
    reading.notes[NOTE_WORDS] = None
    return Query(quoted(text) + "*" * is_prefix)


def _of_value(value: SigmaType, known: Known, reading: Reading) -> tuple[Target, Query]:
    target = known.target
    match value:
        case SigmaString():
            return _of_text(value, known, reading)
        case SigmaNull():
            if target.is_metadata:
                reading.notes[NOTE_NULL] = None
                return target, any_of([-_anything(target), Query(f'{target.qualifier}:"null"')])
            return target, -_anything(target)
        case SigmaExists():
            return target, _anything(target) if value.exists else -_anything(target)
        case SigmaCIDRExpression():
            if target.name != "ip_address":
                raise Unfit(f"networks are looked for in ip_address alone, and this field is {target.qualifier}")
            return target, Query(f"ip_address:{quoted(str(value.network))}")
        case SigmaCompareExpression():
            if not target.is_metadata or value.op not in _SIGNS:
                raise Unfit(f"numbers are compared in metadata alone, and this field is {target.qualifier}")
            return target, Query(f"{target.qualifier}:{_SIGNS[value.op]}{value.number}")
        case SigmaBool() if target.is_metadata:
            return target, Query(f'{target.qualifier}:"{str(value).lower()}"')
        case SigmaNumber() if not isinstance(value, SigmaTimestampPart):
            return target, Query(f"{target.qualifier}:{quoted(str(value))}")
        case _:
            raise Unfit(f"{type(value).__name__.removeprefix('Sigma')} can't be asked of {target.qualifier}")


def _of_text(value: SigmaString, known: Known, reading: Reading) -> tuple[Target, Query]:
    target = known.target
    if value.s == [SpecialChars.WILDCARD_MULTI]:
        return target, _anything(target)
    text, is_prefix = _beginning(value)
    if is_prefix and not (target.is_text or target.is_metadata):
        raise Unfit(f"{target.qualifier} is found by its whole value" + (", or by a network (|cidr)" if target.name == "ip_address" else ""))
    if not is_prefix and known.rewrite is not None:
        target, text = known.rewrite(text) or (target, text)
    if not text and not target.is_metadata:
        raise Unfit(f"{target.qualifier} is never empty. What is not there is null")
    # Nothing is known of the case of an empty text or a number.
    if target.name not in ("action", *_CASELESS) and not isinstance(value, SigmaCasedString) and text.upper() != text.lower():
        reading.notes[NOTE_CASE] = None
    return target, Query(f"{target.qualifier}:{quoted(text)}" + "*" * is_prefix)


_CASELESS = ("ip_address", "severity", "outcome")


def _beginning(value: SigmaString) -> tuple[str, bool]:
    """The text, and whether it is the beginning of what is meant. Raises Unfit for other wildcards."""
    parts = list(value.s)
    is_prefix = bool(parts) and parts[-1] is SpecialChars.WILDCARD_MULTI
    parts = parts[:-1] if is_prefix else parts
    if any(isinstance(part, Placeholder) for part in parts):
        raise Unfit(UNFIT_MODIFIERS["expand"])
    if any(isinstance(part, SpecialChars) for part in parts):
        raise Unfit("a wildcard may stand at the end of a value only, and ? nowhere")
    return "".join(str(part) for part in parts), is_prefix


def _anything(target: Target) -> Query:
    """The field is there."""
    if target.name == "ip_address":
        return Query('ip_address:("0.0.0.0/0" OR "::/0")')
    if target.name in ("severity", "outcome"):
        raise Unfit(f"every entry has {target.qualifier}")
    return Query(f"{target.qualifier}:*")


# -- texts of queries --------------------------------------------------------------------------------------------


def _joined(queries: Sequence[Query], separator: str) -> Query:
    distinct = list(dict.fromkeys(queries))
    return distinct[0] if len(distinct) == 1 else Query(f"({separator.join(query.text for query in distinct)})")


def _together(join: Callable[[Sequence[Query]], Query], queries: Sequence[Query | None]) -> Query | None:
    """All of them joined; None if one is None. Each was read, so that each has its faults."""
    found = [query for query in queries if query is not None]
    return join(found) if found and len(found) == len(queries) else None


def _grouped(queries: Sequence[Query]) -> list[Query]:
    """Exact values of one field as one term: `action:("A" OR "B")`."""
    values: dict[str, list[str]] = {}
    others = []
    for query in queries:
        qualifier, colon, value = query.text.partition(':"')
        if colon and not query.text.startswith(("(", "-", '"')) and not qualifier.endswith('"') and '"' not in qualifier:
            values.setdefault(qualifier, []).append('"' + value)
        else:
            others.append(query)
    terms = [Query(f"{name}:{texts[0]}" if len(texts) == 1 else f"{name}:({' OR '.join(dict.fromkeys(texts))})") for name, texts in values.items()]
    return terms + others
