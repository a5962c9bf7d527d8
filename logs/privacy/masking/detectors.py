"""Value detectors: what is a secret whatever its key is called. Pure, on UTF-8 bytes, in linear time (RE2).

Each has a `hint`: an RE2 pattern that matches whatever the detector would find, in the text itself and in the canonical JSON of any value
that holds it. In JSON a line feed is a backslash and an n, so hints use no word boundaries and no white space.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from logs.privacy.masking.checksums import IBAN_LENGTHS, is_basic_credential, is_card_number, is_iban, is_jwt_header
from logs.privacy.masking.expressions import compiled

Span = tuple[int, int]
Find = Callable[[bytes], Iterator[Span]]


@dataclass(frozen=True, slots=True)
class Detector:
    """`find(content)`: the spans of secrets in UTF-8 text, ascending, none over another."""

    hint: str
    find: Find


def _goes_on(content: bytes, begin: int, end: int) -> bool:
    """Is there more of it beside the span, after a hyphen: is it part of a UUID or the like?"""
    before = content[begin - 1 : begin] == b"-" and _is_word(content, begin - 2)
    return before or (content[end : end + 1] == b"-" and _is_word(content, end + 1))


def _is_word(content: bytes, index: int) -> bool:
    """Is there a letter or a digit at the index? Bytes of other letters than ASCII's count."""
    return 0 <= index < len(content) and (content[index : index + 1].isalnum() or content[index] >= 0x80)


def _matches(pattern: str, accepts: Callable[[bytes, Any], bool] = lambda content, match: True) -> Find:
    """Finds the group `secret` of each match, or all of it if there is no such group."""
    expression = compiled(pattern)
    group = expression.groupindex.get(b"secret", 0)

    def find(content: bytes) -> Iterator[Span]:
        for match in expression.finditer(content):
            if accepts(content, match):
                yield match.span(group)

    return find


# -- card numbers --------------------------------------------------------------------------------------------------

_CARD_PATTERN = r"[0-9]{4}[ -][0-9]{4}[ -][0-9]{4}[ -][0-9]{1,7}|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5}|[0-9]{13,19}"
_CARD = compiled(_CARD_PATTERN)
_DIGITS = b"0123456789"


def find_card_numbers(content: bytes) -> Iterator[Span]:
    start = 0
    while (match := _CARD.search(content, start)) is not None:
        begin, end = match.span()
        run_end = end
        while run_end < len(content) and content[run_end] in _DIGITS:
            run_end += 1
        digits = "".join(map(chr, (byte for byte in content[begin:end] if byte in _DIGITS)))
        # A digit after a point or a comma is a fraction's.
        is_fraction = begin >= 2 and content[begin - 1] in b".," and content[begin - 2] in _DIGITS
        is_whole = run_end == end and not _is_word(content, begin - 1) and not _is_word(content, end) and not _goes_on(content, begin, end)
        if is_whole and not is_fraction and is_card_number(digits):
            yield begin, end
            start = end
        else:
            # Past the first group: the next may begin a number.
            start = begin
            while start < len(content) and content[start] in _DIGITS:
                start += 1


# -- IBANs ---------------------------------------------------------------------------------------------------------

_IBAN_PATTERN = rf"(?i:{'|'.join(IBAN_LENGTHS)})[0-9]{{2}}(?:[ -]?[0-9A-Za-z]){{11,30}}"
_IBAN = compiled(_IBAN_PATTERN)


def find_ibans(content: bytes) -> Iterator[Span]:
    start = 0
    while (match := _IBAN.search(content, start)) is not None:
        begin, last = match.span()
        start = begin + 2
        if _is_word(content, begin - 1):
            continue
        length = IBAN_LENGTHS[content[begin : begin + 2].decode().upper()]
        end, compact = begin, bytearray()
        while end < last and len(compact) < length:
            if content[end] not in b" -":
                compact.append(content[end])
            end += 1
        if not _is_word(content, end) and not _goes_on(content, begin, end) and is_iban(compact.decode().upper()):
            yield begin, end
            start = end


# -- the rest ------------------------------------------------------------------------------------------------------

_FILES = {"png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "css", "js", "mjs", "ts", "json", "html", "xml", "txt", "pdf", "mp4", "woff", "woff2"}
# Letters of any script without naming them: the classes of Unicode make automata a thousand times larger.
_LETTERS = r"A-Za-z\x{80}-\x{10ffff}"
_EMAIL = rf"[{_LETTERS}0-9._%+'-]*[{_LETTERS}0-9_%+-](?:@|%40)(?:[{_LETTERS}0-9][{_LETTERS}0-9-]*\.)+[{_LETTERS}][{_LETTERS}]+"


def _is_email(content: bytes, match: Any) -> bool:
    text = match.group()
    # icon@2x.png is a file; git@host.example:path a repository.
    is_repository = text.startswith(b"git@") and content[match.end() : match.end() + 1] in (b":", b"/")
    return text.rpartition(b".")[2].decode().lower() not in _FILES and not is_repository


_BEARER = r"(?i:bearer|basic)(?:\s|%20|\+)+(?P<secret>[A-Za-z0-9._~+/=-]{6,})"


def _is_bearer(content: bytes, match: Any) -> bool:
    if _is_word(content, match.start() - 1):
        return False
    secret = match.group(1).decode()
    if match.group()[:1] in b"Bb" and match.group()[1:2] in b"Aa":
        return is_basic_credential(secret)
    # "bearer authentication" is no token.
    has_digit, has_letter = any(map(str.isdigit, secret)), any(map(str.isalpha, secret))
    return (has_digit and has_letter and len(secret) >= 8) or (len(secret) >= 20 and secret.lower() != secret != secret.upper())


def _is_jwt(content: bytes, match: Any) -> bool:
    return not _is_word(content, match.start() - 1) and is_jwt_header(match.group().partition(b".")[0].decode())


# Issuers and the shape of what they issue. The word before has to end before it begins.
_SERVICE_KEYS = (
    r"AIza[0-9A-Za-z_-]{35}", r"ya29\.[0-9A-Za-z_-]{20,}", r"GOCSPX-[0-9A-Za-z_-]{20,}",
    r"gh[pousr]_[A-Za-z0-9]{30,}", r"github_pat_[A-Za-z0-9_]{22,}", r"gl(?:pat|dt|rt|ptt|soat)-[A-Za-z0-9_-]{20,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}", r"xapp-[0-9]-[A-Za-z0-9-]{10,}",
    r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,}", r"whsec_[A-Za-z0-9+/=]{20,}",
    r"al[kv]_[a-z0-9]{12}_[A-Za-z0-9_-]{20,}", r"npm_[A-Za-z0-9]{36}", r"pypi-[A-Za-z0-9_-]{50,}",
    r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}", r"SK[0-9a-f]{32}",
    r"sk-(?:proj-|ant-|svcacct-|admin-)?[A-Za-z0-9_-]*[0-9][A-Za-z0-9_-]{15,}",
    r"dop_v1_[0-9a-f]{64}", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}", r"hv[sb]\.[A-Za-z0-9_-]{20,}", r"key-[0-9a-f]{32}",
    r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}", r"dapi[0-9a-f]{32}", r"hf_[A-Za-z0-9]{30,}", r"ATATT3x[A-Za-z0-9_=-]{20,}",
    r"AGE-SECRET-KEY-1[0-9A-Z]{40,}", r"lin_api_[A-Za-z0-9]{30,}", r"sq0(?:atp|csp)-[A-Za-z0-9_-]{20,}",
)  # fmt: skip
_SERVICE_KEY = "|".join(_SERVICE_KEYS)
_SLACK_HOOK = r"hooks\.slack\.com\\?/services\\?/(?P<secret>[A-Za-z0-9]+\\?/[A-Za-z0-9]+\\?/[A-Za-z0-9]+)"
_SAS = r"(?:[?&;]|%26|%3[Ff])(?i:sig)=(?P<secret>[A-Za-z0-9%+/=_-]{20,})"
_AWS_KEY = r"(?i:secret[-_. ]*(?:access[-_. ]*)?key)[^A-Za-z0-9/+]{1,4}(?:is )?(?P<secret>[A-Za-z0-9/+]{40})"
_AWS_KEY_ID = r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"


def _stands_alone(content: bytes, match: Any) -> bool:
    return not _is_word(content, match.start() - 1)


def _stands_alone_on_both_sides(content: bytes, match: Any) -> bool:
    return not _is_word(content, match.start() - 1) and not _is_word(content, match.end())


def _both(*finds: Find) -> Find:
    """What any of them finds; where two overlap, what begins first."""

    def find(content: bytes) -> Iterator[Span]:
        reached = 0
        for begin, end in sorted(span for each in finds for span in each(content)):
            if begin >= reached:
                yield begin, end
                reached = end

    return find


_PEM = r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|$)"
_USER_IN_URL = r"[A-Za-z][A-Za-z0-9+.-]*:(?:\\?/){2}[^\s/:@\"'<>\\]*:(?P<secret>[^\s/@\"'<>]+)@"

CARD_NUMBERS = Detector(_CARD_PATTERN, find_card_numbers)
IBANS = Detector(_IBAN_PATTERN, find_ibans)
EMAILS = Detector(rf"[{_LETTERS}0-9_%+-](?:@|%40)[{_LETTERS}0-9]", _matches(_EMAIL, _is_email))
BEARER_TOKENS = Detector(r"(?i:bearer|basic)[^A-Za-z0-9]", _matches(_BEARER, _is_bearer))
JWTS = Detector(
    r"ey[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{2,}\.", _matches(r"ey[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]{2,})(?:\.[A-Za-z0-9_-]*){1,3}", _is_jwt)
)  # fmt: skip
SERVICE_KEYS = Detector(
    _SERVICE_KEY + r"|hooks\.slack\.com|sig=|(?i:secret)[-_. ]*(?i:access|key)",
    _both(_matches(_SERVICE_KEY, _stands_alone), _matches(_SLACK_HOOK), _matches(_SAS), _matches(_AWS_KEY)),
)
AWS_KEY_IDS = Detector(_AWS_KEY_ID, _matches(_AWS_KEY_ID, _stands_alone_on_both_sides))
PRIVATE_KEYS = Detector(r"PRIVATE KEY", _matches(_PEM))
CONNECTION_STRINGS = Detector(r":[^\s/@\"'<>]+@", _matches(_USER_IN_URL))
