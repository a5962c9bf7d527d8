"""System checks (`manage.py check`)."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks


@checks.register(deploy=True)
def proxies_are_named(app_configs: Any, **options: Any) -> list[checks.CheckMessage]:
    """HTTPS ends at a proxy; without its address nobody is believed who says that a request came by HTTPS."""
    if not settings.USE_TLS or settings.AUDITLOG_TRUSTED_PROXIES:
        return []
    return [
        checks.Warning(
            "AUDITLOG_USE_TLS is on and AUDITLOG_TRUSTED_PROXIES names no proxy, so every request passes for plain HTTP and is redirected.",
            hint="Give AUDITLOG_TRUSTED_PROXIES the address or network of the proxy in front.",
            id="auditlog.W010",
        )
    ]


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
