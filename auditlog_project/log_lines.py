"""The lines of the server's log: one record, one line, and nothing in it that acts or that should not be there.

Invariants:
- Only a record begins at the left margin; what belongs to it (a traceback) is indented and marked. So nothing from outside can look like a
  record of its own, whatever line ends it brings.
- No control character, no bidirectional control reaches the output: they are written as escapes.
- Credentials and what PostgreSQL quotes of rows are left out. That is a net below the rule that a log line carries no payload, not the rule.
"""

from __future__ import annotations

import logging
import re
from types import TracebackType
from typing import TypeAlias

from auditlog_verify.inert import inert

_ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

MARK = "    | "
# Of one record: a message, and a traceback. An entry may have 256 KiB, and none of it belongs here.
MAX_CHARACTERS = 8 * 1024
MAX_TRACEBACK_CHARACTERS = 32 * 1024
HIDDEN = "***"

# What PostgreSQL says of an error beyond its message: rows, keys and lines of COPY, with their values.
_QUOTED_BY_POSTGRES = re.compile(r"^(DETAIL|CONTEXT|QUERY|STATEMENT|PARAMETERS|WHERE):.*", re.MULTILINE)
_END_OF_ERROR = re.compile(r"^(?:HINT:|Traceback |During handling of |The above exception )")

# Each is bounded, or goes on over characters that none of its later parts begins with: linear in any text (tests/security/test_patterns.py).
_CREDENTIALS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?"), "(private key) " + HIDDEN),
    # The whole of what stands before the host: postgresql://user:password@host, redis://:password@host.
    (re.compile(r"(?<=://)[^\s/@]{1,1024}(?:@[^\s/@]{0,1024}){0,8}@"), HIDDEN + "@"),
    # API keys and viewer tokens: their public prefix says which one it was.
    (re.compile(r"\b(al[a-z]_[a-z0-9]{12}_)[A-Za-z0-9_-]{16,}"), r"\1" + HIDDEN),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){0,3}"), "(token) " + HIDDEN),
    (re.compile(r"\b(Bearer|Basic|Digest|Token)([ :=]{1,3})(?!\*)[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), r"\1\2" + HIDDEN),
    (
        re.compile(
            r"\b((?:[a-z0-9]{0,20}[_-])?(?:password|passwd|pwd|passphrase|secret|token|otp|api[_-]?key|secret[_-]?key|signature|refresh|access|authorization|cookie|sessionid)"
            r"[\"']?\s?[=:]\s?)(?:\"[^\"]{1,2048}\"|'[^']{1,2048}'|[^\s\"'&,;)}\]]{1,2048})",
            re.IGNORECASE,
        ),
        r"\1" + HIDDEN,
    ),
)  # fmt: skip


def without_credentials(text: str) -> str:
    """The text with `***` for what looks like a credential."""
    for pattern, replacement in _CREDENTIALS:
        text = pattern.sub(replacement, text)
    return text


def without_quoted_rows(text: str) -> str:
    """The text of a database error without what PostgreSQL quotes in it: these lines, and those that a value with line ends makes of them."""
    if not _QUOTED_BY_POSTGRES.search(text):
        return text
    kept, is_quoted = [], False
    for line in text.split("\n"):
        match = _QUOTED_BY_POSTGRES.match(line)
        if match:
            kept.append(f"{match[1]}: (left out)")
        is_quoted = bool(match) or (is_quoted and not _END_OF_ERROR.match(line))
        if not is_quoted:
            kept.append(line)
    return "\n".join(kept)


class InertFormatter(logging.Formatter):
    """Formats a record so that it stays one, and shows no secret."""

    def format(self, record: logging.LogRecord) -> str:
        record.message = _shown(_message_of(record), MAX_CHARACTERS)
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        lines = [inert(self.formatMessage(record))]
        # Not kept in `record.exc_text`, where the handler of somebody else would find it and print it as it is.
        if record.exc_info:
            lines += self.formatException(record.exc_info).split("\n")
        if record.stack_info:
            lines += self.formatStack(record.stack_info).split("\n")
        return "\n".join(lines)

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802  logging's name
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802  logging's name
        return _indented(stack_info)


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:
        # logging itself would print message, arguments and stack to stderr, as they are.
        return f"{record.msg!s} (its arguments do not fit)"


def _indented(text: str) -> str:
    # A traceback says most at its end.
    cut = without_credentials(without_quoted_rows(text))
    if len(cut) > MAX_TRACEBACK_CHARACTERS:
        cut = f"({len(cut) - MAX_TRACEBACK_CHARACTERS} characters left out)\n" + cut[-MAX_TRACEBACK_CHARACTERS:]
    return "\n".join(MARK + inert(line) for line in cut.split("\n"))


def _shown(text: str, most: int) -> str:
    shown = without_credentials(without_quoted_rows(text[: 4 * most]))
    return shown if len(shown) <= most else f"{shown[:most]} ({len(text) - most} characters left out)"
