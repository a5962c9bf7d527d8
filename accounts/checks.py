"""System checks (`manage.py check`). Those with the tag `auditlog` also run before a web process answers: with an error it does not start."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from accounts.tokens import token_keys

# What is checked before the web processes start; other rooms register theirs with it.
START = "auditlog"


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


@checks.register(START, deploy=True)
def tokens_can_be_signed(app_configs: Any, **options: Any) -> list[checks.CheckMessage]:
    """No default: a key that everybody knows would let everybody in."""
    try:
        token_keys()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), hint="`make run` and deploy/make-secrets make one; docs/sign-in.md says how to change it.", id="auditlog.E001")]
    return []


@checks.register(START, deploy=True)
def production_is_closed(app_configs: Any, **options: Any) -> list[checks.CheckMessage]:
    """What may be open on a developer's machine may not be where AUDITLOG_USE_TLS says that others come."""
    if not settings.USE_TLS:
        return []
    found: list[checks.CheckMessage] = []
    if settings.DEBUG:
        found.append(checks.Error("Debug pages show settings and entries to whoever causes a fault.", hint="Leave AUDITLOG_DEBUG unset.", id="auditlog.E002"))
    if "*" in settings.ALLOWED_HOSTS:
        found.append(
            checks.Error(
                "Every host name is answered to, so a forged Host header gets into links and caches.",
                hint="Name the hosts in AUDITLOG_ALLOWED_HOSTS.",
                id="auditlog.E003",
            )
        )
    return found
