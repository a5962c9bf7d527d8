"""Key rules: which names say that a secret follows.

A name is written here as its words, `access token`, and means access_token, accessToken, ACCESS-TOKEN, access.token and accesstoken. One
regular expression of it serves twice: to match a key, and, without its ends, as a part of the pre-filter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_BETWEEN_WORDS = "[-_. ]*"
# A name at the end of a path (config.db.pass, user[pin]) or with a prefix that says nothing (x-pin) is that name.
_PATH = r"(?:.*[^A-Za-z0-9])?"
# Behind it a number of one or two digits may follow (password2), and what brackets and quotes it.
_END = r"[-_. ]*[0-9]{0,2}[^A-Za-z0-9\-_. ]*"
_HINT_END = r"(?: |[-_. ]*[0-9]{0,2}(?:[^A-Za-z0-9\-_. ]|$))"
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def pattern_of_words(name: str) -> str:
    """The RE2 pattern of a name written as its words."""
    return _BETWEEN_WORDS.join(re.escape(word) for word in name.split())


def words_in(key: str) -> list[str]:
    """The words of a key, in lower case: `maxTokens_used` are max, tokens, used."""
    return [word.lower() for word in _WORD.findall(key)]


@dataclass(frozen=True, slots=True)
class Names:
    """Names of one rule. `endings` count at the end of any key, `words` as its last whole word, `wholes` as all of it.

    `is_harmless(key)`: the key has such a name and is known to hold no secret. `has_secret(value)`: may the value be one?
    """

    endings: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    wholes: tuple[str, ...] = ()
    is_harmless: Callable[[str], bool] = lambda key: False
    has_secret: Callable[[Any], bool] = lambda value: True

    def key_pattern(self) -> str:
        """An RE2 pattern that matches the whole of such a key."""
        options = [".*" + pattern_of_words(name) for name in self.endings]
        options += [_PATH + pattern_of_words(name) for name in self.wholes]
        for name in self.words:
            body = pattern_of_words(name)
            camel = f"[a-z0-9](?-i:{body[0].upper()}{body[1:]})"
            options += [_PATH + body, ".*" + camel]
        return f"(?s)^(?i:{'|'.join(options)}){_END}$" if options else r"^\b$"

    def hint(self) -> str:
        """An RE2 pattern that matches any JSON or text that has such a key."""
        return f"(?i:{'|'.join(pattern_of_words(name) for name in (*self.endings, *self.words, *self.wholes))}){_HINT_END}"


_UNCOUNTED = {"has", "is", "max", "min", "num", "count", "total", "require", "requires", "required", "needs", "use", "uses", "allow", "allows", "show", "hide"}
# Tokens that stand for a place in a list, a request or a word, and open nothing.
_PLACES = {
    "next", "prev", "previous", "page", "pagination", "paging", "continuation", "continue", "cursor", "sync", "resume", "start", "end", "stop", "eos",
    "bos", "pad", "unk", "mask", "sep", "design", "idempotency", "marker", "delta", "skip", "scroll", "prompt", "completion", "input", "output",
}  # fmt: skip


def _is_setting(key: str) -> bool:
    words = words_in(key)
    return len(words) > 1 and words[0] in _UNCOUNTED


def _is_place(key: str) -> bool:
    words = words_in(key)
    return _is_setting(key) or (len(words) > 1 and words[-2] in _PLACES) or words[-3:] == ["client", "request", "token"]


def is_text_like(value: Any) -> bool:
    """Whatever is no number."""
    return not isinstance(value, int | float) and not hasattr(value, "as_tuple")


def _digits_in(value: Any) -> int:
    return sum(character.isdigit() for character in str(value))


PASSWORDS = Names(
    endings=(
        "password", "passwords", "passwd", "passphrase", "pass phrase", "passcode", "password hash", "passwd hash", "password salt", "password digest",
        "pass word", "kennwort", "passwort", "mot de passe", "contraseña",
    ),
    words=("pwd", "pwd hash", "db pass", "user pass", "smtp pass", "ftp pass", "mail pass", "email pass", "admin pass", "root pass", "login pass",
           "redis pass", "mysql pass", "pg pass", "postgres pass", "proxy pass", "ldap pass", "mongo pass", "auth pass"),
    is_harmless=_is_setting,
)  # fmt: skip
SECRETS = Names(
    endings=(
        "api key", "api keys", "access key", "secret key", "secret access key", "private key", "signing key", "encryption key", "master key",
        "shared key", "shared access key", "hmac key", "account key", "subscription key", "session key", "service account key", "deploy key",
        "client secret", "app secret", "consumer secret", "webhook secret", "shared secret", "api secret", "secrets", "credential", "credentials",
        "seed phrase", "recovery phrase", "mnemonic phrase", "private key pem", "key material", "client assertion", "saml response",
    ),
    words=("secret", "creds"),
    # Of tests, as a number.
    wholes=("pass",),
    is_harmless=_is_setting,
    has_secret=is_text_like,
)  # fmt: skip
TOKENS = Names(
    endings=(
        "access token", "refresh token", "id token", "auth token", "session token", "security token", "bearer token", "api token", "csrf token",
        "xsrf token", "access tokens", "refresh tokens", "api tokens", "xamz signature", "x amz signature", "x goog signature",
    ),
    words=("token", "jwt", "bearer"),
    wholes=("php sess id", "j session id", "connect sid"),
    is_harmless=_is_place,
    has_secret=is_text_like,
)  # fmt: skip
HEADERS = Names(
    endings=("authorization", "proxy authorization", "set cookie", "authorization header", "auth header", "cookie header", "session cookie", "auth cookie"),
    words=("cookie", "cookies"),
    has_secret=is_text_like,
    is_harmless=_is_setting,
)  # fmt: skip
ONE_TIME_CODES = Names(
    endings=(
        "otp code", "mfa code", "totp code", "verification code", "one time code", "one time password", "two factor code", "recovery code",
        "recovery codes", "backup code", "backup codes", "auth code", "authorization code", "totp secret", "otp secret", "sms code", "2fa code",
    ),
    words=("pin", "otp", "totp", "puk"),
    is_harmless=_is_setting,
)  # fmt: skip
CARD_CODES = Names(
    endings=("card verification value", "card verification code", "card security code", "track data", "magstripe", "card pin"),
    words=("cvv", "cvc", "cvn"),
    wholes=("csc", "track"),
    has_secret=lambda value: 3 <= _digits_in(value) and not isinstance(value, dict | list),
)  # fmt: skip
CARD_NUMBERS = Names(
    endings=("card number", "card num", "card no", "cc number", "cc num", "credit card", "debit card", "primary account number"),
    words=("pan",),
    wholes=("ccn",),
    has_secret=lambda value: 9 <= _digits_in(value) and not isinstance(value, dict | list),
)  # fmt: skip
IBANS = Names(words=("iban",), has_secret=lambda value: isinstance(value, str) and 8 <= _digits_in(value))
NATIONAL_IDS = Names(
    endings=(
        "social security number", "social security no", "social insurance number", "national insurance number", "national id number",
        "passport number", "passport no", "drivers license number", "driver license number", "tax payer id", "taxpayer id",
    ),
    words=("ssn",),
    has_secret=lambda value: 4 <= _digits_in(value) and not isinstance(value, dict | list),
)  # fmt: skip
