"""The processes of `run`, under honcho: started together, their output on one terminal, stopped together.

Invariants:
- A request to stop reaches every process at once; each has `STOP_SECONDS` to finish what it accepted, then it is killed.
- When one process ends by itself, the others are stopped: half a service that looks whole helps nobody.
- Nothing outlives the supervisor. Each process has a reader of honcho's as its parent, and a reader whose supervisor is
  gone (SIGKILL, out of memory) stops its process. What a process itself leaves behind when it is killed goes too.
"""

from __future__ import annotations

import os
import resource
import shlex
import signal
import subprocess  # nosec B404  # our own programs, as lists, never by a shell
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import honcho.manager
from honcho.printer import Message, Printer
from honcho.process import Process

# The web server gives its workers 40 s (`serving.WEB_STOP_SECONDS`); this is a little more.
STOP_SECONDS = 45
READY_POLL_SECONDS = 0.5
OPEN_FILES = 65_536


def supervise(commands: Mapping[str, Sequence[str]], environments: Mapping[str, Mapping[str, str]], folder: Path, *, url: str, ready_url: str) -> int:
    """Run `commands` (name: arguments), each in its environment, in `folder` until asked to stop or until one of them ends.

    Prints `ready: url` once `ready_url` answers 200. Returns 0 if it was asked to stop, else a code above 0.
    """
    # Every live stream is an open file, and the customary 1,024 are soon used up; the hard limit stays what it is.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    # honcho's own five seconds would cut off requests that were accepted; it has no argument for them.
    honcho.manager.KILL_WAIT = STOP_SECONDS
    supervisor = Supervisor(url=url, ready_url=ready_url)
    for name, arguments in commands.items():
        # `exec`: the signal has to reach the program, not a shell before it.
        supervisor.add_process(name, "exec " + shlex.join(arguments), env=dict(environments[name]), cwd=str(folder))
    supervisor.loop()
    if supervisor.was_asked_to_stop:
        return 0
    # A process that ended by itself has failed, even if it says 0; one that a signal ended has a negative code.
    return supervisor.returncode if (supervisor.returncode or 0) > 0 else 1


class Supervisor(honcho.manager.Manager):  # type: ignore[misc]  # honcho is untyped
    """honcho's manager, which asks before it kills and says when the service is ready."""

    def __init__(self, *, url: str, ready_url: str) -> None:
        super().__init__(_Printer(sys.stdout))
        self._procmgr = _Signals()
        self._process_ctor = _Tethered
        self._addresses = (url, ready_url)
        self.was_asked_to_stop = False

    def terminate(self) -> None:
        """Ask all processes to end. honcho calls it on a signal and when a process has ended."""
        if not super()._any_stopped():
            self.was_asked_to_stop = True
        # Before all have reported their ids, honcho would stumble; its loop comes back here as soon as they have.
        if self._all_started():
            super().terminate()

    def _any_stopped(self) -> bool:
        return self.was_asked_to_stop or bool(super()._any_stopped())

    def _start(self) -> None:
        super()._start()
        signal.signal(signal.SIGHUP, lambda number, frame: os.kill(os.getpid(), signal.SIGTERM))
        # After the forks: a fork copies one thread only.
        threading.Thread(target=self._say_when_ready, name="readiness", daemon=True).start()

    def _say_when_ready(self) -> None:
        url, ready_url = self._addresses
        while not self._any_stopped():
            if _answers(ready_url):
                # By way of the loop's queue, so that two lines never mix.
                self.events.put(Message(type="line", data=f"ready: {url}\n", time=self._clock.now(), name="system", colour=None))
                return
            time.sleep(READY_POLL_SECONDS)


def _answers(url: str) -> bool:
    # No proxy from the environment: the address is this machine's.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


class _Signals:
    """How processes are asked (the program alone, which looks after its children) and how they are killed (all of them)."""

    def terminate(self, pid: int) -> None:
        _send(os.kill, pid, signal.SIGTERM)

    def kill(self, pid: int) -> None:
        _send(os.killpg, pid, signal.SIGKILL)


def _send(send: Callable[[int, int], None], pid: int, number: int) -> None:
    # It may have ended meanwhile, its report on the way. (macOS says EPERM of a group that is only a zombie.)
    with suppress(ProcessLookupError, PermissionError):
        send(pid, number)


class _Printer(Printer):  # type: ignore[misc]  # honcho is untyped
    """honcho's printer, which goes on when nobody reads any more (`make run | head`, a closed terminal)."""

    def write(self, message: Any) -> None:
        try:
            super().write(message)
        except OSError:
            self.output = _Nowhere()


class _Nowhere:
    """Where lines go that nobody reads."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


class _Tethered(Process):  # type: ignore[misc]  # honcho is untyped
    """A process together with its reader, which leaves no orphans: neither the supervisor's nor the process's own."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._supervisor = os.getpid()

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        """In the reader's process: start the program and pass its output on until it ends."""
        threading.Thread(target=self._watch, name="tether", daemon=True).start()
        super().run(events, ignore_signals)

    def _watch(self) -> None:
        has_swept = False
        while os.getppid() == self._supervisor:
            time.sleep(0.5)
            if self._child is not None and self._child.poll() is not None and not has_swept:
                # Children that a killed program leaves keep its port and its output open; honcho waits for the latter.
                _Signals().kill(self._child.pid)
                has_swept = True
        if self._child is not None:
            self._child.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(STOP_SECONDS)
            _Signals().kill(self._child.pid)
        # Not by way of the clean-up at exit: it would wait for someone to read the queue, and nobody is left.
        os._exit(1)
