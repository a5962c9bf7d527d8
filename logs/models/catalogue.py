"""What a tenant says about its log: settings, and the catalogue of its actions."""

from __future__ import annotations

import secrets

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models

from accounts.models import Tenant
from logs.models.entry import Severity

# Ends by a look-ahead: `$` would let a line feed at the end pass in Python.
ACTION_PATTERN = r"^[A-Z][A-Z0-9_.:-]{0,63}(?![\s\S])"


class CatalogueMode(models.TextChoices):
    """What happens to an entry that its action's description does not allow."""

    OFF = "off", "off: not checked"
    WARN = "warn", "warn: stored, the answer says what does not fit"
    ENFORCE = "enforce", "enforce: refused"


class EncryptedField(models.TextChoices):
    """A field of an entry that is encrypted as a whole."""

    BEFORE = "before", "before"
    AFTER = "after", "after"


def new_id_secret() -> bytes:
    return secrets.token_bytes(32)


def all_encrypted_fields() -> list[str]:
    return list(EncryptedField.values)


class LogSettings(models.Model):
    """A tenant's settings for its log."""

    tenant = models.OneToOneField(Tenant, on_delete=models.PROTECT, primary_key=True, related_name="log_settings")
    # Makes ids from idempotency keys (logs.storage.ids). It must never change: a retry would become a second entry.
    id_secret = models.BinaryField(max_length=32, default=new_id_secret, editable=False)
    catalogue_mode = models.CharField(max_length=8, choices=CatalogueMode.choices, default=CatalogueMode.OFF)
    # A change counts for entries that come in after it; what is stored stays as it is.
    encrypted_fields = ArrayField(
        models.CharField(max_length=8, choices=EncryptedField.choices),
        default=all_encrypted_fields,
        blank=True,
        help_text="Encrypted as a whole in entries to come: before, after.",
    )
    encrypted_metadata_keys = ArrayField(
        models.CharField(max_length=128),
        default=list,
        blank=True,
        size=100,
        help_text="Top-level keys of the metadata whose values are encrypted in entries to come, separated by commas. They can't be searched then.",
    )
    subject_key = models.CharField(
        max_length=128,
        blank=True,
        default="",
        help_text="Top-level key of the metadata that names the data subject, where it is not the user: their key encrypts the entry.",
    )
    pseudonymises_users = models.BooleanField(default=False, help_text="Entries to come hold a pseudonym in place of user_id.")

    class Meta:
        verbose_name = verbose_name_plural = "log settings"

    def __str__(self) -> str:
        return f"log of {self.tenant}"


class ActionDefinition(models.Model):
    """One action that a tenant's services log: what it is called, how it reads, what belongs to it."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="actions")
    name = models.CharField(max_length=64, validators=[RegexValidator(ACTION_PATTERN, "Upper case: A-Z, 0-9, _ . : -")])
    title_template = models.CharField(
        max_length=300,
        blank=True,
        help_text='How an entry reads, such as "{user} deleted {resource}". Also {resource_type}, {resource_id}, {action}, {metadata.<key>}.',
    )
    default_severity = models.SmallIntegerField(
        choices=Severity.choices, null=True, blank=True, help_text="Taken for entries that name no severity; empty: INFO."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="one_definition_per_action")]
        ordering = ["tenant", "name"]

    def __str__(self) -> str:
        return self.name


class ActionSchema(models.Model):
    """One version of the JSON Schema that an action's metadata has to fit. The newest counts; older ones stay on record."""

    definition = models.ForeignKey(ActionDefinition, on_delete=models.CASCADE, related_name="schemas")
    version = models.PositiveIntegerField()
    schema = models.JSONField(help_text="JSON Schema (draft 2020-12) for `metadata`.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["definition", "version"], name="one_schema_per_version")]
        ordering = ["definition", "-version"]

    def __str__(self) -> str:
        return f"{self.definition} v{self.version}"
