"""Forwarding to syslog servers: rsyslog, one that dies, one with TLS."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from accounts.models import Tenant
from logs.forwarding import NewForwarder, create_forwarder, destinations, following
from logs.forwarding.destinations import NotTaken
from logs.forwarding.following import ForwarderFollower
from logs.models import Forwarder, ForwarderKind
from tests.forwarding import commit, forwarder, has_failed, until_sent
from tests.sequencing import now
from tests.storing import new_tenant
from tests.web import wait_until

pytestmark = pytest.mark.usefixtures("loopback_may_be_called")


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


class Rsyslog:
    """Debian's rsyslog, taking counted frames and writing one message a line."""

    def __init__(self, folder: Path, port: int) -> None:
        self.file = folder / "messages"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "rsyslog.conf").write_text(
            f'global(workDirectory="{folder}" maxMessageSize="300k")\nmodule(load="imtcp")\n'
            f'input(type="imtcp" address="127.0.0.1" port="{port}" SupportOctetCountedFraming="on")\n'
            f'template(name="all" type="string" string="%rawmsg%\\n")\naction(type="omfile" file="{self.file}" template="all" flushOnTXEnd="on")\n'
        )
        self._port = port

    def start(self) -> None:
        command = ["/usr/sbin/rsyslogd", "-n", "-f", str(self._folder / "rsyslog.conf"), "-i", str(self._folder / "pid")]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, "rsyslog listens")

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
            return True
        return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def positions(self) -> list[int]:
        text = self.file.read_text() if self.file.exists() else ""
        return [int(found) for found in re.findall(r'position="(\d+)"', text)]


@pytest.mark.slow(seconds=15)
@pytest.mark.skipif(shutil.which("rsyslogd", path="/usr/sbin:/usr/bin") is None, reason="rsyslog is not installed (apt-get install rsyslog)")
def test_rsyslog_that_restarts_in_the_middle_has_every_entry_in_order(tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destinations, "SETTLE_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    server = Rsyslog(tmp_path, port)
    server.start()
    row, _ = forwarder(tenant, ForwarderKind.SYSLOG, f"syslog://127.0.0.1:{port}")
    follower = ForwarderFollower(row.pk)
    try:
        commit(tenant, 1_500)
        until_sent(follower, row, 1_000)
        server.stop()
        commit(tenant, 500, 1_500)
        with contextlib.suppress(NotTaken):
            follower.step()
        server.start()
        until_sent(follower, row, 2_000)
        wait_until(lambda: set(server.positions()) == set(range(2_000)), "every entry is in the file")
    finally:
        server.stop()
    found = server.positions()
    # In order, but for what was sent again after the break.
    assert list(dict.fromkeys(found)) == list(range(2_000))
    assert Forwarder.objects.get(pk=row.pk).last_error == ""


def test_syslog_server_that_dies_with_what_it_was_sent_gets_it_again(tenant: Tenant) -> None:
    """It takes bytes and reads none: nothing counts as arrived."""
    commit(tenant, 20)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        row, _ = forwarder(tenant, ForwarderKind.SYSLOG, f"syslog://127.0.0.1:{port}")
        follower = ForwarderFollower(row.pk)
        follower.step()
        connection, _ = listener.accept()
        row.refresh_from_db()
        assert row.position == -1
        connection.close()
        wait_until(lambda: has_failed(follower), "the break is noticed")
        row.refresh_from_db()
        assert row.position == -1
        got: list[bytes] = []

        def take() -> None:
            connection, _ = listener.accept()
            with connection:
                while piece := connection.recv(65_536):
                    got.append(piece)

        threading.Thread(target=take, daemon=True).start()
        follower.step()
        wait_until(lambda: b"".join(got).count(b"auditlog@32473") == 20, "all of it comes again")
        follower._close()


def test_cursor_of_syslog_moves_while_there_is_always_more_to_send(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "BATCH_POSITIONS", 10)
    # The last byte is never acknowledged: the next batch is on its way already.
    monkeypatch.setattr(destinations, "_unacknowledged_bytes", lambda _connection: 1)
    commit(tenant, 30)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        row, _ = forwarder(tenant, ForwarderKind.SYSLOG, f"syslog://127.0.0.1:{listener.getsockname()[1]}")
        follower = ForwarderFollower(row.pk, monotonic=lambda: time.monotonic() + 2 * destinations.SETTLE_SECONDS)
        moved = []
        for _ in range(3):
            follower.step()
            moved.append(Forwarder.objects.get(pk=row.pk).position)
        follower._close()
    assert moved == [-1, 9, 19]


def certified(folder: Path) -> tuple[str, ssl.SSLContext]:
    """A certificate of 127.0.0.1 that signs itself, in PEM, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "siem")])
    at = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - datetime.timedelta(hours=1))
        .not_valid_after(at + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    (folder / "siem.pem").write_bytes(pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "siem.pem")
    return pem.decode(), context


def test_syslog_over_tls_goes_to_the_server_of_the_certificate_alone(tenant: Tenant, tmp_path: Path) -> None:
    ids = commit(tenant, 30)
    pem, context = certified(tmp_path)
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as wrapped:
                    while piece := wrapped.recv(65_536):
                        got.append(piece)

        threading.Thread(target=take, daemon=True).start()
        url = f"syslog+tls://127.0.0.1:{listener.getsockname()[1]}"
        stranger, _ = forwarder(tenant, ForwarderKind.SYSLOG, url)
        with pytest.raises(NotTaken, match="certificate"):
            ForwarderFollower(stranger.pk).step()
        assert got == []
        row, _ = create_forwarder(tenant.id, "user:root", NewForwarder(name="known", kind=ForwarderKind.SYSLOG, url=url, certificate=pem), now(), 0)
        follower = ForwarderFollower(row.pk)
        follower.step()
        wait_until(lambda: b"".join(got).count(b"auditlog@32473") == 30, "all of it has come")
        follower._close()
        listener.shutdown(socket.SHUT_RDWR)
    stream, found = b"".join(got), []
    while stream:
        length, _, stream = stream.partition(b" ")
        message, stream = stream[: int(length)], stream[int(length) :]
        found.append(json.loads(message.partition(b"\xef\xbb\xbf")[2])["id"])
    assert found == ids
