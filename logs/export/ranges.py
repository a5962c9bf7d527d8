"""Ranges of a file over HTTP (RFC 9110 §14). Pure."""

from __future__ import annotations

import re

from logs.errors import RangeNotSatisfiable

_RANGE = re.compile(r"bytes=\s*(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))\s*")


def range_in(header: str | None, file_bytes: int) -> tuple[int, int] | None:
    """The bytes `[start, stop)` that a `Range` header asks for, within the file; None: all of it.

    A header that is malformed, or asks for several ranges, is ignored, as the RFC allows. Raises RangeNotSatisfiable.
    """
    match = _RANGE.fullmatch(header) if header is not None else None
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        start, stop = max(file_bytes - int(suffix), 0), file_bytes
    else:
        start, stop = int(first), min(int(last) + 1 if last is not None else file_bytes, file_bytes)
        if last is not None and int(last) < start:
            return None
    if start >= stop:
        raise RangeNotSatisfiable(file_bytes)
    return start, stop
