"""Outbound requests on real sockets: where they go, and how they end."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from logs.outbound import Answer, CallFailed, DestinationRefused, OutboundError, Reach, post
from logs.outbound.addresses import Address

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HERE = ipaddress.ip_address("127.0.0.1")
ELSEWHERE = ipaddress.ip_address("127.0.0.2")


class Server:
    """Listens at `address`; says `answer` to whatever comes. `requests`: what it was sent; `names`: what TLS asked it for."""

    def __init__(
        self, address: str = "127.0.0.1", port: int = 0, answer: bytes | Callable[[socket.socket], None] = OK, context: ssl.SSLContext | None = None
    ) -> None:
        self._answer = answer
        self._context = context
        self.requests: list[bytes] = []
        self.names: list[str] = []
        if context:
            context.sni_callback = lambda _socket, name, _context: self.names.append(str(name))
        self._listener = socket.create_server((address, port))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=[connection], daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(5)
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            with closing(connection):
                request = b""
                # To its end: a socket that is closed with something unread in it takes the answer back.
                while not request.endswith(b"\r\n\r\ncontent") and (piece := connection.recv(65_536)):
                    request += piece
                self.requests.append(request)
                if callable(self._answer):
                    self._answer(connection)
                else:
                    connection.sendall(self._answer)
        except OSError:
            pass

    def close(self) -> None:
        # Wakes the thread that accepts; as long as it waits, the port stays open.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def serving(*arguments: Any, **options: Any) -> Iterator[Server]:
    server = Server(*arguments, **options)
    try:
        yield server
    finally:
        server.close()


def resolver(*answers: Sequence[Address]) -> tuple[Callable[[str, int], Sequence[Address]], list[str]]:
    """A resolver that says another thing each time, and the names that it was asked for."""
    asked: list[str] = []

    def resolve(host: str, port: int) -> Sequence[Address]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return resolve, asked


@pytest.fixture
def allowed(settings: Any) -> None:
    """127.0.0.1 stands for the public internet; 127.0.0.2 stays inside."""
    settings.AUDITLOG_OUTBOUND_ALLOW = [ipaddress.ip_network("127.0.0.1/32")]


def call(url: str, **options: Any) -> Answer:
    return post(url, b"content", reach=Reach.PUBLIC, timeout_seconds=options.pop("timeout_seconds", 5), **options)


@pytest.mark.usefixtures("allowed")
def test_request_goes_to_the_judged_address_under_its_name() -> None:
    resolve, asked = resolver([HERE])
    with serving() as server:
        assert call(f"http://receiver.example:{server.port}/hook?a=b", resolve=resolve) == Answer(200, b"ok")
    (request,) = server.requests
    assert request.startswith(b"POST /hook?a=b HTTP/1.1\r\n")
    assert f"Host: receiver.example:{server.port}\r\n".encode() in request
    assert request.endswith(b"\r\n\r\ncontent")
    assert asked == ["receiver.example"]


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize(("answers", "is_called"), [([[HERE], [ELSEWHERE]], True), ([[ELSEWHERE], [HERE]], False)])
def test_name_that_changes_its_address_gains_nothing(answers: list[list[Address]], is_called: bool) -> None:
    """DNS rebinding: what is checked is what is connected to, in either order of the answers."""
    resolve, asked = resolver(*answers)
    with serving() as outside, serving("127.0.0.2", outside.port) as inside:
        if is_called:
            assert call(f"http://rebinding.example:{outside.port}/", resolve=resolve).is_success
        else:
            with pytest.raises(DestinationRefused, match="may not be called: its address is loopback"):
                call(f"http://rebinding.example:{outside.port}/", resolve=resolve)
    assert inside.requests == []
    assert len(outside.requests) == is_called
    assert len(asked) == 1


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize("addresses", [[HERE, ELSEWHERE], [ELSEWHERE, HERE], [HERE, ipaddress.ip_address("::ffff:169.254.169.254")]])
def test_answer_with_one_private_address_is_refused_whole(addresses: list[Address]) -> None:
    resolve, _ = resolver(addresses)
    with serving() as server, pytest.raises(DestinationRefused):
        call(f"http://mixed.example:{server.port}/", resolve=resolve)
    assert server.requests == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_this_machine_is_not_called_by_any_of_its_names(host: str) -> None:
    with serving() as server:
        with pytest.raises(OutboundError) as refused:
            call(f"http://{host}:{server.port}/secret-path")
        assert server.requests == []
    assert isinstance(refused.value, DestinationRefused)
    assert "secret-path" not in str(refused.value)


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(status: int) -> None:
    with serving("127.0.0.2") as inside:
        location = f"http://127.0.0.2:{inside.port}/".encode()
        with serving(answer=b"HTTP/1.1 %d Elsewhere\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, location)) as outside:
            answer = call(f"http://127.0.0.1:{outside.port}/")
        assert (answer.status, answer.is_success) == (status, False)
        assert inside.requests == []


@pytest.mark.usefixtures("allowed")
def test_no_proxy_and_no_netrc_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password something\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with serving() as proxy, serving() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert call(f"http://127.0.0.1:{server.port}/").is_success
    assert proxy.requests == []
    assert b"uthorization" not in server.requests[0]


def dribble(connection: socket.socket) -> None:
    """An answer that comes byte by byte, each well within any time limit of a single read."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b"x")
        time.sleep(0.05)


def pour(connection: socket.socket) -> None:
    """An answer without an end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65_536)


def headers_without_end(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: " + b"x" * 1000 + b"\r\n")


def informations_without_end(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        time.sleep(0.05)


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize("answer", [dribble, pour, headers_without_end, informations_without_end, lambda _: time.sleep(4), b"", b"nonsense\r\n\r\n"])
def test_slow_and_endless_answers_end_in_time(answer: Any) -> None:
    started = time.monotonic()
    with serving(answer=answer) as server, pytest.raises(CallFailed):
        call(f"http://127.0.0.1:{server.port}/", timeout_seconds=1)
    # A second and what a busy machine adds; without a deadline for the whole, the first would take 50 s and others for ever.
    assert time.monotonic() - started < 4


@pytest.mark.usefixtures("allowed")
def test_slow_resolver_holds_nobody_up() -> None:
    def resolve(host: str, port: int) -> Sequence[Address]:
        time.sleep(5)
        return [HERE]

    started = time.monotonic()
    with pytest.raises(CallFailed, match="not found in time"):
        call("http://slow.example/", resolve=resolve, timeout_seconds=0.5)
    assert time.monotonic() - started < 4


@pytest.mark.usefixtures("allowed")
def test_name_without_address_and_port_without_server_are_failures() -> None:
    def resolve(host: str, port: int) -> Sequence[Address]:
        raise socket.gaierror("no such name")

    with pytest.raises(CallFailed, match="no such name"):
        call("http://none.example/", resolve=resolve)
    with pytest.raises(CallFailed, match="has no address"):
        call("http://none.example/", resolve=lambda *_: [])
    with serving() as server:
        port = server.port
    with pytest.raises(CallFailed):
        call(f"http://127.0.0.1:{port}/")


@pytest.mark.usefixtures("allowed")
def test_second_address_is_tried_where_the_first_refuses(settings: Any) -> None:
    settings.AUDITLOG_OUTBOUND_ALLOW = [ipaddress.ip_network("127.0.0.0/24")]
    resolve, _ = resolver([ELSEWHERE, HERE])
    with serving() as server:
        assert call(f"http://two.example:{server.port}/", resolve=resolve).is_success


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's TLS with a certificate for receiver.example that this process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver.example")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("receiver.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "receiver.pem"
    pem = certificate.public_bytes(Encoding.PEM)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + pem)
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(pem)
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.mark.usefixtures("allowed")
def test_certificate_is_verified_against_the_name(tls: ssl.SSLContext) -> None:
    resolve, _ = resolver([HERE])
    with serving(context=tls) as server:
        assert call(f"https://receiver.example:{server.port}/", resolve=resolve).is_success
        assert server.names == ["receiver.example"]
        with pytest.raises(CallFailed, match="certificate"):
            call(f"https://other.example:{server.port}/", resolve=resolve)
        with pytest.raises(CallFailed, match="certificate"):
            call(f"https://127.0.0.1:{server.port}/", resolve=resolve)
    assert len(server.requests) == 1


@pytest.mark.usefixtures("allowed")
def test_header_that_would_be_two_is_not_sent() -> None:
    with serving() as server, pytest.raises(CallFailed):
        call(f"http://127.0.0.1:{server.port}/", headers={"X-Name": "a\r\nX-Other: b"})
    assert server.requests in ([], [b""])
