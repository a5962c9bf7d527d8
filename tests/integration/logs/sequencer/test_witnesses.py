"""Witnesses, over HTTP on a real socket: they cosign what goes on from what they saw, and nothing else. And the webhook."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.exceptions import ImproperlyConfigured

from accounts.models import Tenant
from auditlog_verify import witness as witness_program
from auditlog_verify.merkle import Edge, leaf_hash, node_hash
from auditlog_verify.notes import Checkpoint, NoteError, VerifierKey, keys_of, open_checkpoint, sign_checkpoint
from auditlog_verify.witness import Witness, server
from logs.integrity.anchor import Anchor
from logs.sequencer import publishing
from logs.sequencer.witnesses import WitnessError, configured_witnesses
from logs.storage import connecting
from tests.api import service_of
from tests.sequencing import head_of, sequence_all, trusted_keys
from tests.storing import new_tenant, store

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LOG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
ORIGIN = "log.example/t"
LEAVES = [leaf_hash(bytes([number])) for number in range(8)]


def serve(httpd: HTTPServer) -> Iterator[str]:
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    httpd.server_close()
    thread.join(10)


@pytest.fixture
def tenant() -> Tenant:
    tenant = new_tenant()
    store(tenant, [{}] * 5)
    sequence_all()
    return tenant


@pytest.fixture
def witness(tenant: Tenant, tmp_path: Path) -> Witness:
    return Witness("w.example/one", KEY, trusted_keys(tenant), tmp_path / "state.json")


@pytest.fixture
def witness_url(witness: Witness) -> Iterator[str]:
    yield from serve(server(witness, "127.0.0.1", 0))


def test_cosignatures_are_kept_with_the_checkpoint(tenant: Tenant, witness: Witness, witness_url: str, settings: Any) -> None:
    settings.AUDITLOG_WITNESSES = [f"{witness.key.encoded}={witness_url}"]
    witnesses = configured_witnesses()
    with connecting.connect("sequencer") as connection:
        while publishing.publish(connection, Anchor(), witnesses):
            pass
        assert witnesses[0].name == "w.example/one"
        text = service_of(tenant).get("/api/v1/integrity/checkpoints/5").content.decode()
        signed = open_checkpoint(text, [*trusted_keys(tenant), witness.key]).signed
        assert signed[-1].key == witness.key
        assert signed[-1].time_seconds is not None
        # The log grows; a client that has forgotten what the witness saw is told, and proves it from there.
        store(tenant, [{}] * 300)
        sequence_all()
        lines = configured_witnesses()[0].cosign(tenant.id, head_of(tenant).checkpoint)
        assert lines.startswith("— w.example/one ")


def test_older_checkpoint_than_the_witness_saw_is_not_cosigned(tenant: Tenant, witness: Witness, witness_url: str, settings: Any) -> None:
    settings.AUDITLOG_WITNESSES = [f"{witness.key.encoded}={witness_url}"]
    client = configured_witnesses()[0]
    old = head_of(tenant).checkpoint
    store(tenant, [{}])
    sequence_all()
    client.cosign(tenant.id, head_of(tenant).checkpoint)
    with pytest.raises(WitnessError, match="it has seen 6 entries"):
        client.cosign(tenant.id, old)


def test_witness_that_is_away_or_signs_with_another_key_is_an_error(tenant: Tenant, witness: Witness, witness_url: str, settings: Any) -> None:
    other = VerifierKey("w.example/two", bytes(range(32)), witness.key.kind)
    settings.AUDITLOG_WITNESSES = [f"{witness.key.encoded}=http://127.0.0.1:1", f"{other.encoded}={witness_url}"]
    for client in configured_witnesses():
        with pytest.raises(WitnessError):
            client.cosign(tenant.id, head_of(tenant).checkpoint)


@pytest.mark.parametrize("item", ["nonsense", "a+b+c=http://x", "w+00000000+AAAA"])
def test_wrong_setting_is_named(item: str, settings: Any) -> None:
    settings.AUDITLOG_WITNESSES = [item]
    with pytest.raises(ImproperlyConfigured, match="AUDITLOG_WITNESSES"):
        configured_witnesses()


def test_webhook_gets_the_checkpoint(tenant: Tenant, settings: Any) -> None:
    got: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            # The first try fails, as first tries do.
            self.send_response(500 if len(got) == 1 else 204)
            self.end_headers()

    urls = serve(HTTPServer(("127.0.0.1", 0), Handler))
    settings.AUDITLOG_CHECKPOINT_WEBHOOK = next(urls)
    publishing._post(settings.AUDITLOG_CHECKPOINT_WEBHOOK, head_of(tenant).checkpoint)
    next(urls, None)
    assert got == [head_of(tenant).checkpoint] * 2


# -- the witness by itself


@pytest.fixture
def lone(tmp_path: Path) -> Witness:
    return Witness("w", KEY, keys_of(ORIGIN, [LOG_KEY.public_key().public_bytes_raw()]), tmp_path / "state.json", clock=lambda: 1000.0)


def note(size: int, *, leaves: list[bytes] = LEAVES, origin: str = ORIGIN, key: Ed25519PrivateKey = LOG_KEY) -> str:
    return sign_checkpoint(Checkpoint(origin, size, Edge().append(leaves[:size])[0].root), [key], time_seconds=1)


def body(old: int, checkpoint: str, *path: bytes) -> str:
    return "".join([f"old {old}\n", *(base64.b64encode(step).decode() + "\n" for step in path), "\n", checkpoint])


def test_lone_witness_goes_on_from_what_it_saw(lone: Witness, tmp_path: Path) -> None:
    assert lone.add_checkpoint(body(0, note(4))).status == 200
    path = [Edge().append(LEAVES[4:8])[0].root]
    again = Witness("w", KEY, keys_of(ORIGIN, [LOG_KEY.public_key().public_bytes_raw()]), tmp_path / "state.json")
    assert again.add_checkpoint(body(4, note(8), *path)).status == 200
    assert again.add_checkpoint(body(8, note(8))).status == 200


def test_lone_witness_signs_no_fork_and_no_past(lone: Witness) -> None:
    lone.add_checkpoint(body(0, note(4)))
    fork = [bytes(32), *LEAVES[1:]]
    stale = lone.add_checkpoint(body(0, note(2)))
    assert (stale.status, stale.body, stale.content_type) == (409, "4\n", "text/x.tlog.size")
    assert lone.add_checkpoint(body(4, note(4, leaves=fork))).status == 409
    assert lone.add_checkpoint(body(4, note(8, leaves=fork), bytes(32))).status == 422
    assert lone.add_checkpoint(body(4, note(2))).status == 400


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", 400),
        ("old x\n\n", 400),
        ("old 0\n!!!\n\n" + note(4), 400),
        ("old 0\n\nnonsense", 400),
        (body(0, note(4, origin="another")), 404),
        (body(0, note(4, key=KEY)), 403),
        (body(0, note(4), *[bytes(32)] * 64), 400),
    ],
)
def test_lone_witness_refuses(lone: Witness, text: str, status: int) -> None:
    assert lone.add_checkpoint(text).status == status


def test_of_two_updates_at_once_one_is_cosigned(lone: Witness, tmp_path: Path) -> None:
    fork = [bytes(32), *LEAVES[1:]]
    lone.add_checkpoint(body(0, note(1)))
    # Both go on from what was seen; they contradict each other, so that they may not both be cosigned.
    requests = [body(1, note(2), LEAVES[1]), body(1, sign_checkpoint(other_second(), [LOG_KEY], time_seconds=1), fork[0])] * 8
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lone.add_checkpoint, requests))
    cosigned = {answer.body.split()[-1] for answer in answers if answer.status == 200}
    assert len(cosigned) == 1
    assert {answer.status for answer in answers} == {200, 409}
    assert list(json.loads((tmp_path / "state.json").read_text())) == [ORIGIN]


def other_second() -> Checkpoint:
    """Another tree of two leaves that begins with the same first one."""
    return Checkpoint(ORIGIN, 2, node_hash(LEAVES[0], bytes(32)))


def test_nothing_is_cosigned_that_is_not_on_disk(lone: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError("no space left on the device")

    monkeypatch.setattr("auditlog_verify.witness.os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        lone.add_checkpoint(body(0, note(4)))
    monkeypatch.undo()
    # As if it had never been asked.
    assert lone.add_checkpoint(body(0, note(2))).status == 200


def test_witness_over_http_refuses_what_is_no_request(witness_url: str) -> None:
    assert httpx.post(f"{witness_url}/elsewhere", content=b"x").status_code == 404
    assert httpx.post(f"{witness_url}/add-checkpoint", content=b"\xff").status_code == 400
    assert httpx.post(f"{witness_url}/add-checkpoint", content=b"x" * 70_000).status_code == 413


def test_program_starts_and_refuses_wrong_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pem = tmp_path / "key.pem"
    pem.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    log = keys_of(ORIGIN, [LOG_KEY.public_key().public_bytes_raw()])[0].encoded
    arguments = ["--name", "w", "--key", str(pem), "--state", str(tmp_path / "s"), "--port", "0", "--log"]

    class Interrupted:
        def serve_forever(self) -> None:
            raise KeyboardInterrupt

        def server_close(self) -> None:
            pass

    monkeypatch.setattr(witness_program, "server", lambda *_: Interrupted())
    assert witness_program.main([*arguments, log]) == 0
    assert capsys.readouterr().out.startswith("w+")
    assert witness_program.main([*arguments, "nonsense"]) == 2
    pem.write_text("nothing")
    assert witness_program.main([*arguments, log]) == 2
    with pytest.raises(NoteError, match="can't be the name"):
        Witness("a b", KEY, [], tmp_path / "s")
