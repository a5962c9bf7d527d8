"""Entries with secrets in them, and entries that only look so. Made by us and always the same.

A secret here is of the right form, with the right check digits, and obviously nobody's: it says EXAMPLE, counts up, or is made of a hash of
its number. Each kind is put into several places: a sentence, the user agent, nested metadata, JSON within a string, a parameter of an
address, a form. `secret` is the whole value that may be found nowhere after masking. Look-alikes are what logs are full of: identifiers,
digests, numbers of orders, dates, names of settings, sentences that speak of passwords.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

Fields = dict[str, Any]
Place = Callable[[str], Fields]


@dataclass(frozen=True)
class Sample:
    """One entry's fields. `secret` is empty for a look-alike."""

    name: str
    fields: Fields = field(hash=False)
    secret: str = ""


def letters(number: int, size: int, alphabet: str = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789") -> str:
    """Always the same `size` characters for a number, with digits and letters of both cases among them."""
    digest = hashlib.shake_256(f"made for tests {number}".encode()).digest(size)
    return "".join(alphabet[byte % len(alphabet)] for byte in digest)


def hexadecimal(number: int, size: int) -> str:
    return hashlib.shake_256(f"digest {number}".encode()).hexdigest(size // 2)


def with_luhn(digits: str) -> str:
    """The digits and their check digit."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit)
        if place % 2 == 0:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return digits + str(-total % 10)


def iban(country: str, bban: str) -> str:
    rest = int("".join(str(int(character, 36)) for character in bban + country + "00"))
    return f"{country}{98 - rest % 97:02d}{bban}"


def groups_of_four(text: str) -> str:
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def jwt(number: int) -> str:
    header = base64url(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    claims = base64url(json.dumps({"sub": f"example-{number}", "iat": 1_700_000_000 + number}).encode())
    return f"{header}.{claims}.{base64url(hashlib.sha256(str(number).encode()).digest())}"


def private_key(number: int, kind: str = "") -> str:
    lines = "\n".join(letters(number * 10 + line, 64) for line in range(3))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----"


# -- secrets by their form -----------------------------------------------------------------------------------------

BY_FORM: dict[str, str] = {
    "visa": with_luhn("400000000000000"),
    "visa in groups": groups_of_four(with_luhn("411122223333444")),
    "mastercard": with_luhn("555500001111222"),
    "mastercard with hyphens": groups_of_four(with_luhn("222300004444555")).replace(" ", "-"),
    "american express": with_luhn("34000011112222"),
    "american express in groups": "3700 001111 " + with_luhn("37000011112222")[10:],
    "discover": with_luhn("601100001111222"),
    "jcb": with_luhn("352800001111222"),
    "diners": with_luhn("3600001111222"),
    "unionpay": with_luhn("620000001111222233"),
    "iban de": iban("DE", "000000000012345678"),
    "iban de in groups": groups_of_four(iban("DE", "123400000000567890")),
    "iban gb": iban("GB", "TEST00000012345678"),
    "iban fr": iban("FR", "00000000000000EXAMPLE00"),
    "iban nl": iban("NL", "TEST0000012345"),
    "iban no": iban("NO", "00001234567"),
    "e-mail": "ada.example@mail.example.com",
    "e-mail with a tag": "grace+audit@example.co.uk",
    "e-mail of a subdomain": "o'neil_42@eu.corp.example.org",
    "e-mail in another script": "jürgen@münchen-beispiel.de",
    "jwt": jwt(1),
    "jwt, other": jwt(2),
    "aws key id": "AKIA" + letters(3, 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
    "aws session key id": "ASIA" + letters(4, 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
    "google": "AIza" + letters(5, 35),
    "google oauth": "ya29." + letters(6, 60),
    "github": "ghp_" + letters(7, 36),
    "github app": "ghs_" + letters(8, 36),
    "github fine-grained": "github_pat_" + letters(9, 22) + "_" + letters(10, 59),
    "gitlab": "glpat-" + letters(11, 20),
    "slack bot": "xoxb-" + "1234567890-" + letters(12, 24),
    "slack user": "xoxp-" + letters(13, 40),
    "stripe live": "sk_" + "live_" + letters(14, 24),
    "stripe restricted": "rk_" + "live_" + letters(15, 24),
    "ours": "alk_" + letters(16, 12, "abcdefghij0123456789") + "_" + letters(17, 43),
    "npm": "npm_" + letters(18, 36),
    "sendgrid": "SG." + letters(19, 22) + "." + letters(20, 43),
    "twilio": "SK" + hexadecimal(21, 32),
    "openai": "sk-proj-" + letters(22, 48),
    "anthropic": "sk-ant-" + "api03-" + letters(23, 40),
    "digitalocean": "dop_v1_" + hexadecimal(24, 64),
    "shopify": "shpat_" + hexadecimal(25, 32),
    "vault": "hvs." + letters(26, 28),
    "hugging face": "hf_" + letters(27, 34),
    "telegram": "1234567890:AA" + letters(28, 33),
}
# Text around a secret that tells what it is.
IN_CONTEXT: dict[str, tuple[str, str]] = {
    "bearer": ("Bearer {}", "EXAMPLE" + letters(40, 30)),
    "bearer, short": ("bearer {}", "example1token2"),
    "basic": ("Basic {}", base64.b64encode(b"example:Pa55-word-41").decode()),
    "connection string": ("postgresql://auditor:{}@db.example.com:5432/log", "Ex4mple-Pa55"),
    "connection string, redis": ("redis://:{}@cache.example.com/0", "Ex4mple-Redis"),
    "connection string, mongo": ("mongodb+srv://admin:{}@cluster0.example.net/db?retryWrites=true", "Ex4mpleMongo"),
    "azure sas": ("https://example.blob.core.windows.net/c/f?sv=2023-01-01&sig={}", quote(base64.b64encode(hashlib.sha256(b"sas").digest()).decode(), safe="")),
    "azure account key": ("DefaultEndpointsProtocol=https;AccountName=example;AccountKey={}", base64.b64encode(hashlib.sha512(b"az").digest()).decode()),
    "aws secret key": ("aws_secret_access_key = {}", letters(42, 40)),
    "aws secret key, said": ("the secret access key is {}", letters(43, 40)),
    "slack webhook": ("https://hooks.slack.com/services/{}", f"T{letters(44, 8)}/B{letters(45, 8)}/{letters(46, 24)}"),
    "private key": ("{}", private_key(47)),
    "private key, rsa": ("key: {}", private_key(48, "RSA ")),
    "private key, openssh": ("{}", private_key(49, "OPENSSH ")),
    "pair": ("login failed for ada password={} from 10.0.0.7", "Ex4mple!50"),
    "pair with colon": ("Password: {}", "Swordfish51"),
    "pair, quoted": ('config password="{}" loaded', "two words 52"),
    "pair, single quotes": ("passwd='{}'", "Ex4mple-53"),
    "pair of json in a sentence": ('request body was {{"user": "ada", "password": "{}"}} as sent', "Ex4mple-54"),
    "pair of escaped json": ('payload="{{\\"client_secret\\":\\"{}\\"}}"', "Ex4mple-55"),
    "api key with colon": ("API key: {}", "EXAMPLE-56-abc"),
    "header": ("X-Api-Key: {}", "EXAMPLE-57-abc"),
    "authorization header": ("Authorization: Digest {}", 'username="ada"'.replace('"', "") + "-Ex4mple-58"),
    "cookie header": ("Cookie: theme=dark; sid={}", "Ex4mple-59-abc"),
    "set-cookie header": ("Set-Cookie: session={}; HttpOnly; Secure", "Ex4mple-60-abc"),
    "flag": ("deploy --token {} --verbose", "Ex4mple-61"),
    "flag with equals": ("mysql --password={} -u root", "Ex4mple-62"),
    "xml": ("<login><user>ada</user><password>{}</password></login>", "Ex4mple-63"),
    "said": ("My password is {}, please reset it", "Ex4mple64"),
    "yaml": ("db:\n  user: ada\n  password: {}\n", "Ex4mple-65"),
    "environment": ("export SECRET_KEY={}", "EXAMPLE66"),
    "environment, quoted": ("DB_PASS='{}'", "Ex4mple-67"),
    "query string": ("GET /callback?access_token={}&state=xyz HTTP/1.1", "EXAMPLE-68-abc"),
    "query string, encoded name": ("GET /callback?access%5Ftoken={}&state=xyz", "EXAMPLE-69-abc"),
    "fragment": ("https://app.example.com/#id_token={}&expires_in=3600", "EXAMPLE-70-abc"),
    "form": ("grant_type=password&username=ada&password={}", "Ex4mple-71"),
    "form, nested name": ("user%5Blogin%5D=ada&user%5Bpassword%5D={}", "Ex4mple-72"),
    "address in an address": ("https://sso.example.com/?next=https%3A%2F%2Fapp.example.com%2F%3Fapi_key%3D{}", "EXAMPLE-73-abc"),
    "comma list": ("user=ada,password={},host=db", "Ex4mple-74"),
    "arrow": ('"token" => "{}"', "EXAMPLE-75-abc"),
    "otp": ("one-time code sent, otp: {}", "482 913".replace(" ", "")),
    "cvv": ("cvv={} exp=12/30", "917"),
    "ssn": ("ssn: {}", "078-05-1120"),
}

# -- secrets by their key ------------------------------------------------------------------------------------------

KEYS: dict[str, Any] = {
    "password": "Ex4mple-100", "Password": "Ex4mple-101", "user_password": "Ex4mple-102", "newPassword": "Ex4mple-103", "PASSWORD": "Ex4mple-104",
    "db-password": "Ex4mple-105", "password2": "Ex4mple-106", "passwd": "Ex4mple-107", "pwd": "Ex4mple-108", "userPwd": "Ex4mple-109",
    "passphrase": "correct horse battery 110", "secret": "Ex4mple-111", "client_secret": "Ex4mple-112", "clientSecret": "Ex4mple-113",
    "webhook.secret": "Ex4mple-114", "token": "Ex4mple-115", "access_token": "Ex4mple-116", "accessToken": "Ex4mple-117",
    "ACCESS-TOKEN": "Ex4mple-118", "refresh_token": "Ex4mple-119", "id_token": "Ex4mple-120", "sessionToken": "Ex4mple-121", "csrfToken": "Ex4mple-122",
    "api_key": "Ex4mple-123", "apikey": "Ex4mple-124", "X-API-Key": "Ex4mple-125", "stripeApiKey": "Ex4mple-126", "secret_key": "Ex4mple-127",
    "AWS_SECRET_ACCESS_KEY": "Ex4mple-128", "private_key": "Ex4mple-129", "encryptionKey": "Ex4mple-130", "Authorization": "Ex4mple-131",
    "proxy-authorization": "Ex4mple-132", "Cookie": "sid=Ex4mple-133", "set-cookie": "sid=Ex4mple-134", "credentials": "ada:Ex4mple-135",
    "otp": "135791", "mfa_code": "246802", "pin": "97531", "card_pin": "86420", "cvv": "917", "cvc2": "826", "ssn": "078-05-1120",
    "card_number": "4000 1234 5678 9017", "iban": "XX00 1234 5678 9012", "passport_number": "C01X00T47", "recoveryCodes": "ab12-cd34-ef56",
    "jwt": "Ex4mple-137", "passwordHash": "$2b$12$exampleexampleexample138", "connect.sid": "s%3AEx4mple-139", "signing_key": "Ex4mple-140",
}  # fmt: skip


def in_sentence(text: str) -> Fields:
    return {"message": f"Called with {text} at noon"}


def as_user_agent(text: str) -> Fields:
    return {"user_agent": f"example-client/1.0 ({text})"}


def nested(text: str) -> Fields:
    return {"metadata": {"request": {"steps": [{"id": 7, "detail": text}]}}}


def in_json_string(text: str) -> Fields:
    return {"before": {"payload": json.dumps({"a": [1, {"note": text}]})}}


def in_json_string_in_json_string(text: str) -> Fields:
    return {"after": {"payload": json.dumps({"inner": json.dumps({"note": text})})}}


def in_parameter(text: str) -> Fields:
    return {"metadata": {"url": f"https://shop.example.com/search?q={quote(text, safe='')}&page=2"}}


def in_form(text: str) -> Fields:
    return {"metadata": {"body": f"page=2&q={quote_plus(text)}"}}


def as_key(text: str) -> Fields:
    return {"metadata": {"seen": {text: 3}}}


PLACES: tuple[Place, ...] = (in_sentence, as_user_agent, nested, in_json_string, in_json_string_in_json_string, in_parameter, in_form)


def secrets() -> Iterator[Sample]:
    """Entries with a secret each."""
    for number, (name, secret) in enumerate(BY_FORM.items()):
        chosen = [PLACES[(number + step) % len(PLACES)] for step in range(3)]
        for place in (nested, *(place for place in chosen if place is not nested)):
            yield Sample(f"{name}, {place.__name__}", place(secret), secret)
        if number % 5 == 0:
            yield Sample(f"{name}, as_key", as_key(secret), secret)
    for name, (context, secret) in IN_CONTEXT.items():
        text = context.format(secret)
        for place in (lambda text: {"message": text}, nested, in_json_string):
            yield Sample(f"{name}, {place.__name__}", place(text), secret)
    for number, (key, secret) in enumerate(KEYS.items()):
        yield Sample(f"key {key}", {"metadata": {key: secret}}, secret)
        forms: tuple[Fields, ...] = (
            {"before": {"users": [{"id": 1, key: secret}]}},
            {"after": {"body": json.dumps({"data": {key: secret}})}},
            {"metadata": {"headers": [{"name": key, "value": secret}]}},
            {"metadata": {"changes": [{"field": key, "old": "x", "new": secret}]}},
            {"metadata": {key: {"deep": [secret]}}} if key.lower() in ("password", "secret", "credentials") else {"metadata": {"a.b": {key: secret}}},
        )
        yield Sample(f"key {key}, {number % 5}", forms[number % len(forms)], secret)
        yield Sample(f"key {key}, {(number + 2) % 5}", forms[(number + 2) % len(forms)], secret)
    number = int(with_luhn("400055556666777"))
    yield Sample("card number as a number", {"metadata": {"n": number}}, str(number))
    yield Sample("pin as a number", {"metadata": {"pin": 97_531}}, "97531")
    yield Sample("key with escapes in JSON in a string", {"metadata": {"body": '{"p\\u0061ssword": "Ex4mple-200"}'}}, "Ex4mple-200")


# -- look-alikes ---------------------------------------------------------------------------------------------------


def _without_luhn(prefix: str, number: int) -> str:
    """16 digits that begin like a card's and whose check digit is wrong."""
    right = with_luhn(prefix + f"{number * 7919 % 10 ** (15 - len(prefix)):0{15 - len(prefix)}d}")
    return right[:-1] + str((int(right[-1]) + 3) % 10)


HARMLESS_TEXTS: tuple[str, ...] = (
    *(str(uuid.UUID(bytes=hashlib.md5(str(number).encode(), usedforsecurity=False).digest(), version=4)) for number in range(25)),
    *(hexadecimal(number, size) for size in (32, 40, 64) for number in range(8)),
    *(_without_luhn(prefix, number) for prefix in ("4", "51", "6011") for number in range(1, 9)),
    *(with_luhn(f"{prefix}{number:014d}") for prefix in ("9", "1", "7") for number in range(1, 6)),
    *(iban("DE", f"{number:018d}")[:2] + "00" + f"{number:018d}" for number in range(1, 6)),
    *(iban("GB", f"TEST{number:014d}")[:-1] for number in range(1, 4)),
    "v1.24.3-rc.1+build.20260131", "10.4.2", "lodash@4.17.21", "icon@2x.png", "@media screen", "alice@host", "a@b", "@ada mentioned you", "user@localhost",
    "git@github.com:example/project.git", "npm install @types/node@20", "2026-01-31T12:00:00.123456Z", "2026-01-31 12:00:00", "31.01.2026", "1700000000000",
    "1700000000000000", "1700000000000000000", "+49 30 1234567890", "+1 (555) 010-9999", "0049 151 23456789", "tel:+442079460000",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk", "dGhpcyBpcyBvbmx5IHRleHQgYW5kIG5vIHNlY3JldA==",
    "Sign-in failed: wrong password", "The password was changed", "password: required", "Password: must be at least 12 characters", "password policy updated",
    "Forgot your password?", "token: expired", "Token expired", "token is missing", "bearer authentication is required", "Basic authentication disabled",
    "basic subscription", "The secret to success is patience", "secret: invalid", "API key: missing", "Authorization: required", "cookie consent was given",
    "session expired after 30 minutes", "pin: unknown", "otp: expired", "the pin was wrong", "password reset link sent", "2 tokens used", "max_tokens=4096",
    "token_type=Bearer&expires_in=3600", "page_token=abc123", "nextToken=eyJhbGci", "https://example.com/reset-password?step=2",
    "https://example.com/docs/tokens#token-types", "https://example.com/a/b?utm_source=mail&page=2", "https://example.com:8443/path", "https://[2001:db8::1]/x",
    "arn:aws:secretsmanager:us-east-1:111122223333:secret:service-12", "arn:aws:iam::111122223333:user/ada", "projects/example/secrets/db/versions/3",
    "s3://bucket/key/with/parts", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE ada", "-----BEGIN CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----", "sha256:" + hexadecimal(900, 64), "sk-learn-contrib", "SG.1 is a release", "AKIA is a prefix", "eyJ is how they begin",
    "a.b.c", "www.example.com", "1.2.3.4", "2001:db8::ff00:42:8329", "AA:BB:CC:DD:EE:FF", "4111", "4111 1111", "12:34:56", "order 2026-0000-1234-5678-9012",
    "4000-0000-0000-0000-0000", "1234 5678 9012 3456", "0.4111111111111111", "3.141592653589793", "tracking 1Z999AA10123456784", "ISBN 978-3-16-148410-0",
    "EAN 4006381333931", "IMEI 490154203237518 of a phone", "VIN WVWZZZ1JZXW000001", "DE is a country", "DE12", "GB2312 encoding", "GET /api/v1/logs?limit=50",
    "SELECT * FROM users WHERE id = 7", "user=ada action=login result=ok", "key=value", "a=1&b=2&c=3", "Compass", "passenger: Ada", "tokenizer=bpe",
    "keyboard: qwertz", "spin: up", "japan=1", "opinion: good", "shopping: list", "secretary: Grace", "authorization_status=approved", "authorized: yes",
    "author: Ada Lovelace", "passed: 12, failed: 0", "bypass=enabled", "monkey: banana", "turkey=1", "hockey: 3-2", "primary key (id)", "foreign key: users.id",
    "{not json}", "[1, 2, 3]", '{"a": 1}', '{"status": "ok", "items": []}', "100% of users", "50%25", "%d items", "caf%C3%A9",
    "https://example.com/caf%C3%A9?q=a%20b",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36", "okhttp/4.12.0", "curl/8.5.0",
)  # fmt: skip
HARMLESS_KEYS: dict[str, Any] = {
    "token_type": "Bearer", "tokenType": "Bearer", "token_count": 512, "max_tokens": 4096, "maxTokens": "4096", "total_tokens": 77, "tokens": 12,
    "password_changed": True, "password_changed_at": "2026-01-31T12:00:00Z", "passwordPolicy": "strong", "password_policy": {"min": 12},
    "password": None, "passwords": [], "has_password": True, "requirePassword": "yes", "password_length": 12, "password_strength": "weak",
    "secret_name": "db/main", "secretArn": "arn:aws:secretsmanager:x", "secret_version": "3", "is_secret": True, "secret": False,
    "pagination_token": "abc123", "next_token": "abc123", "nextPageToken": "abc123", "continuation_token": "abc123", "clientRequestToken": "abc123",
    "idempotency_token": "abc123", "stop_token": "abc", "authorization_status": "approved", "authorized": "yes", "author": "Ada", "authority": "example.com",
    "key": "value", "keys": ["a", "b"], "key_id": "k-7", "keyId": "k-7", "api_key_id": "k-7", "access_key_id": "k-7",
    "public_key": "ssh-ed25519 AAAA", "primary_key": "id",
    "sort_key": "name", "partition_key": "tenant", "foreign_key": "user_id", "key_type": "ed25519", "cookie_consent": "all", "cookie_policy": "v2",
    "cookies_enabled": True, "session_id": "s-1", "session": "s-1", "sessions": 3, "card": "business", "card_type": "visa", "card_brand": "visa",
    "cardholder": "A. Lovelace",
    "last4": "4242", "credit": 120, "pin_length": 4, "pinned": True, "spin": "up", "pincode": "110001", "option": "a", "otp_enabled": True, "otp_length": 6,
    "passed": 12, "pass_count": 3, "pass": 12, "passenger": "Ada", "compass": "north", "bypass": "none", "credential_type": "password", "credential_id": "c-1",
    "mfa": "totp", "mfa_method": "sms", "verification_status": "done", "ssn_present": True, "iban_country": "DE", "company": "Example",
    "japan": "x", "order_number": 4000000000000001,
    "snowflake": 175928847299117063, "nanoseconds": 1700000000123456789, "amount": 1234567890.12, "count": 9007199254740991, "type": "password",
    "field": "password",
    "changed": ["password", "token"], "grant_type": "password", "auth_method": "password", "scope": "token:read", "reason": "password expired",
}  # fmt: skip


def look_alikes() -> Iterator[Sample]:
    """Entries without a secret."""
    places = (lambda text: {"message": text}, nested, in_json_string, in_parameter)
    for number, text in enumerate(HARMLESS_TEXTS):
        yield Sample(f"text {text[:40]!r}", places[0](text))
        place = places[1 + number % 3]
        # A sentence is no parameter's value: there it would be one.
        yield Sample(f"text {text[:40]!r}, {place.__name__}", place(text))
    for key, value in HARMLESS_KEYS.items():
        yield Sample(f"key {key}", {"metadata": {key: value}})
        yield Sample(f"key {key}, in JSON in a string", {"after": {"body": json.dumps({"data": {key: value}})}})
