"""People who sign in."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A person with a password. What they may do in a tenant is their `Membership`; `is_staff` opens the admin."""

    class Meta(AbstractUser.Meta):
        db_table = "accounts_user"
