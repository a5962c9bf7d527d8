"""Query strings: only parameters that there are, each once, each with a value."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from django.http import QueryDict

from accounts.problems import Fault
from logs.errors import InvalidQuery

# Every number in a query string is a PostgreSQL bigint.
MAX_NUMBER = 2**63 - 1


def check_parameters(query: QueryDict, known: Sequence[str], *, repeated: Collection[str] = ()) -> None:
    """Raises InvalidQuery for parameters that are not `known`, and for those given twice or without a value that are not `repeated`."""
    faults = [_unknown(name, known) for name in query if name not in known]
    single = [name for name in known if name not in repeated]
    faults += [Fault(name, "repeated", f"{name} may be given once.") for name in single if len(query.getlist(name)) > 1]
    faults += [Fault(name, "empty", "The value is empty.") for name in single if query.get(name) == ""]
    if faults:
        raise InvalidQuery(faults)


def number_in(query: QueryDict, name: str) -> int | None:
    """The whole number from 0 that a parameter gives; None if it is not there. Raises InvalidQuery."""
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= MAX_NUMBER):
        raise InvalidQuery([Fault(name, "bad_number", f"{name} has to be a whole number from 0.")])
    return int(text)


def flag_in(query: QueryDict, name: str) -> bool:
    """What a parameter that is `true` or `false` says; false if it is not there. Raises InvalidQuery."""
    text = query.get(name, "false")
    if text not in ("true", "false"):
        raise InvalidQuery([Fault(name, "bad_value", f"{name} is true or false.")])
    return text == "true"


def _unknown(name: str, known: Sequence[str]) -> Fault:
    close = difflib.get_close_matches(name, known, 1)
    hint = f"Did you mean {close[0]}?" if close else f"Known: {', '.join(known)}." if known else "There is none here."
    return Fault(name, "unknown_parameter", f"There is no parameter {name!r}. {hint}")
