"""Servers for the length of a block: for tests, benchmarks and commands that need a database and leave nothing behind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auditlog_project.embedded.servers import EmbeddedServers


@contextmanager
def scratch_servers(*, database: str = "auditlog", postgres_settings: dict[str, str] | None = None) -> Iterator[EmbeddedServers]:
    """PostgreSQL and Redis in a temporary folder, stopped and deleted with all their data at the end of the block."""
    state = Path(tempfile.mkdtemp(prefix="auditlog-"))
    # For root, PostgreSQL's own account has to get through to its folder below; each folder in here is closed by itself.
    state.chmod(0o711)
    servers = EmbeddedServers(state, database=database, postgres_settings=postgres_settings)
    try:
        servers.start()
        yield servers
    finally:
        servers.redis.stop()
        # No checkpoint: nobody will read this data again.
        servers.postgres.stop(mode="immediate")
        servers.folders.remove()
