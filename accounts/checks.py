"""System checks (`manage.py check`)."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks


@checks.register(deploy=True)
def roles_are_apart(app_configs: Any, **options: Any) -> list[checks.CheckMessage]:
    """The application should not own the tables that it writes to."""
    default, maintenance = settings.DATABASES["default"], settings.DATABASES["maintenance"]
    if default["USER"] != maintenance["USER"]:
        return []
    return [
        checks.Warning(
            "The application connects as the owner of the log's tables, so nothing in the database stops it from changing entries.",
            hint="Give DATABASE_URL and MAINTENANCE_DATABASE_URL different roles; deploy/roles.sql makes them.",
            id="auditlog.W001",
        )
    ]
