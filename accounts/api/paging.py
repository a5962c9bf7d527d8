"""Lists of the account API, newest first, by keyset over ids."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from accounts.problems import Fault, Invalid

DEFAULT_LIMIT = 50
MAX_LIMIT = 1000
# Of ids, which are a PostgreSQL bigint.
MAX_NUMBER = 2**63 - 1
PARAMETERS = [
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}),
    OpenApiParameter("before", {"type": "integer", "minimum": 0}, description="From `next` of an answer."),
]
_Row = TypeVar("_Row", bound=Model)


def page_of(rows: QuerySet[_Row], request: Request) -> tuple[list[_Row], str | None]:
    """One page of rows and the path of the page after it (None: there is none). Raises Invalid."""
    query = request._request.GET
    unknown = [name for name in query if name not in ("limit", "before")]
    if unknown:
        raise Invalid([Fault(name, "unknown_parameter", f"There is no parameter {name!r}. Known: limit, before.") for name in unknown])
    limit, before = _number(request, "limit", DEFAULT_LIMIT), _number(request, "before", MAX_NUMBER)
    if not 1 <= limit <= MAX_LIMIT:
        raise Invalid([Fault("limit", "bad_limit", f"limit has to be a whole number from 1 to {MAX_LIMIT}.")])
    # One more than asked tells whether there is another page.
    found = list(rows.filter(pk__lt=before).order_by("-pk")[: limit + 1])
    page = found[:limit]
    following = f"{request._request.path}?{urlencode({'limit': limit, 'before': page[-1].pk})}" if len(found) > limit else None
    return page, following


def _number(request: Request, name: str, default: int) -> int:
    values: list[Any] = request._request.GET.getlist(name) or [str(default)]
    text = str(values[0])
    if len(values) > 1 or not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= MAX_NUMBER):
        raise Invalid([Fault(name, "bad_number", f"{name} has to be a whole number from 0, given once.")])
    return int(text)
