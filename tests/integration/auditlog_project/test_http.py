"""The HTTP edge, as a real server process answers it."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from accounts.models import Tenant
from tests.api import stored_count
from tests.storing import ENTRY, new_key, new_tenant
from tests.web import Web, manage, product_environment, wait_until


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    environment = product_environment()
    assert manage(environment, "prepare").returncode == 0
    web = Web(environment).start()
    yield web
    web.stop()


@pytest.fixture(scope="module")
def client(web: Web, tenant: Tenant) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=web.url, headers={"Authorization": f"Bearer {new_key(tenant)}"}, timeout=30) as client:
        yield client


def raw(web: Web, request: bytes) -> bytes:
    """What the server answers to these very bytes, to the end of the connection or to a second's silence."""
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        try:
            while chunk := connection.recv(65_536):
                answer += chunk
                connection.settimeout(1)
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


def test_process_says_that_it_lives_and_works(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]) == (200, {"database": "ok", "redis": "ok", "partitions": "ok", "writer": "ok"})


def test_request_id_is_kept_if_it_is_a_sane_one(client: httpx.Client) -> None:
    assert client.get("/healthz", headers={"X-Request-Id": "abc-123"}).headers["x-request-id"] == "abc-123"
    made = client.get("/healthz", headers={"X-Request-Id": "a b\tc"}).headers["x-request-id"]
    assert len(made) == 32


def test_header_with_underscores_is_no_credential(client: httpx.Client, web: Web) -> None:
    key = client.headers["Authorization"].removeprefix("Bearer ").encode()
    good = raw(web, b"GET /api/v1/logs HTTP/1.1\r\nHost: localhost\r\nX-API-Key: " + key + b"\r\nConnection: close\r\n\r\n")
    bad = raw(web, b"GET /api/v1/logs HTTP/1.1\r\nHost: localhost\r\nX_API_Key: " + key + b"\r\nConnection: close\r\n\r\n")
    assert good.startswith(b"HTTP/1.1 200")
    assert bad.startswith(b"HTTP/1.1 401")


def test_foreign_host_is_refused(web: Web) -> None:
    assert raw(web, b"GET /admin/login/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_head_has_the_headers_of_get_and_no_body(client: httpx.Client) -> None:
    answer = client.head("/api/v1/logs")
    assert answer.status_code == 200
    assert answer.content == b""


def test_unknown_path_is_a_problem_document(client: httpx.Client) -> None:
    answer = client.get("/api/v1/nothing")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "not_found"
    assert client.put("/api/v1/logs", json={}).status_code == 405


def test_body_without_a_length_is_refused_while_it_comes(web: Web, tenant: Tenant) -> None:
    """The client sends for ever; the answer comes all the same."""
    head = b"POST /api/v1/logs/bulk HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as connection:
        connection.sendall(head)
        sent = 0
        try:
            while sent < 64:
                connection.sendall(chunk)
                sent += 1
        except OSError:
            pass
        assert sent < 64 or connection.recv(100).startswith(b"HTTP/1.1 413")
    assert httpx.get(web.url + "/healthz").status_code == 200


def test_announced_length_over_the_limit_is_refused_at_once(web: Web) -> None:
    answer = raw(web, b"POST /api/v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")


def test_websocket_at_an_unknown_address_is_refused(web: Web) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    assert raw(web, b"GET /api/v1/logs/nosuch HTTP/1.1\r\nHost: localhost\r\n" + upgrade).startswith(b"HTTP/1.1 403")


def test_documentation_and_its_files_come_from_here(client: httpx.Client) -> None:
    for path in ("/api/v1/docs", "/api/v1/redoc"):
        page = client.get(path).text
        files = [part.split('"')[0] for part in page.split('="')[1:] if part.startswith("/static/")]
        assert files
        assert "https://" not in "".join(part.split('"')[0] for part in page.split('src="')[1:])
        assert all(client.get(file).status_code == 200 for file in files)


def test_stop_answers_what_was_accepted() -> None:
    tenant = new_tenant()
    key = new_key(tenant)
    web = Web(product_environment(), workers=2).start()
    acknowledged: list[int] = []

    def post(number: int) -> None:
        body = json.dumps({**ENTRY, "resource_id": f"r{number}"})
        with httpx.Client(base_url=web.url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
            for _ in range(200):
                try:
                    answer = client.post("/api/v1/logs", content=body, headers={"Content-Type": "application/json"})
                except httpx.TransportError:
                    return
                acknowledged.append(answer.status_code)

    with ThreadPoolExecutor(8) as pool:
        for number in range(8):
            pool.submit(post, number)
        wait_until(lambda: len(acknowledged) > 50, "posts are answered")
        assert web._process is not None
        os.kill(web._process.pid, signal.SIGTERM)
    web.stop()
    assert set(acknowledged) == {201}
    assert stored_count(tenant) >= len(acknowledged)
