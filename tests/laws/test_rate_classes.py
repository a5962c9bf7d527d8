"""Every view of the API says what its requests cost, for each of its methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.urls import URLPattern, get_resolver
from rest_framework.views import APIView

from accounts.limits import LimitedView
from accounts.limits.policies import DEFAULT_RATES
from accounts.models import EndpointClass, SubjectKind
from tests.web import CHECKOUT

PAGE = (CHECKOUT / "docs" / "rate-limits.md").read_text()


def views(patterns: Any) -> Iterator[type[APIView]]:
    for pattern in patterns:
        if not isinstance(pattern, URLPattern):
            yield from views(pattern.url_patterns)
            continue
        view: Any = getattr(pattern.callback, "view_class", None)
        if view is not None and issubclass(view, APIView):
            yield view


def test_every_view_is_limited_and_has_a_class_for_each_method() -> None:
    found = list(views(get_resolver().url_patterns))
    assert len(found) > 25
    for view in found:
        assert issubclass(view, LimitedView), view
        rate_class: Any = view.rate_class
        methods = {name.upper() for name in ("get", "post", "put", "patch", "delete") if hasattr(view, name)}
        assert isinstance(rate_class, EndpointClass) or (isinstance(rate_class, Mapping) and methods <= set(rate_class)), view


def test_every_class_has_limits_and_the_page_lists_them() -> None:
    assert set(DEFAULT_RATES) == set(EndpointClass)
    for endpoint_class, rates in DEFAULT_RATES.items():
        assert set(rates) >= {SubjectKind.PRINCIPAL, SubjectKind.ADDRESS}
        cells = [f"{int(rates[kind].removesuffix('/m')):,}" if kind in rates else "–" for kind in SubjectKind]
        assert f"| `{endpoint_class}` | {' | '.join(cells)} |" in PAGE
