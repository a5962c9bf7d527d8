"""What a request does to the log, as it is recorded: every look at the log is an entry in it.

A view class declares `deeds`, one `Deed` for each method; its handlers may `note` more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request

_NOTES = "auditlog.notes"


@dataclass(frozen=True, slots=True)
class Deed:
    """An action on a type of resource, in the words of entries."""

    action: str
    resource_type: str


def note(request: Request | HttpRequest, **details: Any) -> None:
    """Say more about what the request did: `resource_id`, `results` (how many were given), or anything for the metadata."""
    notes_of(request).update(details)


def notes_of(request: Request | HttpRequest) -> dict[str, Any]:
    """What was said so far."""
    found: dict[str, Any] = request.META.setdefault(_NOTES, {})
    return found
