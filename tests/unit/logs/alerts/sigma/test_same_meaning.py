"""The query of a Sigma rule finds what a plain reading of the rule finds: random detections against random entries."""

from __future__ import annotations

import datetime
import fnmatch
import ipaddress
import json
import uuid
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from logs.alerts.sigma import read_rules
from logs.search.facts import Facts
from logs.search.predicate import predicate_of
from logs.search.qualifiers import Reader

NOW = datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)
MISSING = object()
TEXTS = ["x", "xy", "X", "", "7", "-7", "true", "null", 'a "b"', "a\\b", "a b", "OR", "(x)", "x:y", "é"]
SCALARS: list[Any] = [*TEXTS, 7, 8, -7, 7.5, True, False, None]
KEYS = ["a", "b.c", "d e", '"f"']
ADDRESSES = ["10.0.3.17", "10.1.0.1", "192.0.2.1", "2001:db8::1"]
NAMES = ["sel_one", "sel_two", "filter_three"]

events: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"user_id": st.sampled_from(["x", "xy", "X", 'a "b"']), "action": st.sampled_from(["LOGIN", "LOGOUT"])},
    optional={key: st.sampled_from(SCALARS) for key in KEYS} | {"src_ip": st.sampled_from(ADDRESSES), "resource_id": st.sampled_from(["x", "7"])},
)


def escaped(text: str) -> str:
    """A text as a value of a rule, where nothing in it is a wildcard."""
    return text.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


def several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return values | st.lists(values, min_size=1, max_size=3)


texts = st.sampled_from(TEXTS).map(escaped)
beginnings = st.sampled_from(["x", "a ", "7", "a\\"]).map(lambda text: escaped(text) + "*")
metadata_values = several(texts | beginnings | st.sampled_from(["*", 7, 7.5, -7, True, False, None]))
items: st.SearchStrategy[tuple[str, Any]] = st.one_of(
    st.tuples(st.sampled_from(KEYS), metadata_values),
    st.tuples(st.sampled_from([f"{key}|{more}" for key in KEYS for more in ("all", "neq", "cased")]), several(texts)),
    st.tuples(st.sampled_from([f"{key}|startswith" for key in KEYS]), several(st.sampled_from(["x", "a "]))),
    st.tuples(st.sampled_from([f"{key}|{sign}" for key in KEYS for sign in ("lt", "lte", "gt", "gte")]), st.sampled_from([7, 7.5, -7])),
    st.tuples(st.sampled_from([f"{key}|exists" for key in KEYS]), st.booleans()),
    st.tuples(st.just("user_id"), several(st.sampled_from(["x", "x*", "*", "y"]))),
    st.tuples(st.just("action"), several(st.sampled_from(["LOGIN", "login", "LOG*", "VIEW"]))),
    st.tuples(st.just("resource_id"), several(st.sampled_from([None, "x", 7, "*"]))),
    st.tuples(st.just("src_ip"), several(st.sampled_from([*ADDRESSES, None]))),
    st.tuples(st.just("src_ip|cidr"), several(st.sampled_from(["10.0.0.0/16", "0.0.0.0/0", "2001:db8::/32"]))),
)
maps = st.lists(items, min_size=1, max_size=3).map(dict)
selections = maps | st.lists(maps, min_size=1, max_size=2)
# A condition as nested tuples, and `written` as text.
conditions: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([*[("name", name) for name in NAMES], ("1", "sel_*"), ("all", "them"), ("any", "filter_*"), ("all", "sel_*")]),
    lambda inner: st.tuples(st.just("not"), inner) | st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
    max_leaves=5,
)
BINDING = {"or": 0, "and": 1, "not": 2}


def written(condition: Any, around: int = 0) -> str:
    kind, inner = condition
    if kind == "name":
        return str(inner)
    if kind not in BINDING:
        return f"{kind} of {inner}"
    own = BINDING[kind]
    text = f"not {written(inner, own)}" if kind == "not" else f" {kind} ".join(written(part, own + 1) for part in inner)
    return f"({text})" if own < around else text


# -- the plain reading -------------------------------------------------------------------------------------------


def condition_holds(condition: Any, found: dict[str, bool]) -> bool:
    kind, inner = condition
    match kind:
        case "name":
            return found[inner]
        case "not":
            return not condition_holds(inner, found)
        case "and":
            return all(condition_holds(part, found) for part in inner)
        case "or":
            return any(condition_holds(part, found) for part in inner)
    of = [found[name] for name in NAMES if inner == "them" or fnmatch.fnmatchcase(name, inner)]
    return all(of) if kind == "all" else any(of)


def selection_holds(selection: Any, event: dict[str, Any]) -> bool:
    if isinstance(selection, list):
        return any(selection_holds(member, event) for member in selection)
    return all(item_holds(key, value, event) for key, value in selection.items())


def item_holds(key: str, value: Any, event: dict[str, Any]) -> bool:
    name, *modifiers = key.split("|")
    actual = event.get(name, MISSING)
    values = value if isinstance(value, list) else [value]
    found = [value_holds(one, modifiers, actual, any_case=name == "action") for one in values]
    if "all" in modifiers:
        return all(found)
    return any(found) != ("neq" in modifiers)


def value_holds(value: Any, modifiers: list[str], actual: Any, *, any_case: bool) -> bool:
    if "exists" in modifiers:
        return (actual is not MISSING) is value
    if value is None:
        return actual is MISSING or actual is None or actual == "null"
    if actual is MISSING:
        return False
    for sign in ("lt", "lte", "gt", "gte"):
        if sign in modifiers:
            if not isinstance(actual, int | float) or isinstance(actual, bool):
                return False
            return bool({"lt": actual < value, "lte": actual <= value, "gt": actual > value, "gte": actual >= value}[sign])
    if "cidr" in modifiers:
        return ipaddress.ip_address(actual) in ipaddress.ip_network(value)
    if not isinstance(value, str):
        return as_text(actual) == as_text(value)
    if value == "*":
        return True
    text, is_beginning = value, "startswith" in modifiers
    if text.endswith("*"):
        text, is_beginning = text[:-1], True
    text = text.replace("\\\\", "\\")
    if is_beginning:
        return isinstance(actual, str) and actual.startswith(text)
    return as_text(actual) == (text.upper() if any_case else text)


def as_text(scalar: Any) -> str:
    """What the query language takes for the same: a number and the text that reads as it, true and the text true."""
    return scalar if isinstance(scalar, str) else json.dumps(scalar)


def facts_of(event: dict[str, Any]) -> Facts:
    metadata: dict[str, Any] = {key: event[key] for key in KEYS if key in event and key != "b.c"}
    if "b.c" in event:
        metadata["b"] = {"c": event["b.c"]}
    texts = dict.fromkeys(("resource_type", "request_id", "session_id", "source"), "other") | {"resource_id": event.get("resource_id")}
    return Facts(
        id=uuid.uuid4(),
        severity=0,
        outcome=0,
        ip_address=event.get("src_ip"),
        texts=texts | {"user_id": event["user_id"], "action": event["action"]},
        message=None,
        changed_fields=(),
        metadata=json.dumps(metadata, ensure_ascii=False),
    )


@settings(max_examples=250, deadline=None)
@given(st.fixed_dictionaries(dict.fromkeys(NAMES, selections)), conditions, st.lists(events, min_size=1, max_size=8))
def test_a_query_finds_what_the_rule_means(detection: dict[str, Any], condition: Any, entries: list[dict[str, Any]]) -> None:
    document = {"title": "A rule", "logsource": {"product": "test"}, "detection": detection | {"condition": written(condition)}}
    (found,) = read_rules(yaml.safe_dump(document, allow_unicode=True), {}, NOW)
    holds = predicate_of(Reader(NOW).tree(found.new.query))
    for event in entries:
        expected = condition_holds(condition, {name: selection_holds(detection[name], event) for name in NAMES})
        assert holds(facts_of(event)) == expected, (found.new.query, event)
