"""The database as its superuser has it: without rules, triggers or rights in the way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings

from auditlog_project.embedded import EmbeddedServers


@contextmanager
def superuser() -> Iterator[psycopg.Connection[Any]]:
    """A connection in autocommit to this process's database, on which no trigger fires."""
    servers = EmbeddedServers(Path(os.environ["AUDITLOG_STATE_DIR"]))
    with psycopg.connect(servers.postgres.superuser_url, dbname=settings.DATABASES["default"]["NAME"], autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection
