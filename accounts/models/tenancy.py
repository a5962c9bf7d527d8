"""Tenants and their members."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

if TYPE_CHECKING:
    from accounts.models.api_key import ApiKey


class Role(models.TextChoices):
    """What a member may do: everything; read everything; post and read entries about themselves."""

    ADMIN = "admin", "Admin"
    AUDITOR = "auditor", "Auditor"
    USER = "user", "User"


class Tenant(models.Model):
    """An application or organisation whose log this is."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.CharField(
        max_length=63,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z", "Lower-case letters, digits and hyphens.")],
        help_text="Names the tenant in headers and addresses.",
    )
    name = models.CharField(max_length=200)
    is_active = models.BooleanField(default=True, help_text="Nobody can post to or read from a tenant that is not active.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug


class Membership(models.Model):
    """A user's role in a tenant."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.USER)
    log_user_id = models.CharField(
        "user id in the log",
        max_length=256,
        blank=True,
        help_text="The user_id by which entries mean this member; empty: the user name. Role User sees only these.",
    )
    grant = models.ForeignKey(
        "accounts.AccessGrant",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="memberships",
        help_text="What the member sees and may do; empty: what the role gives.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "tenant"], name="one_membership_per_user_and_tenant")]
        ordering = ["tenant", "user"]

    def __str__(self) -> str:
        return f"{self.user} in {self.tenant} as {self.role}"

    def clean(self) -> None:
        check_grant(self)

    @property
    def own_user_id(self) -> str:
        return self.log_user_id or self.user.get_username()


def check_grant(holder: Membership | ApiKey) -> None:
    """Raises ValidationError if the holder's grant is another tenant's."""
    if holder.grant is not None and holder.grant.tenant_id != holder.tenant_id:
        raise ValidationError({"grant": ValidationError("The grant belongs to another tenant.", code="unknown_grant")})
