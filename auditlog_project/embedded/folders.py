"""Where the embedded servers keep their files, and as which operating system account they run.

PostgreSQL refuses to run as root. As root its files belong to an account of its own, and where that account can't
reach the checkout (a clone under /root, say), data and programs go below /var/lib/auditlog instead.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess  # nosec B404  # our own programs, as lists, never by a shell
import tempfile
from dataclasses import dataclass
from pathlib import Path

from auditlog_project.embedded.errors import SetupError

# sockaddr_un.sun_path holds 108 bytes with its NUL; PostgreSQL appends "/.s.PGSQL.5432.lock".
MAX_SOCKET_FOLDER_BYTES = 80
SERVICE_ACCOUNT = "auditlog"


@dataclass(frozen=True)
class Account:
    """The operating system account that PostgreSQL runs as; `None` stands for "whoever we are"."""

    name: str
    uid: int
    gid: int

    def popen_arguments(self) -> dict[str, object]:
        """Keyword arguments that make `subprocess` run a program as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@dataclass(frozen=True)
class Folders:
    """The folders of one set of embedded servers. `state` is ours; `postgres` and `sockets` belong to `account`."""

    state: Path
    postgres: Path
    sockets: Path
    account: Account | None

    @property
    def data(self) -> Path:
        return self.postgres / "data"

    @property
    def secrets(self) -> Path:
        return self.state / "secrets"

    @property
    def redis(self) -> Path:
        return self.state / "redis"

    @property
    def logs(self) -> Path:
        return self.state / "log"

    def remove(self) -> None:
        """Delete all of it, wherever it was laid. The servers have to be stopped."""
        apart = {self.postgres, self.sockets}
        if self.postgres.parent != self.state:
            apart.add(self.postgres.parent)
        for folder in (self.state, *apart):
            shutil.rmtree(folder, ignore_errors=True)


def service_account() -> Account | None:
    """The account PostgreSQL is to run as: none of its own for an ordinary user; for root `auditlog`, made if absent."""
    if os.geteuid() != 0:
        return None
    try:
        found = pwd.getpwnam(SERVICE_ACCOUNT)
    except KeyError:
        useradd = shutil.which("useradd") or "/usr/sbin/useradd"
        command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVICE_ACCOUNT]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # nosec B603  # arguments of ours, as a list
        except OSError as error:
            raise _no_account(str(error)) from error
        try:
            found = pwd.getpwnam(SERVICE_ACCOUNT)
        except KeyError as error:
            raise _no_account(done.stderr.strip()) from error
    return Account(found.pw_name, found.pw_uid, found.pw_gid)


def _no_account(reason: str) -> SetupError:
    return SetupError(
        f"PostgreSQL refuses to run as root, and the account {SERVICE_ACCOUNT!r} for it could not be made: {reason}\n"
        f"Either run as an ordinary user, or make the account yourself: useradd --system {SERVICE_ACCOUNT}"
    )


def lay_out(state: Path) -> Folders:
    """Make the folders below `state` (or, for root, where the service account can reach them)."""
    state = state.resolve()
    tag = hashlib.sha256(str(state).encode()).hexdigest()[:12]
    account = service_account()
    state.mkdir(parents=True, exist_ok=True)
    postgres = state / "postgres"
    sockets = state / "run"
    if account is not None and not _can_enter(account, state):
        postgres = Path("/var/lib/auditlog") / tag / "postgres"
        sockets = Path("/var/lib/auditlog") / tag / "run"
    if len(os.fsencode(sockets)) > MAX_SOCKET_FOLDER_BYTES:
        sockets = Path(tempfile.gettempdir()) / f"auditlog-{os.geteuid()}-{tag}"
    folders = Folders(state=state, postgres=postgres, sockets=sockets, account=account)
    for private in (folders.secrets, folders.redis, folders.logs):
        private.mkdir(parents=True, exist_ok=True, mode=0o700)
    for owned in (postgres, sockets):
        owned.mkdir(parents=True, exist_ok=True)
        _give(owned, account)
    return folders


def _give(folder: Path, account: Account | None) -> None:
    """Make `folder` the account's own, closed to everybody else. Refuses a folder somebody else put there first."""
    owner = folder.stat().st_uid
    mine = {os.geteuid()} | ({account.uid} if account else set())
    if owner not in mine:
        raise SetupError(f"{folder} belongs to user id {owner}. Remove it, or set AUDITLOG_STATE_DIR to another folder.")
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    folder.chmod(0o700)


def _can_enter(account: Account, folder: Path) -> bool:
    done = subprocess.run(  # nosec B603  # arguments of ours, as a list
        ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)],
        capture_output=True,
        check=False,
        cwd="/",
        user=account.uid,
        group=account.gid,
        extra_groups=[],
    )
    return done.returncode == 0
