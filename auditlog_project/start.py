"""What has to hold before a web process answers."""

from __future__ import annotations

from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from accounts.checks import START


def refuse_unsafe_settings() -> None:
    """Raises ImproperlyConfigured with every error of the checks that are tagged for the start. Django has to be set up."""
    errors = [found for found in checks.run_checks(tags=[START], include_deployment_checks=True) if found.is_serious()]
    if errors:
        raise ImproperlyConfigured("\n".join(f"{error.id}: {error.msg} {error.hint or ''}".rstrip() for error in errors))
