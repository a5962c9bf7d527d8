"""Encrypted fields from the post to every reader."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Tenant
from logs import catalogue
from logs.models import LogSettings
from tests.api import LOGS, Api, entry, service_of
from tests.storing import new_key, new_tenant

SSN = "219-09-9999-planted"
BEFORE = {"status": "draft-planted", "amount": 12}
AFTER = {"status": "sent-planted", "amount": 12, "note": "x" * 1000}
HIDDEN = {"encrypted": True}


def settle(tenant: Tenant, **values: Any) -> None:
    """Give the tenant's log these settings, at once."""
    row = LogSettings.objects.get_or_create(pk=tenant.pk)[0]
    for name, value in values.items():
        setattr(row, name, value)
    row.save()
    catalogue.forget()


@pytest.fixture
def tenant() -> Tenant:
    tenant = new_tenant()
    settle(tenant, encrypted_metadata_keys=["ssn"])
    return tenant


@pytest.fixture
def service(tenant: Tenant) -> Api:
    return service_of(tenant)


def reader(tenant: Tenant) -> Api:
    """Who may read, and not decrypt."""
    return Api(new_key(tenant, "logs:read"))


def posted(service: Api, **fields: Any) -> str:
    answer = service.post(LOGS, entry(before=BEFORE, after=AFTER, metadata={"ssn": SSN, "channel": "web"}, **fields))
    assert answer.status_code == 201, answer.content
    return str(answer.json()["id"])


def test_before_and_after_come_back_for_who_may_decrypt_and_for_nobody_else(tenant: Tenant, service: Api) -> None:
    id = posted(service)
    clear = service.get(f"{LOGS}/{id}").json()
    assert (clear["before"], clear["after"], clear["metadata"]) == (BEFORE, AFTER, {"ssn": SSN, "channel": "web"})
    assert clear["changed_fields"] == ["note", "status"]
    answer = reader(tenant).get(f"{LOGS}/{id}")
    seen = answer.json()
    assert (seen["before"], seen["after"], seen["metadata"]) == (HIDDEN, HIDDEN, {"ssn": HIDDEN, "channel": "web"})
    assert b"planted" not in answer.content
    assert b"$encrypted" not in answer.content
