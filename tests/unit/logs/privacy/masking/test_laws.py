"""Laws of masking: the pre-filter passes over nothing that would be masked; masking twice is masking once; time is linear."""

from __future__ import annotations

import functools
import itertools
import json
import time
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from auditlog_verify.canonical import decode_json, encode_json
from logs.models import MaskedField, MaskingAction, MaskingKind
from logs.privacy.masking import BUILT_IN, Masker, OwnRule, RuleSet
from logs.privacy.masking.masker import Masked
from tests.masking_corpus import BY_FORM, IN_CONTEXT, KEYS, look_alikes, secrets

SECRET = b"a secret of the tests, 32 bytes."
Values = tuple[str | None, str | None, dict[str, Any] | None, dict[str, Any] | None, dict[str, Any] | None]


class Envelope:
    """Stands for encryption: what it sealed is in the form of the real one."""

    def seal_value(self, pointer: str, value: Any) -> Any:
        return {"$encrypted": "v1.7.AAAA"}

    def seal_text(self, pointer: str, text: str) -> str:
        return "[encrypted:v1.7.AAAA]"


def with_every_action(number: int) -> RuleSet:
    """The built-in rules, each with another action; a rule of each kind in front."""
    actions = list(MaskingAction)
    own = (
        OwnRule("a key", MaskingKind.KEY, "employee*", actions[number % 5]),
        OwnRule("a pattern", MaskingKind.PATTERN, r"EMP-\d{4}", actions[(number + 1) % 5]),
    )
    return RuleSet(own if number % 2 else own[:1], {rule.name: actions[(index + number) % 5] for index, rule in enumerate(BUILT_IN)})


MASKERS = [Masker(RuleSet(), SECRET), *(Masker(with_every_action(number), SECRET) for number in range(5))]

fragments = st.sampled_from(
    [
        *BY_FORM.values(),
        *(context.format(secret) for context, secret in IN_CONTEXT.values()),
        *KEYS,
        *("=", ":", ": ", "&", "?", "#", " ", "\n", "\t", '"', "'", "\\", "/", "://", "@", "%", "%40", "%3D", "+", "-", ".", ","),
        *(";", "<", ">", "{", "}", "[", "]"),
        *("x", "hunter2", "ada", "0", "4111", "1111", "[redacted]", "••••1111", "[hash:0123456789abcdef]", "EMP-1234", "employee_id"),
        *("é", "\u2028", "K", "\u017f"),
    ]
)  # fmt: skip
plain_texts = st.lists(fragments, max_size=6).map("".join)
wrapped_texts = st.recursive(
    plain_texts,
    lambda inner: st.one_of(
        inner.map(json.dumps),
        inner.map(lambda text: json.dumps({"a": text})),
        inner.map(lambda text: json.dumps({text: 1, "password": text})),
        inner.map(lambda text: json.dumps([text]).replace("/", "\\/").replace("p", "\\u0070")),
        inner.map(lambda text: "https://example.com/?q=" + quote(text, safe="") + "&" + quote(text)),
        inner.map(lambda text: "a=" + quote(text, safe="") + "&b=1"),
    ),
    max_leaves=4,
)
texts = st.one_of(plain_texts, wrapped_texts)
keys = st.one_of(st.sampled_from([*KEYS, "name", "value", "field", "new", "a", "employee_id"]), plain_texts)
json_values = st.recursive(
    st.one_of(texts, st.integers(0, 10**19), st.booleans(), st.none(), st.just(4111111111111111)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=6,
)
objects = st.dictionaries(keys, json_values, max_size=4)
entries = st.tuples(st.none() | texts, st.none() | texts, st.none() | objects, st.none() | objects, st.none() | objects)


def canonical(values: Values) -> tuple[Values, tuple[Any, ...]]:
    """The values as ingest has them, and the texts that go with them."""
    written = [encode_json(value) if isinstance(value, dict) else value for value in values]
    read = [decode_json(text) if isinstance(text, bytes) else text for text in written]
    return tuple(read), tuple(written)  # type: ignore[return-value]


def values_of(found: Masked) -> Values:
    return found.message, found.user_agent, found.metadata, found.before, found.after


@settings(max_examples=150, deadline=None)
@given(entries, st.integers(0, len(MASKERS) - 1))
def test_prefilter_passes_over_nothing_that_would_be_masked(values: Values, number: int) -> None:
    masker = MASKERS[number]
    read, written = canonical(values)
    found = masker.mask(*read)
    fields = masker.suspects(*written)
    if found is not None:
        touched = {pointer.split("/")[1] for pointer in found.pointers if pointer.startswith("/")}
        assert touched <= set(fields)
    assert masker.mask(*read, fields=fields) == found


@settings(max_examples=150, deadline=None)
@example((None, None, {"a": "x://alice@example.com:foo@host"}, None, None), 0)
@given(entries, st.integers(0, len(MASKERS) - 1))
def test_masking_the_masked_gives_the_same(values: Values, number: int) -> None:
    masker = MASKERS[number]
    read, _ = canonical(values)
    once = masker.mask(*read, seal=Envelope())
    if once is not None:
        again, _ = canonical(values_of(once))
        assert masker.mask(*again, seal=Envelope()) is None, values_of(once)


@settings(max_examples=100, deadline=None)
@given(entries, st.integers(0, len(MASKERS) - 1))
def test_what_is_masked_is_json_with_valid_pointers_and_nothing_given_changes(values: Values, number: int) -> None:
    read, written = canonical(values)
    found = MASKERS[number].mask(*read)
    assert canonical(read)[1] == written
    if found is None:
        return
    assert found.pointers == sorted(set(found.pointers))
    for value in values_of(found):
        assert not isinstance(value, dict) or decode_json(encode_json(value)) == value
    assert all(pointer.split("/")[1] in MaskedField.values for pointer in found.pointers)


def test_every_sample_of_the_corpus_keeps_the_laws() -> None:
    for masker, sample in itertools.product(MASKERS, itertools.chain(secrets(), look_alikes())):
        read, written = canonical(tuple(sample.fields.get(field) for field in MaskedField.values))  # type: ignore[arg-type]
        found = masker.mask(*read)
        assert masker.mask(*read, fields=masker.suspects(*written)) == found, sample
        if found is not None:
            assert masker.mask(*values_of(found)) is None, (sample, values_of(found))


EVIL = {
    "a's before an @": "a" * 200_000 + "@",
    "dots": "a." * 100_000,
    "names": "a=" * 100_000,
    "secret names": "password=" * 25_000,
    "open quotes": 'password="' * 25_000,
    "backslashes": '"' + "\\" * 200_000,
    "digits": "4" * 200_000,
    "groups of digits": "4111 " * 40_000,
    "ibans without end": "DE89 " * 40_000,
    "begun keys": "-----BEGIN PRIVATE KEY-----" * 8_000,
    "percents": "%25" * 60_000,
    "parameters": "?a=%41&" * 25_000,
    "brackets": "[" * 200_000,
    "brackets in a closed text": "[" * 100_000 + "]" * 100_000,
    "json with a long key": '{"' + "password" * 20_000 + '": 1}',
    "user infos": "a://b:c" * 25_000 + "@",
    "jwt heads": "eyJhbGciOi." * 18_000,
    "marks": "[redacted]" * 20_000,
    "bullets": "••••" * 20_000,
    "flags": "--token " * 25_000,
    "elements": "<pin>" * 40_000,
    "marks and what is beside them": "[redacted] a@b.example " * 10_000,
    "marks in another script": "••••1111 é a@b.example " * 8_000,
    "keys": json.dumps({f"a{number}@b.example": 1 for number in range(8_000)}),
    "secrets in JSON in strings, deep": functools.reduce(lambda inner, _: json.dumps({"a": inner}), range(7), "password=x" * 100),
    "levels": '{"a":' * 60 + json.dumps('{"b":' * 60 + json.dumps("[" * 60 + '"pin=1"' + "]" * 60) + "}" * 60) + "}" * 60,
    "hashes": "[hash:0123456789abcdef]@a.example " * 6_000,
}

HALVES = {
    "keys": json.dumps({f"a{number}@b.example": 1 for number in range(4_000)}),
    "json with a long key": '{"' + "password" * 10_000 + '": 1}',
}


def test_keys_that_become_one_are_numbered() -> None:
    redacting = Masker(RuleSet((), {"emails": MaskingAction.REDACT}), SECRET)
    given_keys = {"a@b.example": 1, "[redacted]": 2, "c@d.example": 3}
    found = redacting.mask(None, None, given_keys, None, None)
    assert found is not None
    assert found.metadata == {"[redacted] (2)": 1, "[redacted]": 2, "[redacted] (3)": 3}


@pytest.mark.parametrize("name", list(EVIL))
def test_time_is_linear_in_the_text(name: str) -> None:
    text = EVIL[name]
    masker = MASKERS[0]
    # Half a JSON text is none, and cheap: it has a half of its own, or, where its depth is what matters, stands twice in a list.
    is_json = text.endswith(("]", "}")) and text.startswith(("[", "{"))
    if name in HALVES:
        shorter, longer = [HALVES[name]], [text]
    else:
        shorter, longer = ([text], [text, text]) if is_json else ([text[: len(text) // 2]], [text])
    took = []
    for texts in (shorter, longer):
        begun = time.process_time()
        masker.mask(texts[0], None, {"a": texts}, None, None)
        took.append(time.process_time() - begun)
    # Twice the text takes twice the time, and four times if it were quadratic; little times are noise.
    assert took[1] < 3 * took[0] + 1, took
