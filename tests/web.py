"""The web server as `make run` starts it, for tests that need real processes behind a real port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import psutil

from auditlog_project.embedded import serving

CHECKOUT = Path(__file__).resolve().parent.parent
START_SECONDS = 60
STOP_SECONDS = 60


def wait_until(is_true: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Come back once `is_true()`. Fails the test if that does not happen at all; how quickly it does is not judged."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def product_environment(addresses: Mapping[str, str] | None = None, **settings: str) -> dict[str, str]:
    """The environment of one of our processes under the product's own settings; `addresses` are the servers', if not this run's."""
    return {**os.environ, **(addresses or {}), "DJANGO_SETTINGS_MODULE": "auditlog_project.settings", **settings}


def unmeasured(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without what makes coverage measure a process: it takes up to half of the process's time."""
    return {name: value for name, value in environment.items() if not name.startswith("COV")}


def manage(environment: Mapping[str, str], *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """`manage.py` with `arguments`, run to its end."""
    command = [sys.executable, str(CHECKOUT / "manage.py"), *arguments]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, input=stdin, capture_output=True, check=False)


class Web:
    """The web processes on a free port of their own. Its log is in `output`."""

    def __init__(self, environment: Mapping[str, str], *, workers: int = 1) -> None:
        self._environment = environment
        self._workers = workers
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  as long as the object
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def start(self) -> Web:
        """Start, and wait until requests are answered (ready or not)."""
        command = serving.commands("127.0.0.1", self.port, self._workers)["web"]
        process = subprocess.Popen(command, cwd=CHECKOUT, env=self._environment, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        self._process = process

        def answers() -> bool:
            assert process.poll() is None, self.output
            try:
                return httpx.get(self.url + "/healthz", timeout=5).status_code == 200
            except httpx.TransportError:
                return False

        wait_until(answers, "the web server answers")
        return self

    def kill(self) -> None:
        """End every process at once (SIGKILL): the parent first, so that it can't start another worker."""
        assert self._process is not None
        parent = psutil.Process(self._process.pid)
        parent.suspend()
        workers = parent.children(recursive=True)
        for process in [parent, *workers]:
            process.kill()
        self._process.wait(STOP_SECONDS)
        psutil.wait_procs(workers, timeout=STOP_SECONDS)

    def stop(self) -> None:
        """Ask to stop (SIGTERM) and wait until it did. Nothing if it does not run."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
