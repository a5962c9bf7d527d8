"""`python -m auditlog_project.embedded exec|status`. (`run` is in tests/journeys/test_make_run.py.)"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from auditlog_project.embedded import EmbeddedServers

CHECKOUT = Path(__file__).resolve().parents[4]
EMBEDDED = [sys.executable, "-m", "auditlog_project.embedded"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A temporary folder that PostgreSQL's own account can reach."""
    made = Path(tempfile.mkdtemp(prefix="auditlog-test-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


def embedded(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*EMBEDDED, *arguments], cwd=CHECKOUT, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=120)


def test_exec_hands_on_addresses_and_exit_code_and_removes_its_folder(folder: Path) -> None:
    program = "import os, sys; print(os.environ['AUDITLOG_STATE_DIR'], os.environ['DATABASE_URL'], *sys.argv[1:], sep='\\n'); sys.exit(7)"
    done = embedded("exec", "--", sys.executable, "-c", program, "--flag", "--", "last", TMPDIR=str(folder))
    state, url, *arguments = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (7, "")
    assert Path(state).parent == folder
    assert url.startswith("postgresql://auditlog_app:")
    assert arguments == ["--flag", "--", "last"]
    assert list(folder.iterdir()) == []


def test_exec_says_so_when_there_is_no_such_command(folder: Path) -> None:
    # A path of its own: on the caller's a folder that may not be entered makes it "Permission denied".
    done = embedded("exec", "--", "no-such-command", TMPDIR=str(folder), PATH=os.defpath)
    assert (done.returncode, done.stderr) == (127, "auditlog: no-such-command: No such file or directory\n")
    assert list(folder.iterdir()) == []


def test_exec_that_is_asked_to_stop_ends_the_command_and_the_servers(folder: Path) -> None:
    program = "import os, time; print(os.environ['AUDITLOG_STATE_DIR'], flush=True); time.sleep(60)"
    with subprocess.Popen(
        [*EMBEDDED, "exec", "--", sys.executable, "-c", program],
        cwd=CHECKOUT, env=os.environ | {"TMPDIR": str(folder)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        state = Path(process.stdout.readline().strip())
        postgres = EmbeddedServers(state).postgres.pid
        process.terminate()
        _, complaints = process.communicate(timeout=60)
    assert (process.returncode, complaints) == (128 + signal.SIGTERM, "")
    # (A zombie, if nobody has collected it yet.)
    assert not psutil.pid_exists(postgres) or psutil.Process(postgres).status() == psutil.STATUS_ZOMBIE
    assert list(folder.iterdir()) == []


def test_exec_in_a_state_folder_keeps_the_data_and_is_alone_there(folder: Path) -> None:
    state = str(folder / "state")
    inner = "exec " + shlex.join([*EMBEDDED, "exec", "--state", state, "--", "true"])
    done = embedded("exec", "--state", state, "--", "sh", "-c", inner)
    assert done.returncode == 1
    assert f"auditlog: {state} is in use by process" in done.stderr
    stopped = embedded("status", "--state", state)
    assert stopped.returncode == 3
    assert "PostgreSQL  does not run" in stopped.stdout
    assert (folder / "state" / "postgres" / "data" / "PG_VERSION").exists()


def test_status_tells_what_runs_and_no_secret(folder: Path) -> None:
    servers = EmbeddedServers(folder)
    try:
        servers.start()
        done = embedded("status", "--state", str(folder))
        assert done.returncode == 0
        assert f"PostgreSQL  runs, process {servers.postgres.pid}" in done.stdout
        assert "Service     does not run" in done.stdout
        for secret in servers.folders.secrets.iterdir():
            assert secret.read_text() not in done.stdout
    finally:
        servers.stop()


def test_status_of_a_folder_that_is_not_there_makes_none(folder: Path) -> None:
    done = embedded("status", AUDITLOG_STATE_DIR=str(folder / "absent"))
    assert (done.returncode, done.stdout) == (3, f"Nothing has run in {folder / 'absent'} yet.\n")
    assert not (folder / "absent").exists()


def test_a_folder_that_can_not_be_made_is_said_so(folder: Path) -> None:
    (folder / "file").touch()
    done = embedded("exec", "--state", str(folder / "file" / "state"), "--", "true")
    assert done.returncode == 1
    assert done.stderr.startswith(f"auditlog: [Errno 20] Not a directory: '{folder}/file/state'")
    assert "AUDITLOG_STATE_DIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_interrupt_does_not_leave_servers_behind(folder: Path) -> None:
    with subprocess.Popen([*EMBEDDED, "exec", "--", "sleep", "60"], cwd=CHECKOUT, env=os.environ | {"TMPDIR": str(folder)}) as process:
        deadline = time.monotonic() + 60
        while not list(folder.glob("auditlog-*/embedded.env")) and time.monotonic() < deadline:
            time.sleep(0.05)
        for _ in range(3):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.05)
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert list(folder.iterdir()) == []
