"""A pytest plugin (`-p tests.servers`): a real PostgreSQL and a real Redis for the run, a database for each worker.

The process that was started (under xdist the controller) starts the servers in a temporary folder and migrates one
database. Each process that runs tests copies that into a database of its own, before Django's settings are imported,
and takes a Redis number of its own. Durability is the product's: it is a promise under test.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from auditlog_project.embedded import EmbeddedServers, SetupError, scratch_servers
from auditlog_project.embedded.postgres import MAINTENANCE_ROLE

CHECKOUT = Path(__file__).resolve().parent.parent
TEMPLATE = "auditlog_template"
# Many small pools; and memory for one machine with several such runs on it.
POSTGRES_SETTINGS = {"max_connections": "300", "shared_buffers": "256MB"}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """A wrapper, for it has to come before pytest-django, which imports the settings in this hook."""
    options = early_config.known_args_namespace
    if options.help or options.version:
        return (yield)
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        _forget_settings()
        signal.signal(signal.SIGTERM, _interrupt)
        stack = ExitStack()
        early_config.add_cleanup(stack.close)
        try:
            servers = stack.enter_context(scratch_servers(database=TEMPLATE, postgres_settings=POSTGRES_SETTINGS))
            _migrate_template(servers)
        except SetupError as error:
            raise pytest.UsageError(str(error)) from error
        _use_own_database(servers, "main", 0)
    else:
        # xdist starts its workers with the controller's environment.
        servers = EmbeddedServers(Path(os.environ["AUDITLOG_STATE_DIR"]), database=TEMPLATE)
        _use_own_database(servers, worker, int(worker.removeprefix("gw")) + 1)
    return (yield)


def _forget_settings() -> None:
    """Tests see defaults, whatever the developer's shell has set for `make run`."""
    addresses = ("DATABASE_URL", "MAINTENANCE_DATABASE_URL", "SEQUENCER_DATABASE_URL", "REDIS_URL")
    for name in list(os.environ):
        if name.startswith("AUDITLOG_") or name.removesuffix("_FILE") in addresses:
            del os.environ[name]


def _interrupt(number: int, frame: object) -> None:
    """SIGTERM (a CI job's end) is to end the run as Ctrl-C does, or the servers would stay behind."""
    raise KeyboardInterrupt


def _migrate_template(servers: EmbeddedServers) -> None:
    environment = os.environ | servers.environment() | {"AUDITLOG_STATE_DIR": str(servers.folders.state)}
    command = [sys.executable, str(CHECKOUT / "manage.py"), "migrate", "--no-input", "--verbosity", "0"]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"manage.py migrate failed:\n{done.stdout}{done.stderr}")
    with psycopg.connect(servers.postgres.superuser_url, autocommit=True) as connection:
        # A database that nobody can connect to can be copied at any moment, by several at once.
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(TEMPLATE)))


def _use_own_database(servers: EmbeddedServers, worker: str, redis_number: int) -> None:
    """Copy the template, and point this process and those it starts at the copy."""
    name = f"auditlog_{worker}"
    with psycopg.connect(servers.postgres.superuser_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(TEMPLATE), sql.Identifier(MAINTENANCE_ROLE))
        )
    os.environ.update(servers.environment(database=name, redis_number=redis_number))
    os.environ["AUDITLOG_STATE_DIR"] = str(servers.folders.state)
