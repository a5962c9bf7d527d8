"""Connections of our own beside Django's: for threads and processes that live on one."""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import connections

CONNECT_TIMEOUT_SECONDS = 5


def connect(alias: str) -> psycopg.Connection[Any]:
    """A new connection under the role of the database `alias`, in autocommit mode. Raises psycopg.OperationalError."""
    parameters = connections[alias].get_connection_params()
    for name in ("pool", "cursor_factory", "context"):
        parameters.pop(name, None)
    parameters["connect_timeout"] = CONNECT_TIMEOUT_SECONDS
    return psycopg.connect(**parameters, autocommit=True)
