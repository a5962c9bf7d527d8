"""docs/schema.sql is what the migrations make of an empty database."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
from psycopg import sql

from auditlog_project.embedded import EmbeddedServers
from auditlog_project.embedded.postgres import MAINTENANCE_ROLE
from auditlog_project.schema_page import schema_page
from tests.servers import TEMPLATE
from tests.web import CHECKOUT

COPY = "auditlog_schema_page"


def test_schema_page_is_what_the_migrations_make() -> None:
    servers = EmbeddedServers(Path(os.environ["AUDITLOG_STATE_DIR"]), database=TEMPLATE)
    copy = sql.Identifier(COPY)
    with psycopg.connect(servers.postgres.superuser_url, autocommit=True) as connection:
        # Nobody may connect to the template, and in this process's own database other tests have made partitions.
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(copy, sql.Identifier(TEMPLATE), sql.Identifier(MAINTENANCE_ROLE)))
        try:
            made = schema_page(servers, COPY)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {}").format(copy))
    assert (CHECKOUT / "docs" / "schema.sql").read_text() == made, "run `make docs`"
