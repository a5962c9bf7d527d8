"""One stored row against its record, and what has to be undone for the two to agree again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from logs.integrity.entries import record
from logs.models import Outcome, Severity
from logs.storage.columns import ENTRY_COLUMNS, INDEX

_NAMES = list(ENTRY_COLUMNS)
_NEVER_NULL = {"id", "tenant_id", "timestamp", "received_at", "severity", "outcome", "is_imported", "user_id", "action", "resource_type", "source"}
_FEW_VALUES: dict[str, dict[str, str]] = {
    "severity": {str(choice.value): str(choice.label) for choice in Severity},
    "outcome": {str(choice.value): str(choice.label) for choice in Outcome},
    "is_imported": {"true": "true", "false": "false"},
}


def difference(row: Sequence[Any], expected: bytes) -> str:
    """What is different in a row (of `columns.ENTRY_AS_TEXT`) whose record is not the expected one (32 bytes).

    A hash does not tell what it was made of. But a change of a single field to or from one of few values, or of one that was
    empty, can be undone by trying; then the original is known for certain.
    """
    for name, value, label in _undone(row):
        tried = list(row[: len(_NAMES)])
        tried[INDEX[name]] = value
        if record(tried) == expected:
            return f"{name} was {label} when it came in, and is not now"
    return "its content is not what came in"


def _undone(row: Sequence[Any]) -> Iterator[tuple[str, str | None, str]]:
    """Single changes: column, value, and how the value is called."""
    for name, values in _FEW_VALUES.items():
        for value, label in values.items():
            if row[INDEX[name]] != value:
                yield name, value, label
    for name in _NAMES:
        if name not in _NEVER_NULL and row[INDEX[name]] is not None:
            yield name, None, "empty"
    if row[INDEX["timestamp"]] != row[INDEX["received_at"]]:
        yield "timestamp", row[INDEX["received_at"]], str(row[INDEX["received_at"]])
