"""What a request does to the log, as it is recorded: every look at the log is an entry in it.

A view class declares `deeds`, one `Deed` for each method; its handlers may `note` more, and where no principal calls, say whose log it
concerns (`act_for`). `accounts.recording` makes the entry of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request

from accounts.models import Membership, User
from accounts.principals import Principal

_NOTES = "auditlog.notes"
_ACTORS = "auditlog.actors"
_RECORDED = "auditlog.recorded"


@dataclass(frozen=True, slots=True)
class Deed:
    """An action on a type of resource, in the words of entries.

    `refusals_only`: what succeeds leaves an entry of its own, or none is due; only refused attempts are recorded.
    """

    action: str
    resource_type: str
    refusals_only: bool = False


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something, in the log of the tenant that it concerns. `user_id` as entries mean them, `source` as credentials name them."""

    tenant_id: uuid.UUID
    user_id: str
    source: str

    @classmethod
    def of(cls, principal: Principal) -> Actor:
        """The principal, in its own tenant's log."""
        return cls(principal.tenant_id, principal.acts_as, principal.source)

    @classmethod
    def of_member(cls, membership: Membership) -> Actor:
        """A person, in the log of one of their tenants."""
        return cls(membership.tenant_id, membership.own_user_id, f"user:{membership.user.get_username()}")


def actors_of_user(user: User) -> list[Actor]:
    """A person in the log of each of their tenants that are active."""
    members = user.memberships.select_related("tenant", "user").filter(tenant__is_active=True)
    return [Actor.of_member(membership) for membership in members]


def note(request: Request | HttpRequest, **details: Any) -> None:
    """Say more about what the request did: `resource_id`, `results` (how many were given), or anything for the metadata."""
    notes_of(request).update(details)


def notes_of(request: Request | HttpRequest) -> dict[str, Any]:
    """What was said so far."""
    found: dict[str, Any] = request.META.setdefault(_NOTES, {})
    return found


def is_recorded_already(request: Request | HttpRequest) -> bool:
    """Has what the request did an entry by now, so that its view owes none?"""
    return bool(request.META.get(_RECORDED))


def has_recorded(request: Request | HttpRequest) -> None:
    """Say that what the request did, in place of its view's deed, has an entry of its own."""
    request.META[_RECORDED] = True


def act_for(request: Request | HttpRequest, *actors: Actor) -> None:
    """Say who acts, and in which logs it is recorded, where that is not the request's principal."""
    request.META[_ACTORS] = actors


def actors_of(request: Request | HttpRequest) -> Sequence[Actor]:
    """Who was named by `act_for`."""
    found: Sequence[Actor] = request.META.get(_ACTORS, ())
    return found
