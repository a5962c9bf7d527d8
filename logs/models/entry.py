"""Entries, as the application may see them: read only, and only the tenant that the transaction names."""

from __future__ import annotations

from typing import Any, NoReturn

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Severity(models.IntegerChoices):
    """How grave. Stored as its number, so that order is order."""

    INFO = 1, "INFO"
    WARNING = 2, "WARNING"
    ERROR = 3, "ERROR"
    CRITICAL = 4, "CRITICAL"


class Outcome(models.IntegerChoices):
    """How the action ended."""

    UNKNOWN = 0, "unknown"
    SUCCESS = 1, "success"
    FAILURE = 2, "failure"


class Entry(models.Model):
    """Who did what to which resource, when, from where, and how it was before and after.

    Read through the tenant view: outside `logs.storage.reading.tenant_transaction` there are none. Never written by the
    ORM: entries come in through `logs.ingest` only, and nobody changes them.
    """

    id = models.UUIDField(primary_key=True)
    tenant_id = models.UUIDField()
    batch_id = models.BigIntegerField()
    timestamp = models.DateTimeField()
    received_at = models.DateTimeField()
    batch_index = models.IntegerField()
    severity = models.SmallIntegerField(choices=Severity.choices)
    outcome = models.SmallIntegerField(choices=Outcome.choices)
    is_imported = models.BooleanField()
    ip_address = models.GenericIPAddressField(null=True)
    user_id = models.TextField()
    action = models.TextField()
    resource_type = models.TextField()
    resource_id = models.TextField(null=True)
    session_id = models.TextField(null=True)
    request_id = models.TextField(null=True)
    user_agent = models.TextField(null=True)
    source = models.TextField()
    message = models.TextField(null=True)
    idempotency_key = models.TextField(null=True)
    changed_fields = ArrayField(models.TextField(), null=True)
    masked = ArrayField(models.TextField(), null=True)
    metadata = models.JSONField(null=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        managed = False
        # Quoted already, so that Django takes it as schema and name.
        db_table = '"auditlog"."logs_entry_view"'
        ordering = ["-id"]
        verbose_name_plural = "entries"

    def __str__(self) -> str:
        return f"{self.action} {self.resource_type} by {self.user_id}"

    def save(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("Entries are written by logs.ingest, never by the ORM.")

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("Entries leave by retention, never by the ORM.")
