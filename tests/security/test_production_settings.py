"""Settings as in production: Django's own check finds nothing, and what is unsafe does not start."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.unit.accounts.test_token_keys import pem
from tests.web import CHECKOUT, manage

PRODUCTION = {
    "DATABASE_URL": "postgresql://auditlog_app:x@db.example/auditlog",
    "MAINTENANCE_DATABASE_URL": "postgresql://auditlog_maintenance:x@db.example/auditlog",
    "REDIS_URL": "redis://redis.example/0",
    "AUDITLOG_SECRET_KEY": secrets.token_urlsafe(48),
    "AUDITLOG_TOKEN_KEY": pem(Ed25519PrivateKey.generate()),
    "AUDITLOG_ALLOWED_HOSTS": "audit.example",
    "AUDITLOG_USE_TLS": "true",
    "AUDITLOG_TRUSTED_PROXIES": "10.0.0.0/8",
}


def environment(**settings: str | None) -> dict[str, str]:
    """Nothing of this run's environment but what finds programs, and what measures coverage. None: not set."""
    inherited = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COV")}
    given = PRODUCTION | settings
    return inherited | {"DJANGO_SETTINGS_MODULE": "auditlog_project.settings"} | {name: value for name, value in given.items() if value is not None}


def start(module: str, **settings: str | None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", f"import {module}"]
    return subprocess.run(command, cwd=CHECKOUT, env=environment(**settings), capture_output=True, check=False)


def test_check_deploy_is_clean() -> None:
    done = manage(environment(), "check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr.decode()
    assert b"no issues" in done.stdout


@pytest.mark.parametrize("module", ["auditlog_project.asgi", "auditlog_project.wsgi"])
def test_safe_settings_start(module: str) -> None:
    done = start(module)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"AUDITLOG_TOKEN_KEY": None}, "auditlog.E001"),
        ({"AUDITLOG_TOKEN_KEY": "a secret that everybody could guess"}, "auditlog.E001"),
        ({"AUDITLOG_DEBUG": "true"}, "auditlog.E002"),
        ({"AUDITLOG_ALLOWED_HOSTS": "*"}, "auditlog.E003"),
        ({"AUDITLOG_SECRET_KEY": None}, "AUDITLOG_SECRET_KEY is not set"),
        ({"AUDITLOG_SECRET_KEY": "short"}, "shorter than 32"),
    ],
)
def test_unsafe_settings_do_not_start(settings: dict[str, str | None], found: str) -> None:
    for module in ("auditlog_project.asgi", "auditlog_project.wsgi"):
        done = start(module, **settings)
        assert done.returncode != 0
        assert found in done.stderr.decode()
    checked = manage(environment(**settings), "check", "--deploy")
    assert checked.returncode != 0
    assert found in checked.stderr.decode()
    for value in settings.values():
        assert not value or len(value) < 10 or value not in checked.stderr.decode()


def test_cookies_are_bound_to_the_host_and_to_tls() -> None:
    names = ["SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY", "CSRF_COOKIE_HTTPONLY"]
    names += ["SESSION_COOKIE_SAMESITE", "CSRF_COOKIE_SAMESITE", "SESSION_COOKIE_PATH", "SESSION_COOKIE_DOMAIN", "AUDITLOG_SECOND_FACTOR"]
    script = f"import json; from django.conf import settings as d; print(json.dumps([getattr(d, n) for n in {names}]))"
    done = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, env=environment(), capture_output=True, check=True)
    assert json.loads(done.stdout) == ["__Host-session", "__Host-csrf", True, True, True, True, "Lax", "Strict", "/", None, "required"]
