"""`run`: from an empty machine (or a prepared one) to a service that answers, and back."""

from __future__ import annotations

import errno
import os
import socket
import subprocess  # nosec B404  # our own programs, as lists, never by a shell
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from auditlog_project.embedded.errors import SetupError
from auditlog_project.embedded.lock import sole_user
from auditlog_project.embedded.master_key import master_key_file
from auditlog_project.embedded.servers import EmbeddedServers
from auditlog_project.embedded.signals import ignore_stop
from auditlog_project.embedded.signing_key import FILE_NAME, TOKEN_KEY_FILE_NAME, signing_key_file
from auditlog_project.embedded.supervisor import STOP_SECONDS, supervise

CHECKOUT = Path(__file__).resolve().parent.parent.parent
ADDRESSES = ("DATABASE_URL", "REDIS_URL")
# What only migrations and the sequencer need: rights on the log's tables, and the key that signs for it.
OF_THE_SEQUENCER = ("MAINTENANCE_DATABASE_URL", "SEQUENCER_DATABASE_URL", "AUDITLOG_SIGNING_KEY")
# What the archiver needs of these: it frees what is safely stored elsewhere.
OF_THE_ARCHIVER = ("MAINTENANCE_DATABASE_URL",)
# Who encrypts and decrypts, and so gets the master key.
WHO_DECRYPT = ("web", "worker", "sender", "follower")
# What only those who sign people in need: the key of their tokens.
OF_THE_WEB = ("AUDITLOG_TOKEN_KEY",)
# Longest that a web worker may take over the requests it has accepted; a commit is waited for 15 s, a writer's last 30 s.
WEB_STOP_SECONDS = 40


def run(state: Path) -> int:
    """Prepare everything and serve until asked to stop. Returns the exit code; raises SetupError if it can't start."""
    with sole_user(state, patience_seconds=STOP_SECONDS + 10):
        if _has_own_servers():
            return _serve(_with_keys(os.environ | {"AUDITLOG_STATE_DIR": str(state)}, state))
        servers = EmbeddedServers(state)
        environment = _with_addresses(servers)
        # Before the servers are started: a taken port should not cost their start.
        settings = _settings(environment)
        _check_port(settings.AUDITLOG_BIND, settings.AUDITLOG_PORT)
        with _running(servers):
            return _serve(environment)


@contextmanager
def _running(servers: EmbeddedServers) -> Iterator[None]:
    try:
        print(f"Starting PostgreSQL and Redis in {servers.folders.state}", flush=True)
        servers.start()
        yield
    finally:
        ignore_stop()
        servers.stop()


def _has_own_servers() -> bool:
    """Did the caller set the addresses of servers? Raises SetupError for half of them."""
    given = [name for name in (*ADDRESSES, "MAINTENANCE_DATABASE_URL") if os.environ.get(name) or os.environ.get(name + "_FILE")]
    if given and not set(ADDRESSES) <= set(given):
        missing = ", ".join(sorted(set(ADDRESSES) - set(given)))
        raise SetupError(f"{', '.join(given)} is set and {missing} is not. Set both for servers of your own, or neither for the embedded ones.")
    return bool(given)


def _with_addresses(servers: EmbeddedServers) -> dict[str, str]:
    """Our environment with the servers' addresses; what the caller has set stays as it is."""
    given = {name: value for name, value in os.environ.items() if value}
    ours = {name: value for name, value in servers.environment().items() if name + "_FILE" not in given and name.removesuffix("_FILE") not in given}
    return ours | given | {"AUDITLOG_STATE_DIR": str(servers.folders.state)}


def _with_keys(environment: dict[str, str], state: Path) -> dict[str, str]:
    """For servers of the caller's own, too, checkpoints and tokens are signed and fields encrypted: by the caller's keys, or by ones made in `state`."""
    secrets = state / "secrets"
    makers: dict[str, Callable[[], Path]] = {
        "AUDITLOG_SIGNING_KEY": lambda: signing_key_file(secrets, FILE_NAME),
        "AUDITLOG_TOKEN_KEY": lambda: signing_key_file(secrets, TOKEN_KEY_FILE_NAME),
        "AUDITLOG_MASTER_KEY": lambda: master_key_file(secrets),
    }
    made = {f"{name}_FILE": str(make()) for name, make in makers.items() if not (environment.get(name) or environment.get(name + "_FILE"))}
    return environment | made


def _settings(environment: Mapping[str, str]) -> Any:
    """The project's settings as its processes will see them. Raises SetupError for a wrong one."""
    os.environ.update(environment)
    try:
        from auditlog_project import settings
    except ImproperlyConfigured as error:
        raise SetupError(str(error)) from error
    return settings


def _serve(environment: dict[str, str]) -> int:
    settings = _settings(environment)
    bind, port = settings.AUDITLOG_BIND, settings.AUDITLOG_PORT
    _check_port(bind, port)
    url = f"http://{_host_to_show(bind)}:{port}"
    print("Bringing the database up to date", flush=True)
    _manage(environment, "migrate", "--no-input")
    _manage(environment, "prepare")
    print(_manage(environment, "bootstrap", "--url", url), end="", flush=True)
    ready_url = f"http://{_host_to_ask(bind)}:{port}/readyz"
    processes = commands(bind, port, settings.AUDITLOG_WEB_WORKERS)
    public_keys = _manage(environment, "signing_key", "--public").strip()
    code = supervise(processes, environments(environment, processes, public_keys), CHECKOUT, url=url, ready_url=ready_url)
    ignore_stop()
    return code


def commands(bind: str, port: int, workers: int) -> dict[str, list[str]]:
    """The command lines of the processes of the service, by their names."""
    web = [sys.executable, "-m", "granian", "--interface", "asgi", "--host", bind, "--port", str(port), "--workers", str(workers)]
    # One connection each, live streams too: granian's own bound (1,024 for all workers) would hold a load balancer's idle ones up.
    web += ["--backlog", "2048", "--backpressure", "2048"]
    web += ["--respawn-failed-workers", "--workers-kill-timeout", str(WEB_STOP_SECONDS), "--http1-keep-alive"]
    # No line for each request: a path may hold what somebody searches for, and a link to an export is a credential.
    web += ["--no-access-log", "auditlog_project.asgi:application"]
    celery = [sys.executable, "-m", "celery", "-A", "auditlog_project.celery"]
    # Gossip and mingle acquaint workers with each other; here there is one.
    worker = [*celery, "worker", "--concurrency", "2", "--loglevel", "info", "--without-gossip", "--without-mingle"]
    # No pid file: the lock of the state folder sees to it that there is one.
    beat = [*celery, "beat", "--loglevel", "info", "--pidfile="]
    sequencer = [sys.executable, str(CHECKOUT / "manage.py"), "run_sequencer"]
    # Alerts and forwarding: cursors over the positions that the sequencer gave.
    follower = [sys.executable, str(CHECKOUT / "manage.py"), "run_followers"]
    archiver = [*celery, "worker", "--queues", "archival", "--hostname", "archiver@%h", "--concurrency", "1", "--loglevel", "info"]
    archiver += ["--without-gossip", "--without-mingle"]
    # Waits for others' servers, so on threads: a hundred that hang cost no more than one.
    sender = [*celery, "worker", "--queues", "deliveries", "--hostname", "sender@%h", "--pool", "threads", "--concurrency", "16", "--loglevel", "info"]
    sender += ["--without-gossip", "--without-mingle"]
    return {"web": web, "sequencer": sequencer, "worker": worker, "sender": sender, "archiver": archiver, "beat": beat, "follower": follower}


def environments(environment: Mapping[str, str], names: Iterable[str], public_keys: str) -> dict[str, dict[str, str]]:
    """The environment of each process: addresses and secrets that it has no use for are left out.

    `public_keys`: what verifies checkpoints, for those that do not sign (AUDITLOG_VERIFIER_KEYS).
    """
    shared = {name: value for name, value in environment.items() if name.removesuffix("_FILE") not in OF_THE_SEQUENCER}
    shared = {name: value for name, value in shared.items() if name.removesuffix("_FILE") != "AUDITLOG_VERIFIER_KEYS"}
    shared["AUDITLOG_VERIFIER_KEYS"] = public_keys

    def of(process: str) -> dict[str, str]:
        given = environment if process == "sequencer" else shared
        if process == "archiver":
            given = shared | {name: value for name, value in environment.items() if name.removesuffix("_FILE") in OF_THE_ARCHIVER}
        left_out = (*(() if process == "web" else OF_THE_WEB), *(() if process in WHO_DECRYPT else ("AUDITLOG_MASTER_KEY",)))
        return {name: value for name, value in given.items() if name.removesuffix("_FILE") not in left_out}

    return {name: of(name) for name in names}


def _manage(environment: Mapping[str, str], *arguments: str) -> str:
    """What the management command printed. Raises SetupError with the end of its output if it fails."""
    command = [sys.executable, str(CHECKOUT / "manage.py"), *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # nosec B603  # arguments of ours, as a list
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise SetupError(f"`manage.py {arguments[0]}` failed (exit code {done.returncode}):\n{tail}")
    return done.stdout


def _check_port(bind: str, port: int) -> None:
    """Raises SetupError if the port can't be listened on. (The web server shares its port among its workers, so it would
    share it with workers that somebody else started, too, and notice nothing.)"""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(bind, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise SetupError(f"AUDITLOG_BIND={bind!r} is no address: {error.strerror}") from error
    with socket.socket(family, kind, protocol) as probe:
        # Connections of an earlier run that are still winding down do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise SetupError(
                    f"Port {port} is taken by another program. Stop that one, or set AUDITLOG_PORT to a free port: AUDITLOG_PORT={port + 1} make run"
                ) from error
            if error.errno == errno.EADDRNOTAVAIL:
                raise SetupError(f"AUDITLOG_BIND={bind!r} is no address of this machine.") from error
            raise SetupError(f"Cannot listen on {bind} port {port}: {error.strerror}. Set AUDITLOG_PORT to another port.") from error


def _host_to_show(bind: str) -> str:
    return "localhost" if bind in ("127.0.0.1", "::1", "0.0.0.0", "::", "localhost") else _bracketed(bind)  # noqa: S104  compared, not bound  # nosec B104


def _host_to_ask(bind: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(bind) or _bracketed(bind)  # noqa: S104  compared, not bound  # nosec B104


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
