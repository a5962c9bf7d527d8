"""Which schemas are refused before they are compiled: those that could keep a process busy, and no other."""

from __future__ import annotations

import time
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logs.catalogue import check_schema
from logs.schema_bounds import MAX_ENTRY_DEPTH, SchemaTooComplex, check_bounds


def doubling(levels: int, keyword: str = "anyOf") -> dict[str, Any]:
    """Two references a level: 2^levels looks at one value."""
    defs: dict[str, Any] = {f"d{level}": {keyword: [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{levels}": {"type": "string"}}}


def nested(levels: int) -> Any:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"properties": {"a": schema}}
    return schema


def a_chain(links: int) -> dict[str, Any]:
    """One look at one value, by way of every definition."""
    defs: dict[str, Any] = {f"d{link}": {"not": {"not": {"not": {"not": {"$ref": f"#/$defs/d{link + 1}"}}}}} for link in range(links)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{links}": {}}}


TREE = {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"left": {"$ref": "#/$defs/node"}, "right": {"$ref": "#/$defs/node"}}}}}
ANY_JSON = {
    "$defs": {
        "any": {
            "anyOf": [
                {"type": ["string", "number", "boolean", "null"]},
                {"type": "array", "items": {"$ref": "#/$defs/any"}},
                {"type": "object", "additionalProperties": {"$ref": "#/$defs/any"}},
            ]
        }
    },
    "additionalProperties": {"$ref": "#/$defs/any"},
}
ORDER = {
    "type": "object",
    "required": ["lines"],
    "properties": {
        "lines": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/line"}},
        "paid_by": {"oneOf": [{"const": "card"}, {"const": "invoice"}, {"type": "object", "properties": {"iban": {"type": "string"}}}]},
    },
    "$defs": {"line": {"type": "object", "properties": {"sku": {"type": "string", "pattern": "^[A-Z]+$"}, "count": {"type": "integer"}}}},
    "allOf": [{"if": {"properties": {"kind": {"const": f"k{number}"}}}, "then": {"required": [f"f{number}"]}} for number in range(50)],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "schema", [{}, TREE, ANY_JSON, ORDER, doubling(5), nested(30), {"$ref": "#/$defs/a", "$defs": {"a": True}}, {"properties": {"a": {"$ref": "#"}}}]
)
def test_schemas_of_everyday_use_pass(schema: Any) -> None:
    check_schema(schema)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (doubling(20), "multiply"),
        (doubling(20, "allOf"), "multiply"),
        (doubling(20, "oneOf"), "multiply"),
        (doubling(60), "endlessly"),
        # Two looks at the same child, level after level.
        (
            {"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [{"properties": {"a": {"$ref": "#/$defs/n"}}}, {"properties": {"a": {"$ref": "#/$defs/n"}}}]}}},
            "multiply",
        ),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"items": {"$ref": "#/$defs/n"}, "contains": {"$ref": "#/$defs/n"}}}}, "multiply"),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"properties": {"a": {"$ref": "#/$defs/n"}}, "patternProperties": {"a": {"$ref": "#/$defs/n"}}}}}, "multiply"),
        ({"properties": {"a": {"items": {"allOf": [{"type": "integer"}] * 200}}}}, "every item"),
        ({"$ref": "#"}, "leads back to itself"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"not": {"anyOf": [{"$ref": "#/$defs/a"}]}}}}, "leads back to itself"),
        ({"$dynamicRef": "#a"}, "$dynamicRef"),
        ({"anyOf": [{"$ref": "#/$defs/a"} for _ in range(201)], "$defs": {"a": {}}}, "over 200 references"),
        ({"properties": {f"p{number}": {} for number in range(2_001)}}, "over 2,000 schemas"),
        ({"description": "x" * 70_000}, "bytes"),
        (nested(200), "nested over"),
        (a_chain(199), "lead over"),
        ({"$ref": "https://example.com/schema"}, "whole in itself"),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, "whole in itself"),
        ({"$ref": "other.json#/a"}, "whole in itself"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
        ({"$ref": 5}, "can't be followed"),
    ],
)
def test_schemas_that_could_keep_a_process_busy_are_refused_at_once(schema: Any, said: str) -> None:
    begun = time.monotonic()
    with pytest.raises(ValueError, match=r".") as refused:
        check_schema(schema)
    assert said in str(refused.value)
    # Of a busy machine too: looking at such a schema takes milliseconds.
    assert time.monotonic() - begun < 2


def test_a_schema_on_the_bounds_checks_the_largest_entry_in_bounded_time() -> None:
    schema = {"properties": {"a": {"items": {"items": {"allOf": [{"type": "integer"}] * 99}}}}}
    check_bounds(schema)
    validator = jsonschema_rs.validator_for(schema)
    begun = time.monotonic()
    assert validator.is_valid({"a": [[1] * 65_000] * 2})
    assert time.monotonic() - begun < 10


_leaves: st.SearchStrategy[Any] = st.just({}) | st.just({"type": "string"}) | st.sampled_from(["a", "b"]).map(lambda name: {"$ref": f"#/$defs/{name}"})


def _around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.tuples(st.sampled_from(["allOf", "anyOf", "oneOf"]), several).map(lambda pair: {pair[0]: pair[1]}),
        st.tuples(st.sampled_from(["not", "items", "contains", "additionalProperties"]), inner).map(lambda pair: {pair[0]: pair[1]}),
        st.dictionaries(st.sampled_from(["x", "y"]), inner, min_size=1).map(lambda properties: {"properties": properties}),
    )


_schemas = st.recursive(_leaves, _around, max_leaves=8)


def looks(schema: Any, document: Any, value: Any) -> int:
    """How often the schemas within look at the place of `value` itself or the worst place inside it, counted one by one."""
    counts: dict[int, int] = {}

    def look(schema: Any, value: Any) -> None:
        counts[id(value)] = counts.get(id(value), 0) + 1
        for keyword in ("allOf", "anyOf", "oneOf"):
            for inner in schema.get(keyword, []):
                look(inner, value)
        if "not" in schema:
            look(schema["not"], value)
        if "$ref" in schema:
            look(document["$defs"][schema["$ref"][-1]], value)
        for name, inner in value.items() if isinstance(value, dict) else []:
            properties = schema.get("properties", {})
            if name in properties or "additionalProperties" in schema:
                look(properties[name] if name in properties else schema["additionalProperties"], inner)
        for inner in value if isinstance(value, list) else []:
            for keyword in {"items", "contains"} & set(schema):
                look(schema[keyword], inner)

    look(schema, value)
    return max(counts.values())


def full_value(levels: int, kinds: list[bool]) -> Any:
    """A value with a list or an object at each level; every place is an object of its own."""
    value: Any = object()
    for level in range(levels):
        value = {"x": value, "y": object()} if kinds[level % len(kinds)] else [value]
    return value


@settings(deadline=None)
@given(root=_schemas, a=_schemas, b=_schemas, kinds=st.lists(st.booleans(), min_size=1, max_size=4))
def test_what_passes_never_looks_at_a_place_more_often_than_allowed(root: Any, a: Any, b: Any, kinds: list[bool]) -> None:
    document = {"allOf": [root], "$defs": {"a": a, "b": b}}
    try:
        check_bounds(document)
    except SchemaTooComplex:
        return
    assert looks(document, document, full_value(min(MAX_ENTRY_DEPTH, 12), kinds)) <= 1_000
