"""How much work a JSON Schema can make, told from its text: before it is compiled, and without an entry.

Schemas come from Admins, and one may be small and still keep a web process busy for minutes: with twenty definitions of two references each,
one value is looked at a million times (measured: 275 s for `{}`). What counts is how often one place of a value is looked at. Places that a
schema names are few; those that it reaches by `items` or `additionalProperties` are as many as an entry has room for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

MAX_BYTES = 64 * 1024
MAX_DEPTH = 64
MAX_SUBSCHEMAS = 2_000
MAX_REFERENCES = 200
# Of a place that the schema names, and of a place that there may be a hundred thousand of in one entry (then: half a second at most).
MAX_VISITS = 1_000
MAX_VISITS_OF_MANY = 100
# Entries are nested no deeper than this (logs.ingest.check).
MAX_ENTRY_DEPTH = 32
_ENDLESS = 10**9

_IN_PLACE = ("not", "if", "then", "else")
_IN_PLACE_LISTS = ("allOf", "anyOf", "oneOf")
_IN_PLACE_MAPS = ("dependentSchemas", "dependencies")
_ANY_NAME = ("additionalProperties", "unevaluatedProperties", "propertyNames")
_ITEMS = ("items", "additionalItems", "contains", "unevaluatedItems", "prefixItems")


class SchemaTooComplex(ValueError):
    """The schema could make more work than there is time for. The message says what, and how much is allowed."""


def check_bounds(schema: Any) -> None:
    """Raises SchemaTooComplex, or ValueError for a reference that leads nowhere or out of the schema."""
    _check_depth(schema)
    size = len(msgspec.json.encode(schema))
    if size > MAX_BYTES:
        raise SchemaTooComplex(f"The schema has {size:,} bytes as JSON; at most {MAX_BYTES:,} are allowed.")
    try:
        visits = _Schemas(schema).visits()
    except RecursionError:
        raise SchemaTooComplex("The schema's references and combinations lead over hundreds of others.") from None
    for count, limit, what in ((visits.of_named, MAX_VISITS, "one place of a value"), (visits.of_many, MAX_VISITS_OF_MANY, "every item or property")):
        if count > limit:
            shown = f"{count:,}" if count < _ENDLESS else "endlessly many"
            raise SchemaTooComplex(f"The schema's combinations and references multiply: {what} would be checked {shown} times; at most {limit:,} are allowed.")


def _check_depth(schema: Any) -> None:
    level: list[Any] = [schema]
    for _ in range(MAX_DEPTH):
        level = [inner for value in level if isinstance(value, dict | list) for inner in (value.values() if isinstance(value, dict) else value)]
        if not level:
            return
    raise SchemaTooComplex(f"The schema is nested over {MAX_DEPTH} levels deep.")


class _Visits(NamedTuple):
    """How often the worst place below is looked at: of those reached by names only, and of the others."""

    of_named: int
    of_many: int


@dataclass(slots=True)
class _Place:
    """Everything that is checked at one place when one schema is applied there: how much, and which schemas go on to the places inside."""

    visits: int = 1
    by_name: dict[str, Counter[int]] = field(default_factory=dict)
    by_any_name: Counter[int] = field(default_factory=Counter)
    by_item: Counter[int] = field(default_factory=Counter)

    def add(self, other: _Place) -> None:
        self.visits = min(self.visits + other.visits, _ENDLESS)
        for name, schemas in other.by_name.items():
            _add(self.by_name.setdefault(name, Counter()), schemas)
        _add(self.by_any_name, other.by_any_name)
        _add(self.by_item, other.by_item)


def _add(to: Counter[int], more: Counter[int]) -> None:
    for schema, times in more.items():
        to[schema] = min(to[schema] + times, _ENDLESS)


class _Schemas:
    """The schemas within one document, by number."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._numbers: dict[int, int] = {}
        self._schemas: list[Any] = []
        self._places: dict[int, _Place | None] = {}
        self._visits: dict[tuple[int, int], _Visits] = {}
        self._references = 0

    def visits(self) -> _Visits:
        return self._visits_of(self._number(self._document), MAX_ENTRY_DEPTH)

    def _number(self, schema: Any) -> int:
        """The number of a schema; references lead to schemas that have one already."""
        if id(schema) not in self._numbers or not isinstance(schema, dict):
            if len(self._schemas) >= MAX_SUBSCHEMAS:
                raise SchemaTooComplex(f"The schema consists of over {MAX_SUBSCHEMAS:,} schemas.")
            self._numbers[id(schema)] = len(self._schemas)
            self._schemas.append(schema)
        return self._numbers[id(schema)]

    def _place_of(self, number: int) -> _Place:
        if number in self._places:
            found = self._places[number]
            if found is None:
                raise SchemaTooComplex("A $ref of the schema leads back to itself without going into the value.")
            return found
        # None while it is being made: whoever comes here again then goes round in a circle.
        self._places[number] = None
        schema = self._schemas[number]
        place = _Place()
        if isinstance(schema, dict):
            for inner in self._applied_here(schema):
                place.add(self._place_of(self._number(inner)))
            for name, inner in _items_of(schema.get("properties")):
                place.by_name.setdefault(name, Counter())[self._number(inner)] += 1
            for _, inner in _items_of(schema.get("patternProperties")):
                place.by_any_name[self._number(inner)] += 1
            for keyword in _ANY_NAME:
                if keyword in schema:
                    place.by_any_name[self._number(schema[keyword])] += 1
            for keyword in _ITEMS:
                value = schema.get(keyword)
                for inner in value if isinstance(value, list) else [value] if keyword in schema else []:
                    place.by_item[self._number(inner)] += 1
        self._places[number] = place
        return place

    def _applied_here(self, schema: dict[str, Any]) -> Iterator[Any]:
        """The schemas that look at the same place as this one."""
        for keyword in _IN_PLACE:
            if keyword in schema:
                yield schema[keyword]
        for keyword in _IN_PLACE_LISTS:
            value = schema.get(keyword)
            yield from value if isinstance(value, list) else []
        for keyword in _IN_PLACE_MAPS:
            # In older drafts a dependency may also be a list of names.
            yield from (inner for _, inner in _items_of(schema.get(keyword)) if not isinstance(inner, list))
        if "$dynamicRef" in schema or "$recursiveRef" in schema:
            raise SchemaTooComplex("$dynamicRef and $recursiveRef are not allowed: use $ref.")
        if "$ref" in schema:
            yield self._referred(schema["$ref"])

    def _referred(self, reference: Any) -> Any:
        self._references += 1
        if self._references > MAX_REFERENCES:
            raise SchemaTooComplex(f"The schema has over {MAX_REFERENCES} references.")
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise ValueError(f"$ref {reference!r} can't be followed: a schema has to be whole in itself, so it has to read #/...")
        found = self._document
        for token in reference[1:].split("/")[1:]:
            step = unquote(token).replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(step)] if isinstance(found, list) else found[step]
            except (LookupError, ValueError, TypeError):
                raise ValueError(f"$ref {reference!r} leads nowhere.") from None
        return found

    def _visits_of(self, number: int, depth: int) -> _Visits:
        """The worst of all places at and below one, with `depth` levels left."""
        if (number, depth) in self._visits:
            return self._visits[number, depth]
        place = self._place_of(number)
        named, many = place.visits, 0
        if depth:
            any_named, any_many = self._sum(place.by_any_name, depth)
            item_named, item_many = self._sum(place.by_item, depth)
            many = max(any_named, any_many, item_named, item_many)
            for schemas in place.by_name.values():
                its_named, its_many = self._sum(schemas, depth)
                # What applies to every name applies to this one as well.
                named, many = max(named, its_named + any_named), max(many, its_many + any_many)
        found = _Visits(min(named, _ENDLESS), min(many, _ENDLESS))
        self._visits[number, depth] = found
        return found

    def _sum(self, schemas: Counter[int], depth: int) -> _Visits:
        named = many = 0
        for number, times in schemas.items():
            its = self._visits_of(number, depth - 1)
            named, many = named + times * its.of_named, many + times * its.of_many
        return _Visits(min(named, _ENDLESS), min(many, _ENDLESS))


def _items_of(value: Any) -> Iterator[tuple[str, Any]]:
    """The members of a map of schemas; nothing for what is none, which compiling the schema tells."""
    if isinstance(value, dict):
        yield from value.items()
