"""Writes docs/schema.sql, the log's tables as the migrations leave them: `python -m auditlog_project.schema_page > docs/schema.sql`.

The migrations run on a scratch server, and pg_dump says what they came to. Django's own tables are left out: their models describe them.
"""

from __future__ import annotations

import os
import re
import subprocess  # nosec B404  # our own programs, as lists, never by a shell
import sys
from pathlib import Path

from auditlog_project.embedded import EmbeddedServers, SetupError, scratch_servers
from auditlog_project.embedded.postgres import MAINTENANCE_ROLE

CHECKOUT = Path(__file__).resolve().parent.parent
HEAD = """-- The log's tables, views, functions and rights, as the migrations leave them: the schema "auditlog".
-- Written by `make docs`; why things are as they are stands in logs/migrations/sql/. Partitions are made as days come.
"""
# pg_dump's preparations, its key against what a hostile server might send, and its captions.
_NOISE = re.compile(r"^(?:SET .*;|SELECT pg_catalog\.set_config.*;|\\(?:un)?restrict .*|--.*)\n", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n{3,}")


def schema_page(servers: EmbeddedServers, database: str) -> str:
    """The page for a migrated `database` of running `servers`. Raises SetupError if pg_dump fails."""
    url = servers.postgres.url(MAINTENANCE_ROLE, database)
    command = [str(servers.postgres.programs / "pg_dump"), "--schema-only", "--schema", "auditlog", "--no-owner", "--dbname", url]
    done = subprocess.run(command, env={"LC_ALL": "C", "TZ": "UTC"}, capture_output=True, text=True, check=False)  # nosec B603  # arguments of ours, as a list
    if done.returncode != 0:
        raise SetupError(f"pg_dump failed: {done.stderr.strip()}")
    return HEAD + "\n" + _BLANK_LINES.sub("\n\n", _NOISE.sub("", done.stdout)).strip() + "\n"


def main() -> int:
    with scratch_servers() as servers:
        environment = os.environ | servers.environment() | {"AUDITLOG_STATE_DIR": str(servers.folders.state)}
        command = [sys.executable, str(CHECKOUT / "manage.py"), "migrate", "--no-input", "--verbosity", "0"]
        subprocess.run(command, cwd=CHECKOUT, env=environment, check=True)  # nosec B603  # arguments of ours, as a list
        print(schema_page(servers, servers.database), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
