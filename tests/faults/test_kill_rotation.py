"""Rotation of the master key, killed in the middle and run again: as if it had run once."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from logs.privacy.encryption.master_keys import id_of
from logs.storage.kinds import OWN_SOURCE
from tests.faults.rig import Rig, installed
from tests.web import CHECKOUT, manage, wait_until

SUBJECTS = 3_000
pytestmark = pytest.mark.slow


def wrapped_by(rig: Rig) -> dict[str, int]:
    with rig.maintenance() as database:
        rows: list[Any] = database.execute("SELECT master_key_id, count(*) FROM auditlog.logs_data_key GROUP BY master_key_id").fetchall()
        return dict(rows)


def canonical(rig: Rig) -> Any:
    """Something of every entry that was posted."""
    with rig.maintenance() as database:
        return database.execute("SELECT count(*), sum(hashtext(e::text)) FROM auditlog.logs_entry AS e WHERE source <> %s", [OWN_SOURCE]).fetchone()


def read(rig: Rig, client: httpx.Client) -> list[Any]:
    """Of the newest that were posted; that this is asked is an entry itself."""
    return [one["before"] for one in client.get("/api/v1/logs", params={"limit": 1000, "q": f"-source:{OWN_SOURCE}"}).json()["results"]]


def test_rotation_that_is_killed_goes_on_and_the_old_key_is_needed_no_more(tmp_path: Path) -> None:
    old, new = os.urandom(32), os.urandom(32)
    file = tmp_path / "master-key"
    file.write_text(base64.b64encode(old).decode() + "\n")
    with installed() as rig:
        rig.environment["AUDITLOG_MASTER_KEY_FILE"] = str(file)
        entries = [{"user_id": f"user-{n}", "action": "UPDATE", "resource_type": "r", "before": {"n": n}} for n in range(SUBJECTS)]
        with rig.web() as web, rig.client(web) as client:
            answer = client.post("/api/v1/logs/bulk", json=entries)
            assert answer.status_code == 201, answer.text
            expected = read(rig, client)
            assert all(set(before) == {"n"} for before in expected)
        stored = canonical(rig)
        assert wrapped_by(rig) == {id_of(old): SUBJECTS}

        # The new key alone: nothing can be wrapped anew, and it says so.
        file.write_text(base64.b64encode(new).decode())
        done = manage(rig.environment, "rotate_master_key")
        assert done.returncode == 1
        assert f"{SUBJECTS} by {id_of(old)}" in done.stderr.decode()
        assert "do not unwrap" in done.stderr.decode()

        file.write_text(base64.b64encode(new).decode() + "\n" + base64.b64encode(old).decode() + "\n")
        command = [sys.executable, str(CHECKOUT / "manage.py"), "rotate_master_key", "--batch", "1"]
        process = subprocess.Popen(command, cwd=CHECKOUT, env=rig.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: wrapped_by(rig).get(id_of(new), 0) > 0, "the first keys are wrapped anew")
        process.send_signal(signal.SIGKILL)
        process.wait()
        halfway = wrapped_by(rig)
        assert halfway[id_of(old)] > 0
        assert sum(halfway.values()) == SUBJECTS
        # Keys of both kinds are read.
        with rig.web() as web, rig.client(web) as client:
            assert read(rig, client) == expected

        done = manage(rig.environment, "rotate_master_key")
        assert done.returncode == 0, done.stderr.decode()
        assert f"{halfway[id_of(old)]} data keys were wrapped anew" in done.stdout.decode()
        assert "No live data key needs an older master key" in done.stdout.decode()
        assert wrapped_by(rig) == {id_of(new): SUBJECTS}
        assert canonical(rig) == stored

        file.write_text(base64.b64encode(new).decode())
        with rig.web() as web, rig.client(web) as client:
            assert read(rig, client) == expected
        file.write_text("")
        done = manage(rig.environment, "check", "--deploy")
        assert b"auditlog.E010" in done.stderr


def test_web_does_not_start_without_a_whole_master_key(tmp_path: Path) -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "auditlog_project.settings"}
    del environment["AUDITLOG_MASTER_KEY_FILE"]
    for key, message in (("", "AUDITLOG_MASTER_KEY is not set"), ("c2hvcnQ=", "key 1 is not the base64 of 32 bytes")):
        done = subprocess.run(
            [sys.executable, "-c", "import auditlog_project.asgi"],
            cwd=CHECKOUT, env=environment | {"AUDITLOG_MASTER_KEY": key}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode != 0
        assert message in done.stderr
        assert "c2hvcnQ=" not in done.stderr
