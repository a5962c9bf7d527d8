"""Every view of the API says what its use is recorded as, and every admin records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.deeds import Deed
from accounts.recorded_admin import RecordedAdmin
from accounts.recording import RecordedView

# Routes that need no deed, with the reason.
UNRECORDED = {
    "api/v1/auth/jwks": "the public keys, which are the same for everybody",
    "api/v1/schema": "the documentation, which is the same for everybody",
    "api/v1/docs": "the documentation, which is the same for everybody",
    "api/v1/redoc": "the documentation, which is the same for everybody",
    "api/v1/auth/me": "tells a person their own name and roles, and nothing of a log",
    "api/v1/auth/token/verify": "tells whoever has a token whether it is good, and nothing of a log",
    "api/v1/auth/token": "records by itself, in the log of each tenant of the person (accounts.sign_in)",
    "api/v1/auth/token/refresh": "records by itself, in the log of each tenant of the person (accounts.sign_in)",
    "api/v1/auth/sign-out": "records by itself, in the log of each tenant of the person (accounts.sign_in)",
}
METHODS = ("get", "post", "put", "patch", "delete")


def routes(patterns: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route, getattr(pattern.callback, "view_class", None)
        elif isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)


VIEWS = {route: view for route, view in routes(get_resolver().url_patterns) if route.startswith("api/")}


@pytest.mark.parametrize("route", sorted(set(VIEWS) - set(UNRECORDED)))
def test_view_declares_a_deed_for_each_of_its_methods(route: str) -> None:
    view = VIEWS[route]
    assert issubclass(view, RecordedView)
    assert set(view.deeds) == {method.upper() for method in METHODS if hasattr(view, method)}
    for deed in view.deeds.values():
        assert isinstance(deed, Deed)
        assert deed.resource_type.startswith("audit_log")
        assert deed.action.isupper()


def test_every_exception_is_a_route() -> None:
    assert set(UNRECORDED) <= set(VIEWS)


def test_only_posting_the_socket_and_erasures_record_otherwise() -> None:
    exempt = {(route, method) for route, view in VIEWS.items() for method, deed in getattr(view, "deeds", {}).items() if deed.refusals_only}
    # An erasure is recorded before and after by itself, by whoever carries it on (logs.erasure.erasing).
    assert exempt == {("api/v1/logs", "POST"), ("api/v1/logs/bulk", "POST"), ("api/v1/logs/stream", "GET"), ("api/v1/erasures", "POST")}


def test_every_admin_records() -> None:
    others = [str(model._meta.label) for model, options in admin.site._registry.items() if not isinstance(options, RecordedAdmin)]
    assert others == []
