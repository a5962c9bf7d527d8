"""What is planted is not found: not in the database's files, in Redis, in what the servers print, or in an export.

A control, planted where nothing is masked, has to be found in each place that holds entries, or the search itself would prove nothing.
"""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import re2
import redis
from django.conf import settings

from auditlog_project.embedded import EmbeddedServers
from tests.masking_corpus import Sample, secrets
from tests.storing import ENTRY, new_key, new_tenant
from tests.superuser import superuser
from tests.web import Web, manage, product_environment

# Shorter ones are found in any gigabyte by chance.
LEAST_BYTES = 10
CONTROL = f"control-{uuid.uuid4().hex}"
LATER = f"control-{uuid.uuid4().hex}"
CHUNK_BYTES = 1 << 24


def needle(secret: str) -> bytes:
    """What to look for: a secret of several lines by its longest one."""
    return max(secret.splitlines(), key=len).encode()


@pytest.fixture(scope="module")
def needles() -> list[bytes]:
    found = {needle(sample.secret) for sample in secrets()}
    return sorted(each for each in found if len(each) >= LEAST_BYTES)


class Finder:
    """Looks for all needles at once."""

    def __init__(self, needles: list[bytes]) -> None:
        options = re2.Options()
        options.max_mem = 256 << 20
        options.encoding = re2.Options.Encoding.LATIN1
        self._longest = max(map(len, needles))
        self._set = re2.Set.SearchSet(options)
        self._needles = needles
        for each in needles:
            self._set.Add(re2.escape(each))
        self._set.Compile()

    def found(self, content: bytes) -> set[bytes]:
        return {self._needles[number] for number in self._set.Match(content) or ()}

    def found_in_file(self, path: Path) -> set[bytes]:
        found: set[bytes] = set()
        try:
            with path.open("rb") as opened:
                rest = b""
                while chunk := opened.read(CHUNK_BYTES):
                    found |= self.found(rest + chunk)
                    rest = chunk[-self._longest :]
        except FileNotFoundError:
            # Removed meanwhile, as WAL is.
            pass
        return found


@pytest.fixture(scope="module")
def finder(needles: list[bytes]) -> Finder:
    return Finder([*needles, CONTROL.encode(), LATER.encode()])


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    server = Web(product_environment()).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def planted(web: Web) -> httpx.Client:
    """Everything posted, each secret in each way at least in some form. Answers a client that may read."""
    key = new_key(new_tenant())
    client = httpx.Client(base_url=web.url, headers={"Authorization": f"Bearer {key}"}, timeout=60)
    samples = list(secrets())
    entries = [{**ENTRY, **sample.fields} for sample in samples]
    # Found wherever entries are: nothing masks who did it.
    assert client.post("/api/v1/logs", json={**ENTRY, "user_id": CONTROL, "message": "nothing to hide"}).status_code == 201
    for one in entries[::3]:
        assert client.post("/api/v1/logs", json=one).status_code == 201
    answer = client.post("/api/v1/logs/bulk", json=entries)
    assert answer.status_code == 201, answer.text
    keyed = [{**one, "timestamp": "2026-01-31T12:00:00Z", "idempotency_key": f"k{number}"} for number, one in enumerate(entries)]
    for status in (201, 200):
        assert client.post("/api/v1/logs/bulk", json=keyed).status_code == status
    _refused(client, entries)
    _asked(client, samples)
    _imported(web, key, samples)
    return client


def _refused(client: httpx.Client, entries: list[dict[str, Any]]) -> None:
    """Entries that are refused, for each reason that there is."""
    wrong: list[Mapping[str, Any]] = [{"severity": "LOUD"}, {"ip_address": "nowhere"}, {"oops": 1}, {"timestamp": "2999-01-01T00:00:00Z"}, {"action": "lower"}]
    for number, one in enumerate(entries):
        assert client.post("/api/v1/logs", json={**one, **wrong[number % len(wrong)]}).status_code == 422
    assert client.post("/api/v1/logs/bulk", json=[{**one, "user_id": ""} for one in entries]).status_code == 422
    partial = client.post("/api/v1/logs/bulk?partial=true", json=[{**one, **wrong[number % len(wrong)]} for number, one in enumerate(entries)])
    assert partial.status_code == 207
    for one in entries[::20]:
        assert client.post("/api/v1/logs", content=json.dumps(one)[:-1], headers={"Content-Type": "application/json"}).status_code == 400


def _asked(client: httpx.Client, samples: list[Sample]) -> None:
    """Secrets in query strings and headers."""
    for sample in samples[::5]:
        secret = needle(sample.secret).decode()
        assert client.get("/api/v1/logs", params={"password": secret}).status_code == 422
        assert client.get("/api/v1/logs", params={"cursor": secret}).status_code == 422
        assert client.get(f"/api/v1/nothing/{secret}").status_code == 404
        # As a service would send them by mistake. X-Request-Id is an entry's identifier, which is kept as it is.
        headers = {"Authorization": secret, "Cookie": secret, "User-Agent": f"probe/1.0 (password={secret})", "Referer": secret, "X-Api-Key": secret}
        for name, value in headers.items():
            assert client.get("/api/v1/logs", headers=[(name.encode(), value.encode())]).status_code < 500


def _imported(web: Web, key: str, samples: list[Sample]) -> None:
    event = {"eventVersion": "1.08", "eventSource": "iam.amazonaws.com", "userIdentity": {"arn": "arn:aws:iam::111122223333:user/ada"}, "awsRegion": "x"}
    lines = [
        {**event, "eventName": "GetUser", "eventTime": "2026-01-31T12:00:00Z", "eventID": str(uuid.uuid4()), "requestParameters": sample.fields,
         "errorMessage": sample.fields.get("message", "-")}
        for sample in samples
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trail.ndjson"
        path.write_text("\n".join(map(json.dumps, lines)))
        done = manage(product_environment(AUDITLOG_API_KEY=key), "import_logs", str(path), "--format", "cloudtrail", "--url", web.url)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_no_planted_secret_is_in_the_database_s_files(planted: httpx.Client, finder: Finder) -> None:
    with superuser() as connection:
        connection.execute("CHECKPOINT")
    folders = EmbeddedServers(Path(os.environ["AUDITLOG_STATE_DIR"])).folders
    found: dict[bytes, str] = {}
    for folder in (folders.data, folders.state):
        for path in folder.rglob("*"):
            if path.is_file():
                found |= dict.fromkeys(finder.found_in_file(path), str(path))
    assert found.pop(CONTROL.encode(), None) is not None
    assert found == {}


def test_no_planted_secret_is_in_a_table_or_what_it_compresses(planted: httpx.Client, finder: Finder) -> None:
    """The files hold long values compressed, so the tables are read as text too."""
    found: set[bytes] = set()
    with superuser() as connection:
        tables = connection.execute("SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables WHERE schemaname IN ('auditlog', 'public')")
        for (table,) in tables.fetchall():
            with connection.cursor().copy(f"COPY (SELECT * FROM {table}) TO STDOUT".encode()) as copy:
                for block in copy:
                    found |= finder.found(bytes(block).replace(b"\\\\", b"\\"))
    assert found == {CONTROL.encode()}


def test_no_planted_secret_is_in_redis(planted: httpx.Client, finder: Finder) -> None:
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.set("planted control", LATER)
    contents = b"\x00".join(b"\x00".join([name, *_texts_of(client, name)]) for name in client.scan_iter())
    client.delete("planted control")
    assert finder.found(contents) == {LATER.encode()}


def _texts_of(client: Any, name: bytes) -> list[bytes]:
    match client.type(name):
        case b"string":
            return [client.get(name)]
        case b"list":
            return list(client.lrange(name, 0, -1))
        case b"hash":
            return [text for pair in client.hgetall(name).items() for text in pair]
        case b"set":
            return list(client.smembers(name))
        case b"zset":
            return list(client.zrange(name, 0, -1))
        case _:
            return [client.dump(name)]


def test_no_planted_secret_is_in_what_the_server_prints(planted: httpx.Client, web: Web, finder: Finder) -> None:
    assert web.output, "the server's output was not kept"
    assert finder.found(web.output.encode()) == set()


@pytest.mark.parametrize("format", ["ndjson", "csv"])
def test_no_planted_secret_is_in_an_export(planted: httpx.Client, finder: Finder, format: str) -> None:
    answer = planted.get("/api/v1/logs/export", params={"format": format})
    assert answer.status_code == 200
    assert answer.content.count(b"\n") > len(list(secrets()))
    assert finder.found(answer.content) == {CONTROL.encode()}
