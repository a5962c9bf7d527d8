"""The command line of the embedded servers: `python -m auditlog_project.embedded run|exec|status`."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess  # nosec B404  # our own programs, as lists, never by a shell
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from auditlog_project.embedded.errors import SetupError
from auditlog_project.embedded.lock import holder_of, sole_user
from auditlog_project.embedded.scratch import scratch_servers
from auditlog_project.embedded.servers import ADDRESSES_FILE, EmbeddedServers
from auditlog_project.embedded.serving import CHECKOUT, run
from auditlog_project.embedded.signals import Stop, ignore_stop, raise_stop

# What a shell answers for a command that it can't find or that a signal ended.
NOT_FOUND = 127
ENDED_BY_SIGNAL = 128
# As `systemctl status` answers for a service that does not run.
NOT_RUNNING = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code of the command. Messages about what went wrong go to stderr."""
    options = _parser().parse_args(arguments)
    state = Path(options.state or os.environ.get("AUDITLOG_STATE_DIR") or CHECKOUT / "var").absolute()
    raise_stop()
    try:
        if options.command == "run":
            return run(state)
        if options.command == "exec":
            return execute(options.program, state if options.state else None)
        return status(state)
    except Stop as stop:
        # A service that was asked to stop has done what it should; a command that was cut off has not.
        return 0 if options.command == "run" else ENDED_BY_SIGNAL + stop.number
    except SetupError as error:
        print(f"auditlog: {error}", file=sys.stderr)
    except OSError as error:
        if error.filename is None:
            raise
        print(f"auditlog: {error}. AUDITLOG_STATE_DIR has to be a folder that can be written to; now it is {state}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m auditlog_project.embedded", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    described = {
        "run": "Start the servers, bring the database up to date, serve until Ctrl-C.",
        "exec": "Start the servers, run a command with their addresses in its environment, stop the servers.",
        "status": "Say which of the servers run, and where.",
    }
    for name, text in described.items():
        command = commands.add_parser(name, help=text, description=text)
        default = "a temporary one, deleted at the end" if name == "exec" else "$AUDITLOG_STATE_DIR, or var/ in the checkout"
        command.add_argument("--state", metavar="DIR", help=f"The servers' folder (default: {default}).")
        if name == "exec":
            command.add_argument("program", nargs="+", metavar="command", help="The command and its arguments, after `--`.")
    return parser


def execute(command: Sequence[str], state: Path | None) -> int:
    """Run `command` beside servers of its own; its exit code, as a shell would give it."""
    with _servers(state) as servers:
        environment = os.environ | servers.environment() | {"AUDITLOG_STATE_DIR": str(servers.folders.state)}
        try:
            return _wait_for(command, environment)
        except OSError as error:
            print(f"auditlog: {command[0]}: {error.strerror}", file=sys.stderr)
            return NOT_FOUND
        finally:
            ignore_stop()


@contextmanager
def _servers(state: Path | None) -> Iterator[EmbeddedServers]:
    """Started servers: those of `state`, which keep their data, or scratch ones."""
    if state is None:
        with scratch_servers() as servers:
            yield servers
        return
    with sole_user(state, patience_seconds=0):
        servers = EmbeddedServers(state)
        try:
            servers.start()
            yield servers
        finally:
            servers.stop()


def _wait_for(command: Sequence[str], environment: dict[str, str]) -> int:
    with subprocess.Popen(command, env=environment) as process:  # nosec B603  # arguments of ours, as a list
        try:
            # Ctrl-C reaches the command by itself (it is in the terminal's foreground group), the others only by us.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, lambda number, frame: process.send_signal(number))
        except Stop as stop:
            process.send_signal(stop.number)
        code = process.wait()
    return code if code >= 0 else ENDED_BY_SIGNAL - code


def status(state: Path) -> int:
    """Print which of the servers in `state` run; 0 if both do."""
    if not (state / ADDRESSES_FILE).exists():
        print(f"Nothing has run in {state} yet.")
        return NOT_RUNNING
    servers = EmbeddedServers(state)
    postgres, redis = servers.postgres.is_running(), servers.redis.is_running()
    holder = holder_of(state)
    print(f"PostgreSQL  {f'runs, process {servers.postgres.pid}' if postgres else 'does not run'}   socket in {servers.folders.sockets}")
    print(f"Redis       {'runs' if redis else 'does not run'}   socket {servers.redis.socket}")
    print(f"Service     {f'runs, process {holder}' if holder else 'does not run'}")
    print(f"Data in {servers.folders.postgres} and {servers.folders.redis}; for addresses and passwords see {state / ADDRESSES_FILE}")
    return 0 if postgres and redis else NOT_RUNNING


if __name__ == "__main__":
    sys.exit(main())
