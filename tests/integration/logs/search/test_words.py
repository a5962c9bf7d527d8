"""Python and PostgreSQL cut every text into the same words."""

from __future__ import annotations

from django.db import connections
from hypothesis import given, settings
from hypothesis import strategies as st

from auditlog_verify.canonical import encode_json
from logs.search.lexemes import MAX_LEXEME, tenant_prefix
from logs.search.words import entry_text, spaced, words_of
from tests.search_strategies import objects, phrases, required, texts
from tests.storing import new_tenant

TEXT = "auditlog.entry_text(%(user)s, %(type)s, %(resource)s, %(message)s, %(metadata)s::jsonb)"
WORDS = (
    "tsvector_to_array(auditlog.entry_words(%(tenant)s::uuid, 3::smallint, 2::smallint, 'LOGIN', 'user:a b', "
    "ARRAY['x y', 'z'], %(user)s, %(type)s, %(resource)s, %(message)s, %(metadata)s::jsonb))"
)
STATEMENT = f"SELECT %(metadata)s::jsonb::text, {TEXT}, auditlog.spaced_words({TEXT}, true), auditlog.spaced_words({TEXT}, false), {WORDS}"
long_texts = st.builds(lambda text, times: text * times, required, st.integers(1, 900))


@settings(max_examples=400, deadline=None)
@given(required, required, st.none() | texts, st.none() | phrases | texts | long_texts, st.none() | objects)
def test_both_cut_alike(user: str, type: str, resource: str | None, message: str | None, metadata: dict[str, object] | None) -> None:
    compare(user, type, resource, message, metadata)


def compare(user: str, type: str, resource: str | None, message: str | None, metadata: dict[str, object] | None) -> str:
    """Have both cut the entry. Answers its text."""
    tenant = "00000000-0000-4000-8000-0000000abcde"
    parameters = {
        "tenant": tenant, "user": user, "type": type, "resource": resource, "message": message,
        "metadata": None if metadata is None else encode_json(metadata).decode(),
    }  # fmt: skip
    with connections["default"].cursor() as cursor:
        cursor.execute(STATEMENT, parameters)
        stored, text, whole, parts, lexemes = cursor.fetchone()
    expected = entry_text(user, type, resource, message, stored)
    assert text == expected
    assert whole == spaced(expected, is_whole=True)
    assert parts == spaced(expected, is_whole=False)
    own = {"", "=LOGIN", "=@user:a_b", "=3", "=failure", "~x_y", "~z"}
    wanted = {f"0abcde{word[:MAX_LEXEME]}" for word in words_of(expected) | own}
    assert {lexeme[: 6 + MAX_LEXEME] for lexeme in lexemes} == wanted
    return expected


def test_what_is_encrypted_has_no_words() -> None:
    token = "v1.7." + "Ab-_9" * 20
    hidden: dict[str, object] = {"a": {"$encrypted": token}, "b": [{"$encrypted": token}, "seen"], "c": f'{{"$encrypted": "{token}"}}'}
    text = compare("alice", "invoice", None, f"[encrypted:{token}]", hidden)
    # In a text of the metadata it is what somebody sent.
    assert text.count(token.lower()) == 1
    assert "seen" in words_of(text)
    for sent in (f"[encrypted:{token}] and more", f"[encrypted:{token}]\n", "[encrypted:v1.7.short]"):
        assert "v1.7" in compare("alice", "invoice", None, sent, None)


def test_prefix_of_a_tenant_is_the_end_of_its_id() -> None:
    tenant = new_tenant()
    assert str(tenant.id).endswith(tenant_prefix(tenant.id))
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT right(%s::uuid::text, 6)", [tenant.id])
        assert cursor.fetchone() == (tenant_prefix(tenant.id),)


def test_longest_words_and_most_words_are_kept_within_postgresqls_bounds() -> None:
    many = " ".join(f"{number:x}.{number * 7:x}" for number in range(22_000))
    with connections["default"].cursor() as cursor:
        for message in (
            "x" * 250_000,
            many,
            "ä.ö " * 60_000,
            " ".join(chr(0x4E00 + number % 20_000) * 2 + "." + chr(0x5E00 + number % 9_000) for number in range(40_000)),
        ):
            parameters = {"tenant": "00000000-0000-4000-8000-0000000abcde", "user": "u", "type": "t", "resource": None, "message": message, "metadata": None}
            cursor.execute(f"SELECT {WORDS}", parameters)
            lexemes = cursor.fetchone()[0]
            assert {lexeme[6 : 6 + MAX_LEXEME] for lexeme in lexemes} >= {word[:MAX_LEXEME] for word in words_of(entry_text("u", "t", None, message, None))}
