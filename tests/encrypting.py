"""Tenants that encrypt, and what their tables hold."""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import Any

import msgspec
from django.db import connections

from accounts.models import Tenant
from logs import catalogue
from logs.ingest import Submission
from logs.ingest.check import Checker, Reception
from logs.ingest.process import writer
from logs.models import ActionDefinition, LogSettings
from logs.privacy import Content, Protection
from logs.privacy.encryption import encryption_of
from logs.privacy.masking import Seal
from tests.api import LOGS, Api, entry
from tests.storing import WAIT_SECONDS, new_key, new_tenant, principal_in

DIAGNOSIS = "2019-planted-diagnosis"
BEFORE: dict[str, Any] = {"status": "draft-planted", "amount": 12}
AFTER: dict[str, Any] = {"status": "sent-planted", "amount": 12, "note": "x" * 1000}
HIDDEN: dict[str, Any] = {"encrypted": True}


def settle(tenant: Tenant, **values: Any) -> None:
    """Give the tenant's log these settings, at once."""
    row = LogSettings.objects.get_or_create(pk=tenant.pk)[0]
    for name, value in values.items():
        setattr(row, name, value)
    row.save()
    catalogue.forget()


def encrypting_tenant() -> Tenant:
    """A tenant that encrypts before, after and the metadata's `diagnosis`."""
    tenant = new_tenant()
    settle(tenant, encrypted_metadata_keys=["diagnosis"])
    return tenant


def describe_update(tenant: Tenant) -> None:
    """Have UPDATE read `<user> and <diagnosis>`."""
    ActionDefinition.objects.create(tenant=tenant, name="UPDATE", title_template="{user} and {metadata.diagnosis}")
    catalogue.forget()


def reader_of(tenant: Tenant) -> Api:
    """Who may read, and not decrypt."""
    return Api(new_key(tenant, "logs:read"))


def posted(service: Api, **fields: Any) -> str:
    """The id of a new entry with everything in it that is encrypted."""
    answer = service.post(LOGS, entry(**{"before": BEFORE, "after": AFTER, "metadata": {"diagnosis": DIAGNOSIS, "channel": "web"}} | fields))
    assert answer.status_code == 201, answer.content
    return str(answer.json()["id"])


def stored(id: str, column: str) -> Any:
    """What the table itself has."""
    with connections["maintenance"].cursor() as cursor:
        cursor.execute(f'SELECT "{column}"::text FROM auditlog.logs_entry WHERE id = %s', [id])
        return json.loads(cursor.fetchone()[0])


def key_id_of(id: str, column: str = "before") -> int:
    """The data key that a stored field names."""
    return int(stored(id, column)["$encrypted"].split(".")[1])


def key_count(tenant: Tenant) -> int:
    with connections["maintenance"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM auditlog.logs_data_key WHERE tenant_id = %s", [tenant.id])
        return int(cursor.fetchone()[0])


class SealsMessages(Protection):
    """As a masking rule that encrypts has it: the message is sealed."""

    def masked(self, content: Content, seal: Seal | None = None) -> Content:
        assert seal is not None
        return dataclasses.replace(content, message=seal.seal_text("/message", content.message or ""))


def store_sealed_message(tenant: Tenant, message: str) -> None:
    """Commit an entry whose message is encrypted."""
    protection = SealsMessages(encryption=encryption_of(tenant.id))
    reception = Reception(principal_in(tenant), datetime.datetime.now(datetime.UTC), catalogue.catalogue_of(tenant.id), protection)
    submission = Submission([Checker(reception).check(msgspec.json.encode(entry(message=message)))])
    writer().submit(submission)
    assert submission.wait(WAIT_SECONDS)
    assert submission.error is None
