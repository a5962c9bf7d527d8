"""Canonical bytes: one encoding for one meaning, whether an entry comes from the wire, PostgreSQL or an archive.

Canonical JSON here is RFC 8785's idea with exact numbers (RFC 8785 rounds them to doubles, which an audit log may not):

- UTF-8 without white space; object keys sorted by their UTF-8 bytes; the last of duplicate keys counts.
- Strings escape `"`, `\\` and U+0000..U+001F only, by the short form where JSON has one, else `\\u00xx` in lower case.
- A number is its exact decimal value. A whole number is its digits; any other goes without trailing zeros in the
  notation of the General Decimal Arithmetic specification ("to-scientific-string": 0.000001, 1E-7). Zero has no sign.
  So 1e22, 10000000000000000000000 and 1.0E+22 are the same bytes, and so are 1.10 and 1.1.
"""

from __future__ import annotations

import hashlib
import re
from decimal import Context, Decimal
from typing import Any

import msgspec

VERSION = 1
MAX_NUMBER_EXPONENT = 308
MAX_NUMBER_DIGITS = 400
_OUT_OF_RANGE = "A number is outside of what can be kept (1e±308, 400 digits)."
_EXACT = Context(prec=MAX_NUMBER_DIGITS, Emax=999_999, Emin=-999_999)
_LONG_INTEGER = re.compile(rb"\d{%d}" % (MAX_NUMBER_EXPONENT + 2))
# A run of that many digits shows as 30 of them in every tenth byte, which is quicker to look through than the whole.
_LONG_SAMPLE = re.compile(rb"\d{30}")
_INTEGER_LIMIT: int = 10 ** (MAX_NUMBER_EXPONENT + 1)


class CanonicalError(ValueError):
    """The bytes are no JSON that can be kept. The message says what and where."""


class NumberOutOfRange(CanonicalError):
    """A number beyond 1e±308 or with more than 400 digits."""


def _number(text: str) -> int | Decimal:
    """The canonical value of a JSON number with a fraction or an exponent."""
    value = Decimal(text)
    if not value:
        return 0
    if abs(value.adjusted()) > MAX_NUMBER_EXPONENT or len(value.as_tuple().digits) > MAX_NUMBER_DIGITS:
        raise NumberOutOfRange(_OUT_OF_RANGE)
    value = value.normalize(_EXACT)
    return int(value) if value.as_tuple().exponent >= 0 else value  # type: ignore[operator]  # finite, so the exponent is a number


_decode = msgspec.json.Decoder(float_hook=_number).decode
_encode = msgspec.json.Encoder(order="deterministic", decimal_format="number").encode


def decode_json(text: bytes) -> Any:
    """Python values of JSON text; numbers are `int` or exact `Decimal`. Raises CanonicalError."""
    try:
        value = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if isinstance(error.__cause__, CanonicalError):
            raise error.__cause__ from None
        if "out of range" in str(error):
            raise NumberOutOfRange(_OUT_OF_RANGE) from error
        raise CanonicalError(f"not JSON: {error}") from error
    except RecursionError:
        raise CanonicalError("nested too deeply") from None
    # Whole numbers come without the hook. The pattern may match within a string, so it only says when to look.
    if len(text) > MAX_NUMBER_EXPONENT and _LONG_SAMPLE.search(text[::10]) and _LONG_INTEGER.search(text) and _has_long_integer(value):
        raise NumberOutOfRange(_OUT_OF_RANGE)
    return value


def _has_long_integer(value: Any) -> bool:
    if isinstance(value, int):
        return not -_INTEGER_LIMIT < value < _INTEGER_LIMIT
    if isinstance(value, dict):
        return any(map(_has_long_integer, value.values()))
    return isinstance(value, list) and any(map(_has_long_integer, value))


def encode_json(value: Any) -> bytes:
    """Canonical JSON of what `decode_json` gave."""
    return _encode(value)


def canonical_json(text: bytes) -> bytes:
    """Canonical JSON of any JSON text. Raises CanonicalError; `canonical_json(canonical_json(x)) == canonical_json(x)`."""
    return _encode(decode_json(text))


class CanonicalEntry(msgspec.Struct, omit_defaults=True, frozen=True):
    """The canonical form of one entry. Fields are in alphabetical order, absent ones (null, false) are left out.

    Texts as stored; `timestamp` and `received_at` as `YYYY-MM-DDThh:mm:ss.ffffffZ`; `ip_address` as RFC 5952 has it;
    `metadata`, `before` and `after` are canonical JSON already. `v` is the version of this form, `VERSION`.
    """

    action: str
    id: str
    outcome: str
    received_at: str
    resource_type: str
    severity: str
    source: str
    tenant: str
    timestamp: str
    user_id: str
    v: int
    after: msgspec.Raw | None = None
    before: msgspec.Raw | None = None
    changed_fields: list[str] | None = None
    idempotency_key: str | None = None
    ip_address: str | None = None
    is_imported: bool = False
    masked: list[str] | None = None
    message: str | None = None
    metadata: msgspec.Raw | None = None
    request_id: str | None = None
    resource_id: str | None = None
    session_id: str | None = None
    user_agent: str | None = None


_encode_entry = msgspec.json.Encoder(order="sorted").encode


def canonical_entry(entry: CanonicalEntry) -> bytes:
    """The canonical bytes of an entry: one canonical JSON object."""
    return _encode_entry(entry)


def record_of(entry: CanonicalEntry) -> bytes:
    """The entry's record in the log: SHA-256 of its canonical bytes (32 bytes)."""
    return hashlib.sha256(_encode_entry(entry)).digest()
