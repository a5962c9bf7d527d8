"""Where requests come from."""

from __future__ import annotations

from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """The address of the request's client; None if it is not known."""
    address: str | None = request.META.get("REMOTE_ADDR")
    return address or None
