"""Rows with a version that goes up with every change: what tells one from the next, and taking one to change it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol, TypeVar

from django.db.models import Model, QuerySet

from accounts.problems import ChangedMeanwhile, NotFound


class Versioned:
    """For models with a field `version`."""

    pk: Any
    version: Any

    @property
    def etag(self) -> str:
        """What `If-Match` names it by."""
        return f'"{self.pk}-{self.version}"'


class _HasEtag(Protocol):
    @property
    def etag(self) -> str: ...


_Row = TypeVar("_Row", bound=Model)


def check_version(row: _HasEtag, etags: Collection[str] | None) -> None:
    """Raises ChangedMeanwhile if the row has none of `etags` (None: whichever it has)."""
    if etags is not None and row.etag not in etags:
        raise ChangedMeanwhile(row.etag)


def locked(rows: QuerySet[_Row], etags: Collection[str] | None, missing: NotFound) -> _Row:
    """The one row, if it still has one of `etags` (None: whichever it has). `rows`: a question FOR UPDATE, of rows with an `etag`.

    For the rest of the transaction it is nobody else's to change. Raises `missing` or ChangedMeanwhile.
    """
    row = rows.first()
    if row is None:
        raise missing
    check_version(row, etags)  # type: ignore[arg-type]  # a model and a protocol at once can't be said
    return row
