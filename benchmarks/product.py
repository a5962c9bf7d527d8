"""The product as `make run` serves it: its own servers in a temporary folder, a migrated database, web processes."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import psycopg

from auditlog_project.embedded import EmbeddedServers, serving
from auditlog_project.embedded.postgres import SUPERUSER
from auditlog_project.embedded.scratch import scratch_servers
from benchmarks.report import CHECKOUT, BenchmarkFailed

# The default of AUDITLOG_WEB_WORKERS.
WEB_WORKERS = min(os.cpu_count() or 1, 4)
START_TIMEOUT_SECONDS = 30
STOP_TIMEOUT_SECONDS = 20
TENANT = "benchmark"
# The default leaves no room for 64 clients of pgbench beside the web processes of product and peer.
POSTGRES_SETTINGS = {"max_connections": "250"}
API_KEY = re.compile(r"alk_([a-z0-9]{12})_[A-Za-z0-9_-]{43}")
_OURS = re.compile(r"AUDITLOG_|((MAINTENANCE|SEQUENCER)_)?DATABASE_URL|REDIS_URL|DJANGO_SETTINGS_MODULE")


@dataclass(frozen=True)
class Installation:
    """Servers with a migrated database, a tenant and its API key. `environment` is that of the product's processes."""

    servers: EmbeddedServers
    environment: Mapping[str, str]
    tenant_id: str
    api_key: str
    source: str

    @property
    def superuser_url(self) -> str:
        return self.servers.postgres.url(SUPERUSER, self.servers.database, "postgres-superuser")

    def ask(self, question: str, *parameters: object) -> tuple[object, ...]:
        """The first row of the answer, under the superuser: the application itself may not look at the tables."""
        with psycopg.connect(self.superuser_url) as connection:
            row: tuple[object, ...] | None = connection.execute(question.encode(), parameters).fetchone()
        if row is None:
            raise BenchmarkFailed(f"no answer to: {question}")
        return row

    def number(self, question: str, *parameters: object) -> int:
        return int(str(self.ask(question, *parameters)[0]))

    def lift_limits(self) -> None:
        """Measure what the product can do, not what one key may ask of it: every request is counted, and none is refused."""
        with psycopg.connect(self.superuser_url) as connection:
            connection.execute(
                "INSERT INTO accounts_ratelimit (endpoint_class, subject_kind, amount, window_seconds, is_active)"
                " SELECT class, kind, 1000000000, 60, true FROM unnest(ARRAY['ingest', 'search', 'export']) AS class,"
                " unnest(ARRAY['principal', 'tenant', 'address']) AS kind"
            )

    @property
    def postgresql_version(self) -> str:
        return str(self.ask("SHOW server_version")[0]).split()[0]


@contextmanager
def installation() -> Iterator[Installation]:
    """A new installation for the length of the block."""
    with scratch_servers(postgres_settings=POSTGRES_SETTINGS) as servers:
        # Settings of whoever calls are not what is measured.
        own = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
        environment = own | servers.environment() | {"AUDITLOG_STATE_DIR": str(servers.folders.state)}
        manage = [sys.executable, str(CHECKOUT / "manage.py")]
        run_program([*manage, "migrate", "--no-input", "--verbosity", "0"], environment)
        run_program([*manage, "prepare"], environment)
        key = API_KEY.search(run_program([*manage, "bootstrap", "--tenant", TENANT], environment))
        if key is None:
            raise BenchmarkFailed("`manage.py bootstrap` printed no API key")
        bare = Installation(servers, environment, "", key[0], f"key:{key[1]}")
        tenant_id = str(bare.ask("SELECT id FROM accounts_tenant WHERE slug = %s", TENANT)[0])
        installed = Installation(servers, environment, tenant_id, key[0], f"key:{key[1]}")
        installed.lift_limits()
        yield installed


_MAKE_TENANT = """
from accounts.api_keys import create_api_key
from accounts.models import Tenant
from accounts.models.api_key import Scope
from logs.models import LogSettings
tenant = Tenant.objects.create(slug={name!r}, name={name!r})
LogSettings.objects.create(tenant=tenant, **{log_settings!r})
print(tenant.id, create_api_key(tenant, "benchmark", Scope.values)[1])
"""


def with_tenant(installed: Installation, name: str, **log_settings: object) -> Installation:
    """The same installation as another, new tenant of it has it, whose log has these settings."""
    command = [sys.executable, str(CHECKOUT / "manage.py"), "shell", "-c", _MAKE_TENANT.format(name=name, log_settings=log_settings)]
    printed = run_program(command, installed.environment)
    key = API_KEY.search(printed)
    if key is None:
        raise BenchmarkFailed(f"no tenant was made: {printed}")
    return replace(installed, tenant_id=printed[: key.start()].split()[-1], api_key=key[0], source=f"key:{key[1]}")


def run_program(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """What the program printed. Raises BenchmarkFailed with the end of its output if it fails."""
    done = subprocess.run(
        command, cwd=CHECKOUT, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )  # fmt: skip
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise BenchmarkFailed(f"{' '.join(command[:4])} failed (exit code {done.returncode}):\n{tail}")
    return done.stdout


def check_that_all_are_stored(installed: Installation, acknowledged: int) -> None:
    """Raises BenchmarkFailed unless the table holds each acknowledged entry, no other, and the batches say the same."""
    stored = installed.number("SELECT count(*) FROM auditlog.logs_entry WHERE tenant_id = %s AND source = %s", installed.tenant_id, installed.source)
    if stored != acknowledged:
        raise BenchmarkFailed(f"{acknowledged} entries were acknowledged and {stored} are stored")
    entries = installed.number("SELECT count(*) FROM auditlog.logs_entry WHERE tenant_id = %s", installed.tenant_id)
    in_batches = installed.number("SELECT coalesce(sum(entry_count), 0) FROM auditlog.logs_batch WHERE tenant_id = %s", installed.tenant_id)
    if entries != in_batches:
        raise BenchmarkFailed(f"{entries} entries are stored and the batches count {in_batches}")


# -- web processes -------------------------------------------------------------------------------------------------


def web_command(port: int) -> list[str]:
    """The web server's command line, as `make run` has it."""
    return serving.commands("127.0.0.1", port, WEB_WORKERS)["web"]


class WebServer:
    """A granian with its workers on a loopback port."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.port = port
        self._process = process
        self._log = log

    def wait_until_ready(self, path: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not _answers(self.port, path):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkFailed(f"the web server did not start:\n{self.log_end()}")
            time.sleep(0.1)

    def peak_rss_mib(self) -> float:
        """The most memory that any one of its processes has ever held (the kernel's VmHWM)."""
        processes = [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children(recursive=True)]
        return max(_high_water_mark_kib(process.pid) for process in processes) / 1024

    def log_end(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-25:])

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                for child in psutil.Process(self._process.pid).children(recursive=True):
                    child.kill()
                self._process.kill()
                self._process.wait()


@contextmanager
def web_server(command: Sequence[str], port: int, environment: Mapping[str, str], log: Path, *, ready_path: str) -> Iterator[WebServer]:
    """`command`, answering on `port`, for the length of the block."""
    with log.open("wb") as opened:
        process = subprocess.Popen(
            command, cwd=CHECKOUT, env=dict(environment), stdin=subprocess.DEVNULL, stdout=opened, stderr=subprocess.STDOUT
        )  # fmt: skip
    server = WebServer(process, port, log)
    try:
        server.wait_until_ready(ready_path)
        yield server
    finally:
        server.stop()


@contextmanager
def product_server(installed: Installation) -> Iterator[WebServer]:
    """The product's web processes."""
    port = free_port()
    log = installed.servers.folders.logs / "web.log"
    with web_server(web_command(port), port, installed.environment, log, ready_path="/readyz") as server:
        yield server


class SequencerProcess:
    """The product's sequencer, which can be stopped and started again."""

    def __init__(self, installed: Installation) -> None:
        self._installed = installed
        self._log = installed.servers.folders.logs / "sequencer.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = serving.commands("127.0.0.1", 0, 1)["sequencer"]
        with self._log.open("ab") as opened:
            self._process = subprocess.Popen(
                command, cwd=CHECKOUT, env=dict(self._installed.environment), stdin=subprocess.DEVNULL, stdout=opened, stderr=subprocess.STDOUT
            )  # fmt: skip

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOP_TIMEOUT_SECONDS)

    def wait_until_all_is_sequenced(self, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while self.waiting_batches():
            if time.monotonic() > deadline or (self._process is not None and self._process.poll() is not None):
                raise BenchmarkFailed(f"the sequencer did not finish:\n{self._log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)

    def waiting_batches(self) -> int:
        return self._installed.number("SELECT batches FROM auditlog.logs_waiting")

    def cpu_seconds(self) -> float:
        assert self._process is not None
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)


@contextmanager
def sequencer(installed: Installation) -> Iterator[SequencerProcess]:
    """The product's sequencer for the length of the block."""
    process = SequencerProcess(installed)
    try:
        process.start()
        yield process
    finally:
        process.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _high_water_mark_kib(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) if found else 0
