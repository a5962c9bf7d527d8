"""What is to be exported, and how: from a query string or a job's body to one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import QueryDict

from accounts.principals import Principal
from accounts.problems import Fault
from logs.errors import InvalidQuery
from logs.search.filters import filters_of
from logs.search.parameters import flag_in, number_in
from logs.search.sight import asked_by
from logs.search.tree import All

# A bundle of proofs, made by `logs.evidence`.
EVIDENCE = "evidence"
FORMAT_NAMES = ("json", "ndjson", "csv", "parquet")
COMPRESSIONS = ("none", "gzip", "zstd")
ORDERS = ("desc", "asc")
OWN_PARAMETERS = ("format", "compression", "order", "limit", "manifest", "pseudonymise")
# Everything about one data subject, made by `export.subject_report`; for jobs only, at an address of its own.
SUBJECT_REPORT = "subject_report"


@dataclass(frozen=True)
class ExportQuestion:
    """Entries to export. `tree` holds what the principal may see too; `words`: the filters as they were asked, a query string.

    `is_pseudonymised`: without what says who the entries are about (`export.pseudonyms`).
    """

    principal: Principal
    tree: All
    words: str
    format: str
    compression: str = "none"
    order: str = "desc"
    limit: int | None = None
    has_manifest: bool = False
    is_pseudonymised: bool = False


def export_question_of(query: QueryDict, principal: Principal) -> ExportQuestion:
    """The question in a query string: the filters of search, and OWN_PARAMETERS. Raises InvalidQuery."""
    format = one_of("format", query.get("format"), FORMAT_NAMES)
    asked = filters_of(query, *OWN_PARAMETERS).tree()
    has_manifest = one_of("manifest", query.get("manifest", "false"), ("false", "true")) == "true"
    if has_manifest and format not in ("json", "ndjson"):
        raise InvalidQuery([Fault("manifest", "no_manifest", f"A {format} file has no room for a manifest. An export job makes one beside it.")])
    words = query.copy()
    for name in OWN_PARAMETERS:
        words.pop(name, None)
    return ExportQuestion(
        principal,
        asked_by(principal, asked),
        words.urlencode(),
        format,
        compression_of(query.get("compression", "none"), format),
        one_of("order", query.get("order", "desc"), ORDERS),
        limit_of_export(query),
        # A JSON document has an end in any case, so it may as well say what it is the end of.
        has_manifest or format == "json",
        flag_in(query, "pseudonymise"),
    )


def asked_again(words: str, principal: Principal) -> All:
    """The tree of filters kept as `words`, for this principal. Raises InvalidQuery."""
    return asked_by(principal, filters_of(QueryDict(words)).tree())


def one_of(name: str, value: str | None, known: Sequence[str]) -> str:
    """`value`, if it is one of `known`. Raises InvalidQuery."""
    if value is None or value not in known:
        raise InvalidQuery([Fault(name, "unknown_value", f"{name} has to be one of {', '.join(known)}.")])
    return value


def compression_of(value: str, format: str) -> str:
    """The compression of a file. Raises InvalidQuery."""
    found = one_of("compression", value, COMPRESSIONS)
    if format == "parquet" and found != "none":
        raise InvalidQuery([Fault("compression", "compressed_already", "Parquet is compressed inside (zstd). Leave `compression` out.")])
    return found


def limit_of_export(query: QueryDict) -> int | None:
    limit = number_in(query, "limit")
    if limit == 0:
        raise InvalidQuery([Fault("limit", "bad_limit", "limit has to be a whole number from 1. Without it, all entries.")])
    return limit
