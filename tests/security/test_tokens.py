"""Forged, borrowed and worn-out tokens: each is refused at every door, gives nothing away and changes nothing."""

from __future__ import annotations

import base64
import datetime
import functools
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from accounts.models import Tenant, TokenFamily, User
from accounts.principals import cache
from accounts.tokens import key_set, token_keys
from tests.api import LOGS, Api, assert_refused, entry, stored_count
from tests.signing_in import JWKS, REFRESH, SIGN_OUT, VERIFY, many_attempts, new_user, refresh, sign_in
from tests.storing import new_tenant, store
from tests.unit.accounts.test_token_keys import pem

Claims = dict[str, Any]
SOON = datetime.timedelta(minutes=5)


def signed(claims: Claims, key: Any = None, algorithm: str = "EdDSA", **header: Any) -> str:
    """A token by our own key, if no other is given; `header` on top of what ours have."""
    typ = "rt+jwt" if claims.get("token_type") == "refresh" else "at+jwt"
    return jwt.encode(claims, key or token_keys().signing, algorithm, headers={"kid": token_keys().key_id, "typ": typ} | header)


def by_hand(header: Claims, claims: Claims, signature: bytes = b"") -> str:
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (json.dumps(header).encode(), json.dumps(claims).encode(), signature))


def by_public_key(claims: Claims, secret: bytes) -> str:
    """HMAC with what everybody knows: the key confusion that fooled verifiers who let the header choose."""
    text = by_hand({"alg": "HS256", "kid": token_keys().key_id, "typ": "at+jwt"}, claims).rpartition(".")[0]
    signature = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def at(seconds: float) -> int:
    return int((datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)).timestamp())


def without(claims: Claims, name: str) -> Claims:
    return {other: value for other, value in claims.items() if other != name}


def jwk_of(key: Ed25519PrivateKey) -> Claims:
    x = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": x}


MALLORYS = Ed25519PrivateKey.generate()
PUBLIC_FORMS: dict[str, Callable[[], bytes]] = {
    "its PEM": lambda: token_keys().signing.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "its bytes": lambda: token_keys().signing.public_key().public_bytes_raw(),
    "its x": lambda: str(key_set()["keys"][0]["x"]).encode(),
    "its set": lambda: json.dumps(key_set()).encode(),
    "nothing": lambda: b"",
}


def _by_form(name: str, claims: Claims) -> str:
    return by_public_key(claims, PUBLIC_FORMS[name]())


FORGED: dict[str, Callable[[Claims], str]] = {
    "no signature": lambda claims: by_hand({"alg": "none", "typ": "JWT"}, claims),
    "no signature, in our form": lambda claims: by_hand({"alg": "none", "kid": token_keys().key_id, "typ": "at+jwt"}, claims),
    "none, written oddly": lambda claims: by_hand({"alg": "nOnE", "kid": token_keys().key_id, "typ": "at+jwt"}, claims),
    "an empty signature": lambda claims: by_hand({"alg": "EdDSA", "kid": token_keys().key_id, "typ": "at+jwt"}, claims),
    "a signature of zeros": lambda claims: by_hand({"alg": "EdDSA", "kid": token_keys().key_id, "typ": "at+jwt"}, claims, b"\0" * 64),
    "another key": lambda claims: signed(claims, MALLORYS),
    "another key under its own name": lambda claims: signed(claims, MALLORYS, kid=jwk_of(MALLORYS)["x"]),
    "another key in the header": lambda claims: signed(claims, MALLORYS, jwk=jwk_of(MALLORYS)),
    "another key at an address": lambda claims: signed(claims, MALLORYS, jku="https://mallory.example/jwks.json"),
    "another key in a certificate": lambda claims: signed(claims, MALLORYS, x5u="https://mallory.example/a.pem", x5c=["MIIB"]),
    "an address, by our own key": lambda claims: signed(claims, jku="https://mallory.example/jwks.json"),
    "something critical": lambda claims: signed(claims, crit=["exp"]),
    "RS256": lambda claims: signed(claims, rsa.generate_private_key(65537, 2048), "RS256"),
    "ES256": lambda claims: signed(claims, ec.generate_private_key(ec.SECP256R1()), "ES256"),
    "no kid": lambda claims: jwt.encode(claims, token_keys().signing, "EdDSA", headers={"typ": "at+jwt"}),
    "an unknown kid": lambda claims: signed(claims, kid="unknown"),
    "a kid that is a path": lambda claims: signed(claims, kid="../../../../dev/null"),
    "a kid that is SQL": lambda claims: signed(claims, kid="' OR 1=1 --"),
    "a kid that is empty": lambda claims: signed(claims, kid=""),
    "another type": lambda claims: signed(claims, typ="JWT"),
    "a refresh token's type": lambda claims: signed(claims, typ="rt+jwt"),
    "a refresh token of the type of an access token": lambda claims: signed(claims | {"token_type": "refresh"}, typ="at+jwt"),
    "no kind": lambda claims: signed(without(claims, "token_type")),
    "a kind that is a list": lambda claims: signed(claims | {"token_type": ["access"]}),
    "expired": lambda claims: signed(claims | {"exp": at(-60)}),
    "no expiry": lambda claims: signed(without(claims, "exp")),
    "an expiry that is a text": lambda claims: signed(claims | {"exp": "tomorrow"}),
    "not yet valid": lambda claims: signed(claims | {"nbf": at(600)}),
    "issued in the future": lambda claims: signed(claims | {"iat": at(600)}),
    "another audience": lambda claims: signed(claims | {"aud": "elsewhere"}),
    "no audience": lambda claims: signed(without(claims, "aud")),
    "another issuer": lambda claims: signed(claims | {"iss": "elsewhere"}),
    "no issuer": lambda claims: signed(without(claims, "iss")),
    "no id": lambda claims: signed(without(claims, "jti")),
    "no family": lambda claims: signed(without(claims, "family")),
    "a family that is none": lambda claims: signed(claims | {"family": "1"}),
    "a family that is a number": lambda claims: signed(claims | {"family": 1}),
    "an unknown family": lambda claims: signed(claims | {"family": str(uuid.uuid4())}),
    "no user": lambda claims: signed(without(claims, "user_id")),
    "a user that is none": lambda claims: signed(claims | {"user_id": "0"}),
    "a user that is no number": lambda claims: signed(claims | {"user_id": {"gt": 0}}),
    "another password": lambda claims: signed(claims | {"hash_password": "0" * 32}),
    "too long": lambda claims: signed(claims | {"more": "x" * 5000}),
    **{f"HMAC with {name} of our public key": functools.partial(_by_form, name) for name in PUBLIC_FORMS},
}


@pytest.fixture(autouse=True)
def _many_attempts() -> Iterator[None]:
    with many_attempts():
        yield


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture
def audrey(tenant: Tenant) -> User:
    return new_user(tenant)


def claims_of(token: str) -> Claims:
    found: Claims = jwt.decode(token, options={"verify_signature": False})
    return found


@pytest.mark.parametrize("how", FORGED)
def test_forged_token_is_refused(tenant: Tenant, audrey: User, how: str) -> None:
    id = store(tenant, [{}])[0]
    before = stored_count(tenant)
    forged = FORGED[how](claims_of(sign_in(audrey)["access"]))
    answers = [
        Api(forged).get(LOGS),
        Api(forged).get(f"{LOGS}/{id}"),
        Api(forged).post(LOGS, entry()),
        Api(forged).get("/api/v1/auth/me"),
        Api(None).post(VERIFY, {"token": forged}),
    ]
    for answer in answers:
        assert_refused(answer, 401, "invalid_token")
        assert id not in answer.content.decode()
        assert audrey.username not in answer.content.decode()
    for path in (REFRESH, SIGN_OUT):
        assert_refused(Api(None).post(path, {"refresh": forged}), 401, "not_authenticated")
    assert stored_count(tenant) == before
    assert TokenFamily.objects.get(user=audrey).ended_at is None


def test_what_is_forged_from_is_good_as_it_is(audrey: User) -> None:
    """Or the refusals above would prove nothing."""
    claims = claims_of(sign_in(audrey)["access"])
    assert Api(signed(claims)).get(LOGS).status_code == 200


def test_another_user_can_not_be_written_into_a_token(tenant: Tenant, audrey: User) -> None:
    header, _, signature = sign_in(audrey)["access"].split(".")
    claims = claims_of(sign_in(audrey)["access"]) | {"user_id": str(new_user(tenant).pk)}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    assert_refused(Api(f"{header}.{body}.{signature}").get(LOGS), 401, "invalid_token")
    # Even by our own key: a family is one person's.
    assert_refused(Api(signed(claims | {"hash_password": claims["hash_password"]})).get(LOGS), 401, "invalid_token")


def test_access_token_is_no_refresh_token_and_the_other_way_round(audrey: User) -> None:
    tokens = sign_in(audrey)
    assert_refused(refresh(tokens["access"]), 401, "not_authenticated")
    assert_refused(Api(tokens["refresh"]).get(LOGS), 401, "invalid_token")
    assert_refused(Api(None).post(VERIFY, {"token": tokens["refresh"]}), 401, "invalid_token")
    assert refresh(tokens["refresh"]).status_code == 200


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "e30.e30.", "\u00e9.\u00e9.\u00e9", "x" * 10_000, "alk", "null", "[]", "eyJhbGciOiJFZERTQSJ9.e30.AA"])
def test_what_is_no_token_at_all_is_refused(text: str) -> None:
    answer = Api(None).post(VERIFY, {"token": text})
    if text:
        assert_refused(answer, 401, "invalid_token")
        assert_refused(refresh(text), 401, "not_authenticated")
    else:
        assert_refused(answer, 422, "invalid", pointer="/token")


def test_keys_are_published_and_verify(audrey: User) -> None:
    access = sign_in(audrey)["access"]
    for path in (JWKS, "/.well-known/jwks.json"):
        answer = Api(None).get(path)
        assert (answer.status_code, answer["Cache-Control"]) == (200, "public, max-age=300")
        keys = jwt.PyJWKSet.from_dict(answer.json())
        verified = jwt.decode(access, keys[jwt.get_unverified_header(access)["kid"]], ["EdDSA"], audience="auditlog", issuer="auditlog")
        assert verified["user_id"] == str(audrey.pk)
        assert '"d"' not in answer.content.decode()


def test_old_key_verifies_until_it_is_taken_out(audrey: User, settings: Any) -> None:
    old = settings.AUDITLOG_TOKEN_KEY
    new = pem(Ed25519PrivateKey.generate())
    access = sign_in(audrey)["access"]
    settings.AUDITLOG_TOKEN_KEY = f"{new}\n{old}"
    cache.clear()
    assert Api(access).get(LOGS).status_code == 200
    assert jwt.get_unverified_header(sign_in(audrey)["access"])["kid"] == token_keys().key_id
    settings.AUDITLOG_TOKEN_KEY = new
    cache.clear()
    assert_refused(Api(access).get(LOGS), 401, "invalid_token")
