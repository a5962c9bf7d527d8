"""Forced queries: questions that are joined to every question of somebody. Kept here, read by the log, whose grammar they are in.

The arrow points from `logs` to `accounts`, so the log opens this door at its start (`logs.apps`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Check: TypeAlias = Callable[[str], None]


class NoReader(RuntimeError):
    """Nobody has said how to read a forced query."""


_check: Check | None = None


def set_check(check: Check) -> None:
    """Have `check` read forced queries. It raises a Problem with the column of what is wrong."""
    global _check
    _check = check


def check_forced_query(text: str) -> None:
    """Raises a Problem if the text is no query. An empty text is one: it leaves everything."""
    if _check is None:
        raise NoReader
    _check(text)
