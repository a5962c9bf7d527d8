"""Optimistic locks over HTTP."""

from __future__ import annotations

from django.utils.http import parse_etags
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from accounts.schema import problem_response

IF_MATCH = OpenApiParameter(
    "If-Match", OpenApiTypes.STR, OpenApiParameter.HEADER, description="The `ETag` of the answer that you go by: 412 if it has changed."
)
CHANGED = problem_response(
    412, "changed_meanwhile", "It was changed meanwhile", 'It was changed since you read it. It is at "7-3" now: read it again, then change it.'
)


def if_match(request: Request) -> list[str] | None:
    """The ETags that `If-Match` allows; None for any."""
    header = request._request.META.get("HTTP_IF_MATCH")
    etags = None if header is None else parse_etags(header)
    return None if etags == ["*"] else etags
