"""System checks of the log (`manage.py check`)."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from accounts.checks import START
from logs.privacy.encryption.master_keys import MAKE_ONE, master_keys


@checks.register()
def master_key_is_whole(app_configs: Any, **options: Any) -> list[checks.CheckMessage]:
    """A master key that is set has to be one."""
    return _faults_of_master_key() if settings.AUDITLOG_MASTER_KEY else []


@checks.register(START, deploy=True)
def master_key_is_set(app_configs: Any, **options: Any) -> list[checks.CheckMessage]:
    """A process that can't encrypt takes no entries."""
    return _faults_of_master_key()


def _faults_of_master_key() -> list[checks.CheckMessage]:
    try:
        master_keys()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), hint=MAKE_ONE, id="auditlog.E010")]
    return []
