"""One table for everything."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class StockEntry(models.Model):
    """An audit entry as an ordinary model."""

    class Severity(models.IntegerChoices):
        INFO = 1
        WARNING = 2
        ERROR = 3
        CRITICAL = 4

    class Outcome(models.IntegerChoices):
        UNKNOWN = 0
        SUCCESS = 1
        FAILURE = 2

    id = models.UUIDField(primary_key=True, db_default=models.Func(function="uuidv7"), editable=False)
    tenant_id = models.UUIDField(editable=False)
    timestamp = models.DateTimeField()
    received_at = models.DateTimeField(db_default=Now(), editable=False)
    severity = models.SmallIntegerField(choices=Severity.choices, default=Severity.INFO)
    outcome = models.SmallIntegerField(choices=Outcome.choices, default=Outcome.UNKNOWN)
    is_imported = models.BooleanField(default=False, editable=False)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_id = models.TextField()
    action = models.TextField()
    resource_type = models.TextField()
    resource_id = models.TextField(null=True, blank=True)
    session_id = models.TextField(null=True, blank=True)
    request_id = models.TextField(null=True, blank=True)
    user_agent = models.TextField(null=True, blank=True)
    source = models.TextField(editable=False)
    message = models.TextField(null=True, blank=True)
    idempotency_key = models.TextField(null=True, blank=True)
    changed_fields = ArrayField(models.TextField(), null=True, editable=False)
    metadata = models.JSONField(null=True, blank=True)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)

    class Meta:
        app_label = "stock_peer"
        indexes = [
            models.Index(fields=["tenant_id", "user_id", "id"], name="stock_user"),
            models.Index(fields=["tenant_id", "action", "id"], name="stock_action"),
            models.Index(fields=["tenant_id", "resource_type", "resource_id", "id"], name="stock_resource"),
            models.Index(fields=["tenant_id", "request_id", "id"], name="stock_request", condition=models.Q(request_id__isnull=False)),
            models.Index(fields=["tenant_id", "session_id", "id"], name="stock_session", condition=models.Q(session_id__isnull=False)),
            models.Index(fields=["tenant_id", "ip_address", "id"], name="stock_ip_address", condition=models.Q(ip_address__isnull=False)),
            models.Index(fields=["tenant_id", "severity", "id"], name="stock_severity", condition=models.Q(severity__gte=3)),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.resource_type} by {self.user_id}"
