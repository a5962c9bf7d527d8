"""PostgreSQL and Redis together, and the environment that points our own processes at them."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from auditlog_project.embedded.folders import lay_out
from auditlog_project.embedded.master_key import master_key_file
from auditlog_project.embedded.postgres import APPLICATION_ROLE, MAINTENANCE_ROLE, SEQUENCER_ROLE, Postgres
from auditlog_project.embedded.redis import Redis
from auditlog_project.embedded.signing_key import TOKEN_KEY_FILE_NAME, signing_key_file

ADDRESSES_FILE = "embedded.env"


class EmbeddedServers:
    """The embedded PostgreSQL and Redis whose files live below `state`.

    `start()` leaves both answering, the database made and its roles in place; `environment()` is what a process needs
    to reach them. The same is written to `state/embedded.env` (mode 0600), so that `manage.py` in another terminal
    finds them without being told.
    """

    def __init__(self, state: Path, *, database: str = "auditlog", postgres_settings: dict[str, str] | None = None) -> None:
        self.database = database
        self.folders = lay_out(state)
        self.postgres = Postgres(self.folders, settings=postgres_settings)
        self.redis = Redis(self.folders)

    def start(self) -> None:
        self.postgres.start()
        self.postgres.provision(self.database)
        self.redis.start()
        self._write_addresses()

    def stop(self) -> None:
        """Stop Redis, then PostgreSQL; data stays."""
        self.redis.stop()
        self.postgres.stop()

    def environment(self, *, database: str | None = None, redis_number: int = 0) -> dict[str, str]:
        """Addresses and secrets as environment variables, as a production deployment would set them."""
        database = database or self.database
        return {
            "DATABASE_URL": self.postgres.url(APPLICATION_ROLE, database),
            "MAINTENANCE_DATABASE_URL": self.postgres.url(MAINTENANCE_ROLE, database),
            "SEQUENCER_DATABASE_URL": self.postgres.url(SEQUENCER_ROLE, database),
            "REDIS_URL": self.redis.url(redis_number),
            "AUDITLOG_SECRET_KEY": self.postgres.secret("django-secret-key"),
            "AUDITLOG_SIGNING_KEY_FILE": str(signing_key_file(self.folders.secrets)),
            "AUDITLOG_MASTER_KEY_FILE": str(master_key_file(self.folders.secrets)),
            "AUDITLOG_TOKEN_KEY_FILE": str(signing_key_file(self.folders.secrets, TOKEN_KEY_FILE_NAME)),
        }

    def _write_addresses(self) -> None:
        path = self.folders.state / ADDRESSES_FILE
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.writelines(f"{name}={shlex.quote(value)}\n" for name, value in self.environment().items())
        draft.replace(path)
