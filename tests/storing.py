"""Fresh tenants with entries in them, stored the way the product stores them: checked, then committed by a writer."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from accounts.api_keys import create_api_key
from accounts.models import Ability, Membership, Role, Tenant, User
from accounts.models.api_key import Scope
from accounts.principals import Principal
from accounts.tokens import start_family
from logs.catalogue import catalogue_of
from logs.ingest import Submission
from logs.ingest.check import CheckedEntry, Checker, Reception
from logs.ingest.process import writer
from logs.privacy import protection_of

ENTRY: Mapping[str, Any] = {"user_id": "alice", "action": "UPDATE", "resource_type": "invoice"}
WAIT_SECONDS = 60


def new_tenant() -> Tenant:
    slug = f"t{uuid.uuid4().hex[:12]}"
    return Tenant.objects.create(slug=slug, name=slug)


def principal_in(tenant: Tenant, *, own_user_id: str | None = None) -> Principal:
    """A principal with every scope; with `own_user_id` as role User has it."""
    return Principal(tenant.id, tenant.slug, "key:testing", frozenset(Scope.values), frozenset(Ability.values), own_user_id=own_user_id)


def new_key(tenant: Tenant, *scopes: str) -> str:
    """An API key of the tenant, with both scopes if none is named."""
    return create_api_key(tenant, "testing", scopes or Scope.values)[1]


def new_token(tenant: Tenant, role: Role, log_user_id: str = "") -> str:
    """The access token of a new member."""
    user = User.objects.create_user(f"u{uuid.uuid4().hex[:12]}", password=uuid.uuid4().hex)
    Membership.objects.create(user=user, tenant=tenant, role=role, log_user_id=log_user_id)
    return start_family(user).access


def checked(tenant: Tenant, entries: Sequence[Mapping[str, Any]]) -> list[CheckedEntry]:
    """Entries as the writer takes them; what `ENTRY` has and they have not comes from there."""
    checker = Checker(Reception(principal_in(tenant), datetime.datetime.now(datetime.UTC), catalogue_of(tenant.id), protection_of(tenant.id)))
    return [checker.check(msgspec.json.encode({**ENTRY, **entry})) for entry in entries]


def store(tenant: Tenant, entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Commit entries. Answers their ids."""
    submission = Submission(checked(tenant, entries))
    writer().submit(submission)
    assert submission.wait(WAIT_SECONDS)
    assert submission.error is None
    return [entry.id for entry in submission.entries]
