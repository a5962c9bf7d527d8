"""The pure half of encryption: what seals, and what does not open."""

from __future__ import annotations

import os
import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from auditlog_verify.canonical import canonical_json, encode_json
from logs.catalogue import EncryptionSettings
from logs.privacy import Content
from logs.privacy.encryption import tokens
from logs.privacy.encryption.data_key import NONCE_BYTES, Damaged, DataKey, place_of_field
from logs.privacy.encryption.opening import Fields, Gone, Keys, hidden, is_sealed, opened
from logs.privacy.encryption.sealing import Encryption, FieldSealer

TENANT, ENTRY_ID = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
KEY = DataKey(7, bytes(range(32)), "p_1")
KEYS: Keys = {7: KEY}
JSON = some.recursive(
    some.none() | some.booleans() | some.integers(-(10**40), 10**40) | some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: (
        some.lists(inner, max_size=4)
        | some.dictionaries(
            some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\x00")).filter(lambda key: key != tokens.RESERVED_KEY), inner, max_size=4
        )
    ),
    max_leaves=20,
)
OBJECT = some.dictionaries(
    some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\x00")).filter(lambda key: key != tokens.RESERVED_KEY), JSON, max_size=6
)


class KnownEncryption(Encryption):
    """An encryption whose one key is at hand."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(uuid.UUID(TENANT), bytes(32), EncryptionSettings(**settings))

    def key_of(self, subject: str) -> DataKey:
        return KEY


def sealer(entry_id: str = ENTRY_ID, **settings: Any) -> FieldSealer:
    return FieldSealer(KnownEncryption(**settings), entry_id, "alice", None)


def content(**values: Any) -> Content:
    texts = {f"{name}_text": None if values.get(name) is None else encode_json(values[name]) for name in ("metadata", "before", "after")}
    return Content(**{"user_id": "alice", "message": None, "user_agent": None, "metadata": None, "before": None, "after": None, **values, **texts})


def stored(sealed: Content, entry_id: str = ENTRY_ID) -> Fields:
    texts = [None if text is None else text.decode() for text in (sealed.metadata_text, sealed.before_text, sealed.after_text)]
    return Fields(entry_id, sealed.message, sealed.user_agent, *texts)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(before=OBJECT, after=OBJECT, metadata=OBJECT, secret=JSON)
def test_what_was_sealed_opens_to_the_same_text(before: Any, after: Any, metadata: Any, secret: Any) -> None:
    given = content(before=before, after=after, metadata=metadata | {"secret": secret})
    sealed = sealer(fields=frozenset({"before", "after"}), metadata_keys=frozenset({"secret"})).sealed(given)
    fields = stored(sealed)
    assert is_sealed(fields)
    assert opened(fields, TENANT, KEYS) == stored(given)


@given(value=JSON)
def test_values_that_a_rule_sealed_open_at_any_depth_and_within_a_sealed_field(value: Any) -> None:
    hands = sealer(fields=frozenset({"after"}))
    nested = {"a/b": [0, {"~": value}], "z": 1.5}
    pointer = "/a~1b/1/~0"
    before = {"a/b": [0, {"~": hands.seal_value("/before" + pointer, value)}], "z": 1.5}
    after = {"a/b": [0, {"~": hands.seal_value("/after" + pointer, value)}], "z": 1.5}
    sealed = hands.sealed(content(before=before, after=after, message=hands.seal_text("/message", "who did it")))
    found = opened(stored(sealed), TENANT, KEYS)
    assert found.before is not None
    assert found.after is not None
    assert canonical_json(found.before.encode()) == canonical_json(found.after.encode()) == encode_json(nested)
    assert found.message == "who did it"


def test_texts_as_postgresql_prints_them_open_letter_by_letter() -> None:
    token = sealer().seal_value("/metadata/ssn", {"b": 1, "a": "é"})[tokens.RESERVED_KEY]
    metadata = '{"n": 1.10, "ssn": ' + tokens.sealed_value_text(token).decode() + ', "z": [1E-7, "{\\"$encrypted\\": \\"x\\"}"]}'
    found = opened(Fields(ENTRY_ID, None, None, metadata, None, None), TENANT, KEYS).metadata
    assert found == '{"n": 1.10, "ssn": {"a":"é","b":1}, "z": [1E-7, "{\\"$encrypted\\": \\"x\\"}"]}'


@pytest.mark.parametrize("text", [b"", b"x", b"{}", b"y" * 255, b"y" * 256, os.urandom(300), b"z" * 300_000])
def test_texts_of_any_length_come_back(text: bytes) -> None:
    place = place_of_field(TENANT, ENTRY_ID, 7, "/before")
    sealed = KEY.seal(place, text)
    assert KEY.open(place, sealed) == text
    assert len(sealed) <= len(text) + NONCE_BYTES + 17


def test_long_texts_are_compressed() -> None:
    assert len(KEY.seal(b"here", b"the same again and again " * 100)) < 200


def test_retry_of_the_same_content_has_the_same_bytes() -> None:
    one, other = (sealer(fields=frozenset({"before"})).sealed(content(before={"a": 1})) for _ in range(2))
    assert one == other


def test_nonces_are_never_the_same_for_other_places_or_content() -> None:
    texts = [b"%d" % number for number in range(20_000)]
    places = [place_of_field(TENANT, str(uuid.UUID(int=number)), 7, "/before") for number in range(20_000)]
    nonces = {KEY.seal(places[0], text)[:NONCE_BYTES] for text in texts} | {KEY.seal(place, b"the same")[:NONCE_BYTES] for place in places}
    assert len(nonces) == 40_000
    # Where the place ends and the text begins makes a difference too.
    assert KEY.seal(b"ab", b"c")[:NONCE_BYTES] != KEY.seal(b"a", b"bc")[:NONCE_BYTES]


@given(bit=some.integers(min_value=0))
def test_each_flipped_bit_is_noticed(bit: int) -> None:
    place = place_of_field(TENANT, ENTRY_ID, 7, "/before")
    sealed = bytearray(KEY.seal(place, b'{"a":1}'))
    bit %= len(sealed) * 8
    sealed[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(Damaged):
        KEY.open(place, bytes(sealed))


@pytest.mark.parametrize("length", range(29))
def test_ciphertext_that_was_cut_does_not_open(length: int) -> None:
    place = place_of_field(TENANT, ENTRY_ID, 7, "/before")
    with pytest.raises(Damaged):
        KEY.open(place, KEY.seal(place, b'{"a":1}')[:length])


@pytest.mark.parametrize(
    ("tenant", "entry_id", "pointer", "key"),
    [
        (str(uuid.UUID(int=3)), ENTRY_ID, "/before", KEY),
        (TENANT, str(uuid.UUID(int=3)), "/before", KEY),
        (TENANT, ENTRY_ID, "/after", KEY),
        (TENANT, ENTRY_ID, "/before", DataKey(7, bytes(32), "p_1")),
        (TENANT, ENTRY_ID, "/before", Gone("lost")),
    ],
)
def test_ciphertext_moved_to_another_tenant_entry_field_or_key_is_unreadable(tenant: str, entry_id: str, pointer: str, key: DataKey | Gone) -> None:
    text = stored(sealer(fields=frozenset({"before"})).sealed(content(before={"planted": 1}))).before
    fields = Fields(entry_id, None, None, None, text if pointer == "/before" else None, text if pointer == "/after" else None)
    found = opened(fields, tenant, {7: key})
    shown = found.before or found.after
    assert shown is not None
    assert msgspec.json.decode(shown) == {"encrypted": True, "unreadable": True}


def test_key_of_an_erased_subject_shows_that_and_no_more() -> None:
    hands = sealer(fields=frozenset({"before"}))
    sealed = hands.sealed(content(before={"planted": 1}, message=hands.seal_text("/message", "planted")))
    found = opened(stored(sealed), TENANT, {7: Gone()})
    assert msgspec.json.decode(found.before or "") == {"encrypted": True, "erased": True}
    assert found.message == "[erased]"


@pytest.mark.parametrize("value", ["", "v1", "v1.7.", "v2.7." + "A" * 50, "v1.0." + "A" * 50, f"v1.{2**63}." + "A" * 50, "v1.7." + "A" * 41])
def test_values_that_are_no_tokens_are_unreadable(value: str) -> None:
    fields = Fields(ENTRY_ID, None, None, None, f'{{"$encrypted": "{value}"}}', None)
    assert opened(fields, TENANT, KEYS).before == '{"encrypted": true, "unreadable": true}'


def test_hidden_fields_show_that_there_is_something_and_no_more() -> None:
    hands = sealer(fields=frozenset({"before"}), metadata_keys=frozenset({"ssn"}))
    sealed = hands.sealed(content(before={"a": 1}, metadata={"ssn": "x", "b": 1}, message=hands.seal_text("/message", "x"), user_agent="[encrypted] it"))
    found = hidden(stored(sealed))
    assert found == Fields(ENTRY_ID, "[encrypted]", "[encrypted] it", '{"b":1,"ssn":{"encrypted": true}}', '{"encrypted": true}', None)


@given(value=JSON)
def test_reserved_key_is_found_wherever_it_stands(value: Any) -> None:
    nested = {"a": [value, {"b/c": {tokens.RESERVED_KEY: value}}]}
    assert tokens.reserved_key_in(nested, encode_json(nested)) == "/a/1/b~1c/$encrypted"
    harmless = {"a": [value, tokens.RESERVED_KEY]}
    assert tokens.reserved_key_in(harmless, encode_json(harmless)) is None
