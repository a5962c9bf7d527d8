"""`manage.py import_logs` as a person runs it: a process of its own against a web server of its own."""

from __future__ import annotations

import gzip
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard

from accounts.models import Tenant
from logs.storage.kinds import OWN_SOURCE
from logs.storage.reading import tenant_transaction
from tests.api import NOT_OWN
from tests.integration.logs.imports.gate import Gate
from tests.storing import new_key, new_tenant
from tests.web import CHECKOUT, Web, manage, product_environment

SAMPLE = CHECKOUT / "docs" / "examples" / "cloudtrail-sample.ndjson"
EVENTS = [json.loads(line) for line in SAMPLE.read_text().splitlines()]
BATCH = 1000

pytestmark = pytest.mark.slow(seconds=2)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    web = Web(product_environment())
    try:
        yield web.start()
    finally:
        web.stop()


class Importer:
    """One tenant, and imports into it."""

    def __init__(self, web: Web, state: Path) -> None:
        self.tenant: Tenant = new_tenant()
        self.key = new_key(self.tenant)
        self.url = web.url
        self._web = web
        self._state = state

    def environment(self) -> dict[str, str]:
        return product_environment(AUDITLOG_STATE_DIR=str(self._state), AUDITLOG_API_KEY=self.key, AUDITLOG_URL=self.url)

    def run(self, file: Path | str, *, format: str = "cloudtrail", stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return manage(self.environment(), "import_logs", "--format", format, str(file), stdin=stdin)

    def start(self, file: Path, *, format: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(CHECKOUT / "manage.py"), "import_logs", "--format", format, str(file)]
        return subprocess.Popen(command, cwd=CHECKOUT, env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def count(self) -> int:
        with tenant_transaction(self.tenant.id) as cursor:
            cursor.execute("SELECT count(*) FROM auditlog.logs_entry_view WHERE source <> %s", [OWN_SOURCE])
            return int(cursor.fetchone()[0])

    def search(self, **asked: str) -> list[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.key}"}
        response = httpx.get(self._web.url + "/api/v1/logs", params={"limit": "1000", "q": NOT_OWN, **asked}, headers=headers, timeout=30)
        assert response.status_code == 200, response.text
        found: list[dict[str, Any]] = response.json()["results"]
        return found


@pytest.fixture
def importer(web: Web, tmp_path: Path) -> Importer:
    return Importer(web, tmp_path)


def assert_done(done: subprocess.CompletedProcess[bytes], stored: int, known: int) -> None:
    assert done.returncode == 0, done.stderr.decode()
    assert f"{stored} entries stored, {known} were there already, 0 refused" in done.stdout.decode()


def assert_failed(done: subprocess.CompletedProcess[bytes], *messages: str) -> None:
    """Exit code 1 and a sentence, not a traceback."""
    output = done.stderr.decode()
    assert done.returncode == 1, output
    assert "Traceback" not in output
    for message in messages:
        assert message in output


def numbered(folder: Path, entries: int) -> Path:
    """A file of our own entries."""
    path = folder / "entries.ndjson"
    lines = [
        {"timestamp": f"2025-03-{1 + number % 28:02}T10:00:00Z", "user_id": f"u{number}", "action": "VIEW", "resource_type": "page"}
        for number in range(entries)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_importing_twice_stores_each_event_once(importer: Importer) -> None:
    assert_done(importer.run(SAMPLE), len(EVENTS), 0)
    assert importer.count() == len(EVENTS)
    assert_done(importer.run(SAMPLE), 0, len(EVENTS))
    assert importer.count() == len(EVENTS)


def test_the_imported_events_answer_questions(importer: Importer) -> None:
    assert_done(importer.run(SAMPLE), len(EVENTS), 0)
    deletions = importer.search(action="DELETE_PARAMETER", outcome="success")
    assert {entry["user_id"].rsplit("/")[-1] for entry in deletions} == {"boris", "deploy-bot"}
    assert {entry["resource_id"].split(":parameter")[1] for entry in deletions if "boris" in entry["user_id"]} == {
        f"/shop/prod/setting-{number}" for number in range(1, 6)
    }
    denied = importer.search(outcome="failure", severity="ERROR")
    assert len(denied) == sum(event.get("errorCode") in ("AccessDenied", "Client.UnauthorizedOperation") for event in EVENTS) == 5
    assert {entry["metadata"]["errorCode"] for entry in importer.search(outcome="failure", severity="WARNING")} == {
        "ThrottlingException", "NoSuchBucketPolicy", "NoSuchCORSConfiguration", "Failed authentication",
    }  # fmt: skip
    amelia = importer.search(user_id="arn:aws:iam::111122223333:user/amelia")
    assert len(amelia) == sum(event["userIdentity"].get("userName") == "amelia" for event in EVENTS)
    assert len(importer.search(ip_address="2001:db8:52::/48")) == sum(event["sourceIPAddress"] == "2001:db8:52::10" for event in EVENTS)
    assert len(importer.search(ip_address="192.0.2.200")) == sum(event["sourceIPAddress"] == "192.0.2.200" for event in EVENTS)
    begins, ends = EVENTS[10]["eventTime"], EVENTS[20]["eventTime"]
    assert len(importer.search(**{"from": begins, "to": ends})) == 10
    inside = [entry for entry in importer.search() if entry["metadata"].get("sourceIPAddress") == "AWS Internal"]
    assert inside
    assert all("ip_address" not in entry for entry in inside)
    assert all(entry["is_imported"] for entry in importer.search())


@pytest.mark.parametrize("name", ["events.gz", "events.zst", "events"])
def test_compressed_files_are_read_as_they_are(importer: Importer, tmp_path: Path, name: str) -> None:
    plain = SAMPLE.read_bytes()
    # Two members one after the other, as appending to a compressed log makes them.
    half = plain.index(b"\n", len(plain) // 2) + 1
    packs: dict[str, Callable[[bytes], bytes]] = {"events.gz": gzip.compress, "events.zst": zstandard.ZstdCompressor().compress, "events": bytes}
    pack = packs[name]
    (tmp_path / name).write_bytes(pack(plain[:half]) + pack(plain[half:]))
    assert_done(importer.run(tmp_path / name), len(EVENTS), 0)
    assert importer.count() == len(EVENTS)


def test_standard_input_is_read_plain_and_compressed(importer: Importer) -> None:
    assert_done(importer.run("-", stdin=SAMPLE.read_bytes()), len(EVENTS), 0)
    assert_done(importer.run("-", stdin=gzip.compress(SAMPLE.read_bytes())), 0, len(EVENTS))


def test_a_delivered_cloudtrail_file_stands_for_its_records(importer: Importer, tmp_path: Path) -> None:
    (tmp_path / "delivered.json.gz").write_bytes(gzip.compress(json.dumps({"Records": EVENTS}).encode()))
    assert_done(importer.run(tmp_path / "delivered.json.gz"), len(EVENTS), 0)
    assert_done(importer.run(SAMPLE), 0, len(EVENTS))


def test_bad_lines_are_named_by_their_number_and_the_others_are_stored(importer: Importer, tmp_path: Path) -> None:
    lines = SAMPLE.read_text().splitlines()[:6]
    lines[1] = lines[1][:100]
    lines[3] = json.dumps({"eventName": "Incomplete"})
    lines[4] = json.dumps(json.loads(lines[4]) | {"eventTime": "1999-01-01T00:00:00Z"})
    (tmp_path / "events").write_text("\n".join(lines[:3]) + "\n\n" + "\n".join(lines[3:]) + "\n")
    done = importer.run(tmp_path / "events")
    # The empty line counts as a line.
    assert_failed(done, "3 entries were refused", "line 2: this is not JSON", "line 5: a CloudTrail event has", "line 6: ", "timestamp_too_old")
    assert "3 entries stored, 0 were there already, 3 refused" in done.stdout.decode()
    assert importer.count() == 3


def test_entries_of_our_own_are_refused_one_by_one(importer: Importer, tmp_path: Path) -> None:
    good = {"timestamp": "2025-03-01T10:00:00Z", "user_id": "alice", "action": "VIEW", "resource_type": "page"}
    # The same key twice and other content: the second is refused, though it comes in a batch of its own.
    keyed = good | {"idempotency_key": "k", "message": "first"}
    lines = [good, keyed, good | {"idempotency_key": ["no", "text"]}, keyed | {"message": "second"}, keyed, good | {"idempotency_key": None, "message": "null"}]
    (tmp_path / "entries").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for stored, known in ((3, 1), (0, 4)):
        done = importer.run(tmp_path / "entries", format="ndjson")
        assert_failed(done, "2 entries were refused", "line 3: ", "wrong_type", "line 4: ", "idempotency_conflict")
        assert f"{stored} entries stored, {known} were there already, 2 refused" in done.stdout.decode()
    assert importer.count() == 3


@pytest.mark.parametrize(("damage", "name"), [("cut", "events.gz"), ("cut", "events.zst"), ("changed", "events.gz"), ("changed", "events.zst")])
def test_a_damaged_file_is_not_taken_for_a_whole_one(importer: Importer, tmp_path: Path, damage: str, name: str) -> None:
    pack = gzip.compress if name.endswith("gz") else zstandard.ZstdCompressor(write_checksum=True).compress
    packed = bytearray(pack(SAMPLE.read_bytes()))
    if damage == "cut":
        del packed[len(packed) * 2 // 3 :]
    else:
        packed[len(packed) // 2 : len(packed) // 2 + 20] = bytes(20)
    (tmp_path / name).write_bytes(packed)
    assert_failed(importer.run(tmp_path / name), "can't be read")


def test_a_wrong_key_is_said_plainly(importer: Importer) -> None:
    importer.key = importer.key[:-4] + "AAAA"
    assert_failed(importer.run(SAMPLE), "401 unknown_api_key")
    importer.key = new_key(importer.tenant, "logs:read")
    assert_failed(importer.run(SAMPLE), "403 not_allowed", "logs:write")
    importer.key = ""
    assert_failed(importer.run(SAMPLE), "set AUDITLOG_API_KEY")
    assert importer.count() == 0


def test_an_absent_file_is_said_plainly(importer: Importer, tmp_path: Path) -> None:
    assert_failed(importer.run(tmp_path / "absent"), "absent can't be read: No such file or directory")


def test_an_import_whose_second_batch_was_refused_goes_on_from_there(importer: Importer, web: Web, tmp_path: Path) -> None:
    file = numbered(tmp_path, 2 * BATCH + 100)
    with Gate(web.url).open() as gate:
        importer.url, gate.deeds = gate.url, ["forward", "refuse"]
        assert_failed(importer.run(file, format="ndjson"), "403 not_allowed: The gateway says no.", f"{BATCH} entries stored", "Run the same command again")
        assert importer.count() == BATCH
        done = importer.run(file, format="ndjson")
        assert_done(done, BATCH + 100, 0)
        assert f"{BATCH} skipped that an earlier run had sent" in done.stdout.decode()
        assert gate.seen == 4
        # A finished import leaves no mark: from now on a run is a new one.
        assert_done(importer.run(file, format="ndjson"), 0, 2 * BATCH + 100)
    assert importer.count() == 2 * BATCH + 100


def test_an_interrupted_import_goes_on_from_there(importer: Importer, web: Web, tmp_path: Path) -> None:
    file = numbered(tmp_path, BATCH + 500)
    with Gate(web.url).open() as gate:
        importer.url, gate.deeds = gate.url, ["forward", "hang"]
        process = importer.start(file, format="ndjson")
        assert gate.hangs.wait(60)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert re.search(rf"Interrupted\. {BATCH} entries stored.*Run the same command again", errors.decode())
        assert "Traceback" not in errors.decode()
        assert_done(importer.run(file, format="ndjson"), 500, 0)
    assert importer.count() == BATCH + 500


def test_a_service_that_is_away_for_a_moment_is_waited_for(importer: Importer, web: Web) -> None:
    with Gate(web.url).open() as gate:
        importer.url, gate.deeds = gate.url, ["away", "lose the answer"]
        # What was stored before its answer was lost is known by its key when it is sent again.
        assert_done(importer.run(SAMPLE), 0, len(EVENTS))
        assert gate.seen == 3
    assert importer.count() == len(EVENTS)
