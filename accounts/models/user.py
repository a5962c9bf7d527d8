"""People who sign in."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django_otp.models import Device


class User(AbstractUser):
    """A person with a password. What they may do in a tenant is their `Membership`; `is_staff` opens the admin."""

    # What accepted the second factor of this sign-in; None if nothing did.
    otp_device: Device | None = None

    class Meta(AbstractUser.Meta):
        db_table = "accounts_user"
