"""Where a tenant's entries are forwarded to, and how far that has come."""

from __future__ import annotations

import uuid

from django.db import models

from accounts.models import Tenant
from accounts.versions import Versioned


class ForwarderKind(models.TextChoices):
    """How a destination takes entries."""

    WEBHOOK = "webhook", "webhook: batches of NDJSON, signed as Standard Webhooks say"
    SPLUNK = "splunk", "splunk: HTTP Event Collector"
    SYSLOG = "syslog", "syslog: RFC 5424 over TCP or TLS"
    OBJECTS = "objects", "objects: gzip NDJSON by hour in an object storage"


class Forwarder(Versioned, models.Model):
    """One destination, with a durable cursor: everything up to `position` has arrived."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="forwarders")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=8, choices=ForwarderKind.choices)
    query = models.TextField(blank=True, help_text="In the query language; empty: every entry.")
    # Of the address no more than this is shown to anybody; and what is sealed for what (logs.forwarding.destinations).
    host = models.CharField(max_length=300, blank=True, editable=False)
    sealed = models.BinaryField(editable=False)
    seal_key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    is_active = models.BooleanField(default=True, help_text="Off: paused. It goes on from where it was.")
    position = models.BigIntegerField(editable=False)
    # The end of what is being written as one object: written again under the same name if nobody knows whether it was.
    pending_last = models.BigIntegerField(null=True, editable=False)
    # Goes up with every change: whoever sends by what was there before moves nothing.
    version = models.PositiveIntegerField(default=1, editable=False)
    sent_count = models.BigIntegerField(default=0, editable=False)
    sent_at = models.DateTimeField(null=True, editable=False)
    # When it last had nothing left to send.
    caught_up_at = models.DateTimeField(null=True, editable=False)
    failure_count = models.PositiveIntegerField(default=0, editable=False)
    last_error = models.CharField(max_length=300, blank=True, editable=False)
    failed_at = models.DateTimeField(null=True, editable=False)
    created_by = models.CharField(max_length=160, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="one_forwarder_per_name")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name
