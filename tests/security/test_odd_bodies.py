"""Odd requests over raw sockets against the real web server: one request is never taken for two, and none breaks it. And odd content."""

from __future__ import annotations

import gzip
import io
import json
import re
import socket
import time
import uuid
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import zstandard

from accounts.models import Role, Tenant
from tests.api import BULK, LOGS, Api, assert_refused, entry, stored_count
from tests.sequencing import sequence_all
from tests.storing import new_key, new_tenant, new_token
from tests.web import Web, product_environment

JSON_LINE = b"Content-Type: application/json\r\n"
# What a smuggled request would be answered with, and nothing else: the name of a tenant's own settings.
SMUGGLED = b"GET /api/v1/log-settings?smuggled HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n"


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    server = Web(product_environment()).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    return new_tenant()


@pytest.fixture(scope="module")
def key(tenant: Tenant) -> bytes:
    return new_key(tenant).encode()


@pytest.fixture
def count(tenant: Tenant) -> int:
    return stored_count(tenant)


def talk(web: Web, raw: bytes, *, seconds: float = 3) -> list[tuple[int, bytes]]:
    """Send the bytes on one connection; every answer that comes, as status and body, until the server closes or is silent."""
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        try:
            connection.sendall(raw)
        except OSError:
            pass
        connection.settimeout(seconds)
        received = b""
        try:
            while piece := connection.recv(65_536):
                received += piece
        except OSError:
            pass
    return list(answers_in(received))


def answers_in(received: bytes) -> Iterator[tuple[int, bytes]]:
    while received:
        head, found, rest = received.partition(b"\r\n\r\n")
        status = re.match(rb"HTTP/1\.[01] (\d{3})", head)
        assert found, received
        assert status, received
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        size = int(length[1]) if length else 0
        yield int(status[1]), rest[:size]
        received = rest[size:]


def head(key: bytes, *lines: bytes, method: bytes = b"POST", path: bytes = b"/api/v1/logs") -> bytes:
    return b"".join([b"%s %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n" % (method, path, key), JSON_LINE, *lines, b"\r\n"])


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


BODY = json.dumps(entry()).encode()
# Name: header lines, what follows them. Each has two readings of where the request ends, or none.
AMBIGUOUS: dict[str, tuple[tuple[bytes, ...], bytes]] = {
    "length and chunks, chunks longer": ((b"Content-Length: 4\r\n", b"Transfer-Encoding: chunked\r\n"), chunked(BODY)),
    "length and chunks, length longer": ((b"Content-Length: 500\r\n", b"Transfer-Encoding: chunked\r\n"), chunked(BODY)),
    "chunks and length in the other order": ((b"Transfer-Encoding: chunked\r\n", b"Content-Length: 3\r\n"), b"0\r\n\r\n"),
    "two lengths": ((b"Content-Length: %d\r\n" % len(BODY), b"Content-Length: 3\r\n"), BODY),
    "two lengths in one line": ((b"Content-Length: 3, %d\r\n" % len(BODY),), BODY),
    "length with a plus": ((b"Content-Length: +%d\r\n" % len(BODY),), BODY),
    "negative length": ((b"Content-Length: -1\r\n",), BODY),
    "length in hexadecimal": ((b"Content-Length: 0x%x\r\n" % len(BODY),), BODY),
    "length beyond 64 bits": ((b"Content-Length: 18446744073709551616\r\n",), BODY),
    "length of nothing": ((b"Content-Length: \r\n",), BODY),
    "folded length": ((b"Content-Length:\r\n %d\r\n" % len(BODY),), BODY),
    "space before the colon": ((b"Content-Length : %d\r\n" % len(BODY),), BODY),
    "tab before the colon": ((b"Transfer-Encoding\t: chunked\r\n",), chunked(BODY)),
    "encoding by another name": ((b"Transfer-Encoding: xchunked\r\n",), chunked(BODY)),
    "chunked is not last": ((b"Transfer-Encoding: chunked, identity\r\n",), chunked(BODY)),
    "chunked twice": ((b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: chunked\r\n"), chunked(BODY)),
    "chunked and identity": ((b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n"), chunked(BODY)),
    "vertical tab": ((b"Transfer-Encoding: \x0bchunked\r\n",), chunked(BODY)),
    "name with an underscore": ((b"Transfer_Encoding: chunked\r\n", b"Content-Length: %d\r\n" % len(BODY)), BODY),
    "length with an underscore": ((b"Content_Length: 3\r\n", b"Content-Length: %d\r\n" % len(BODY)), BODY),
    "negative chunk": ((b"Transfer-Encoding: chunked\r\n",), b"-1\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk of no number": ((b"Transfer-Encoding: chunked\r\n",), b"zz\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk beyond 64 bits": ((b"Transfer-Encoding: chunked\r\n",), b"10000000000000001\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk shorter than it says": ((b"Transfer-Encoding: chunked\r\n",), b"%x\r\n" % (len(BODY) + 5) + BODY + b"\r\n0\r\n\r\n"),
    "chunk longer than it says": ((b"Transfer-Encoding: chunked\r\n",), b"3\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk with 0x": ((b"Transfer-Encoding: chunked\r\n",), b"0x%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n"),
    "bare line feed after a chunk's size": ((b"Transfer-Encoding: chunked\r\n",), b"%x\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n"),
    "line feed alone": ((b"X-A: b\n", b"Content-Length: %d\r\n" % len(BODY)), BODY),
    "carriage return alone": ((b"X-A: b\rContent-Length: 3\r\n", b"Content-Length: %d\r\n" % len(BODY)), BODY),
    "NUL in a header": ((b"X-A: b\x00c\r\n", b"Content-Length: %d\r\n" % len(BODY)), BODY),
    "two hosts": ((b"Host: elsewhere\r\n", b"Content-Length: %d\r\n" % len(BODY)), BODY),
    "header without a colon": ((b"Nonsense\r\n", b"Content-Length: %d\r\n" % len(BODY)), BODY),
}  # fmt: skip


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_request_is_never_taken_for_two(web: Web, tenant: Tenant, key: bytes, name: str) -> None:
    """Whatever the reading of one request is, what follows it on the connection is answered by its own credential, once, or not at all."""
    lines, body = AMBIGUOUS[name]
    victim = new_key(new_tenant()).encode()
    probe = b"GET /api/v1/api-keys HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n" % victim
    before = stored_count(tenant)
    answers = talk(web, head(key, *lines) + body + probe)
    statuses = [status for status, _ in answers]
    assert all(200 <= status < 500 for status in statuses), answers
    # At most two answers: the odd request's and the probe's, which says 403 (a key is no Admin) as it always does.
    assert len(answers) <= 2, answers
    if len(answers) == 2:
        assert statuses[1] in (400, 403), answers
    # Stored once, or not at all.
    assert stored_count(tenant) - before == (1 if statuses[:1] == [201] else 0)


def smuggling(key: bytes, name: str) -> bytes:
    """A request whose body holds a request of its own."""
    lines, _ = AMBIGUOUS[name]
    smuggled = SMUGGLED % key
    by_length = any(line.lower().startswith((b"content-length", b"content_length")) for line in lines) and not any(b"hunked" in line for line in lines)
    sent = tuple(re.sub(rb"(?i)(content-length\s*:\s*)(%d)\b" % len(BODY), rb"\g<1>%d" % len(smuggled), line) for line in lines)
    if not by_length or not any(b"%d" % len(smuggled) in line for line in sent):
        # Both ends are given: a reader by the length sees the end first, one by chunks the whole.
        smuggled_body = chunked(smuggled)
    else:
        smuggled_body = smuggled
    return head(key, *sent) + smuggled_body


@pytest.fixture(scope="module")
def answers_to_smuggling(web: Web, key: bytes) -> dict[str, list[tuple[int, bytes]]]:
    """All at once, for it takes three seconds to be sure that a connection stays silent."""
    with ThreadPoolExecutor(8) as pool:
        return dict(zip(AMBIGUOUS, pool.map(lambda name: talk(web, smuggling(key, name)), AMBIGUOUS), strict=True))


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_smuggled_request_is_not_answered(answers_to_smuggling: dict[str, list[tuple[int, bytes]]], name: str) -> None:
    """Were the end of the body misread, what it holds would be answered."""
    answers = answers_to_smuggling[name]
    assert all(status < 500 for status, _ in answers)
    # The smuggled request has rights of its own and would be answered 200 with the mode of the catalogue.
    assert not any(status == 200 or b"catalogue_mode" in body or b"smuggled" in body for status, body in answers), answers


def test_control_the_smuggled_request_is_answered_where_it_is_one(web: Web, tenant: Tenant) -> None:
    token = new_token(tenant, Role.ADMIN).encode()
    ((status, body),) = talk(web, SMUGGLED % token, seconds=2)
    assert (status, b"catalogue_mode" in body) == (200, True)


def test_two_requests_in_one_go_are_answered_in_their_order(web: Web, tenant: Tenant, key: bytes) -> None:
    other = new_key(new_tenant(), "logs:read").encode()
    first = head(key, b"Content-Length: %d\r\n" % len(BODY)) + BODY
    second = head(other, b"Content-Length: %d\r\n" % len(BODY), b"Connection: close\r\n") + BODY
    assert [status for status, _ in talk(web, first + second)] == [201, 403]


def test_body_that_does_not_arrive_stores_nothing(web: Web, tenant: Tenant, key: bytes, count: int) -> None:
    assert talk(web, head(key, b"Content-Length: 500\r\n") + BODY, seconds=1) == []
    assert talk(web, head(key, b"Transfer-Encoding: chunked\r\n") + b"%x\r\n%s\r\n" % (len(BODY), BODY), seconds=1) == []
    assert stored_count(tenant) == count
    assert httpx.get(web.url + "/healthz").status_code == 200


def test_expectation_and_trailers_change_nothing(web: Web, tenant: Tenant, key: bytes, count: int) -> None:
    trailing = b"%x\r\n%s\r\n0\r\nAuthorization: Bearer x\r\nX-Tenant: other\r\n\r\n" % (len(BODY), BODY)
    answers = talk(web, head(key, b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n") + trailing)
    assert [status for status, _ in answers] in ([201], [400])
    assert stored_count(tenant) == count + (answers[0][0] == 201)


@pytest.mark.parametrize("line", [b"X_Tenant: other\r\n", b"X-API_Key: x\r\n", b"X_Api_Key: x\r\n", b"Authorization_: x\r\n", b"Content_Encoding: gzip\r\n"])
def test_underscore_is_no_hyphen(web: Web, key: bytes, line: bytes) -> None:
    """A proxy that filters X-Tenant does not know X_Tenant; we take neither for the other."""
    answers = talk(web, head(key, line, b"Content-Length: %d\r\n" % len(BODY), b"Connection: close\r\n") + BODY)
    assert [status for status, _ in answers] == [201]


@pytest.mark.parametrize("lines", [[b"Authorization: Bearer x\r\n"], [b"X-API-Key: x\r\n"], [b"X-Tenant: a\r\n", b"X-Tenant: b\r\n"]])
def test_second_credential_or_tenant_is_refused(web: Web, key: bytes, lines: list[bytes]) -> None:
    ((status, _),) = talk(web, head(key, *lines, b"Content-Length: %d\r\n" % len(BODY), b"Connection: close\r\n") + BODY)
    assert status in (400, 401, 403, 404)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GET / HTTP/0.9\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET  /healthz  HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://elsewhere/api/v1/logs HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET //elsewhere/..//api/v1/logs HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n\r\n",
        b"GET /%00%ff%0d%0aX:%201 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /admin/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: a\r\n" * 2_000 + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x00" * 1000,
    ],
)
def test_nonsense_is_refused_and_the_server_goes_on(web: Web, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        connection.sendall(raw)
        connection.settimeout(1)
        received = b""
        try:
            while piece := connection.recv(65_536):
                received += piece
        except OSError:
            pass
    status = re.match(rb"HTTP/1\.[01] (\d{3})", received)
    assert status is None or int(status[1]) < 500, received[:300]
    assert b"Traceback" not in received
    assert httpx.get(web.url + "/healthz").status_code == 200


@pytest.mark.parametrize("line", [b"X-Request-Id: a\x0bb", b"X-Request-Id: a\xc2\x85b", b"X-Request-Id: <script>", b"X-Request-Id: " + b"a" * 129])
def test_request_id_of_the_callers_is_plain_or_another(web: Web, line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + line + b"\r\nConnection: close\r\n\r\n")
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    found = re.search(rb"(?i)x-request-id: ([^\r\n]*)\r\n", received)
    assert found is None or re.fullmatch(rb"[0-9a-f]{32}", found[1])


# -- content: through the whole of Django, in this process

TEXT_ODDITIES = {
    "NUL": b'"\\u0000"',
    "raw NUL": b'"\x00"',
    "raw line feed": b'"a\nb"',
    "lone surrogate": b'"\\ud800"',
    "lone low surrogate": b'"\\udc00"',
    "surrogates the wrong way round": b'"\\udc00\\ud800"',
    "raw surrogate": b'"\xed\xa0\x80"',
    "not UTF-8": b'"\xff"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "beyond Unicode": b'"\xf4\x90\x80\x80"',
    "cut off": b'"\xe2\x82"',
}
VALUE_ODDITIES = {
    "huge exponent": b"1e999999999",
    "not a number": b"NaN",
    "infinity": b"-Infinity",
    "many digits": b"9" * 100_000,
    "small exponent": b"1e-999999999",
    "leading zero": b"01",
    "deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "unclosed": b"[" * 100_000,
}  # fmt: skip


@pytest.fixture(scope="module")
def admin(tenant: Tenant) -> Api:
    return Api(new_token(tenant, Role.ADMIN, "alice"))


def bodies_with(odd: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Method, path, and a body in which `odd` stands where text or a value may be."""
    uid = uuid.uuid4().hex.encode()
    yield "POST", LOGS, b'{"user_id":"a","action":"B","resource_type":"c","message":%s}' % odd
    yield "POST", LOGS, b'{"user_id":%s,"action":"B","resource_type":"c"}' % odd
    yield "POST", LOGS, b'{"user_id":"a","action":"B","resource_type":"c","metadata":{"x":%s}}' % odd
    yield "POST", LOGS, b'{"user_id":"a","action":"B","resource_type":"c","before":{"x":[%s]}}' % odd
    if odd.startswith(b'"'):
        yield "POST", LOGS, b'{"user_id":"a","action":"B","resource_type":"c","metadata":{%s:1}}' % odd
    yield "POST", BULK, b'[{"user_id":"a","action":"B","resource_type":"c","message":%s}]' % odd
    yield "POST", "/api/v1/exports", b'{"format":"csv","query":%s}' % odd
    yield "POST", "/api/v1/saved-searches", b'{"name":%s,"query":{}}' % odd
    yield "POST", "/api/v1/saved-searches", b'{"name":"%s","query":{"user_id":[%s]}}' % (uid, odd)
    yield "POST", "/api/v1/actions", b'{"name":"A%s","title_template":%s}' % (uid.upper(), odd)
    yield "POST", "/api/v1/api-keys", b'{"name":%s,"scopes":["logs:read"]}' % odd
    yield "POST", "/api/v1/auth/token", b'{"username":%s,"password":"x"}' % odd
    yield "POST", "/api/v1/auth/token", b'{"username":"x","password":%s}' % odd
    yield "POST", "/api/v1/auth/token/refresh", b'{"refresh":%s}' % odd
    yield "PATCH", "/api/v1/log-settings", b'{"catalogue_mode":%s}' % odd


@pytest.mark.parametrize("name", [*TEXT_ODDITIES, *VALUE_ODDITIES])
def test_odd_json_is_refused_wherever_it_enters(admin: Api, tenant: Tenant, name: str) -> None:
    odd = (TEXT_ODDITIES | VALUE_ODDITIES)[name]
    before = stored_count(tenant)
    for method, path, body in bodies_with(odd):
        answer = admin.send(method, path, body)
        # Numbers that JSON has and a double has not are exact in an entry's JSON; everything else is refused.
        assert 400 <= answer.status_code < 500 or (path == LOGS and name in ("small exponent", "huge exponent", "many digits")), (
            path,
            body[:100],
            answer.content,
        )
        assert answer["Content-Type"] in ("application/problem+json", "application/json")
        assert b"Traceback" not in answer.content
    if name not in ("small exponent", "huge exponent", "many digits"):
        assert stored_count(tenant) == before


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"user_id":"first","user_id":"second","action":"B","resource_type":"c"}', b'"user_id":"second"'),
        (b'{"user_id":"a","action":"B","resource_type":"c","metadata":{"a":"first","a":"second"}}', b'"metadata":{"a":"second"}'),
        (b'{"user_id":"a","action":"B","resource_type":"c","after":{"x":[{"a":"first","\\u0061":"second"}]}}', b'"after":{"x":[{"a":"second"}]}'),
    ],
)
def test_of_a_key_given_twice_the_last_is_stored_shown_and_hashed(admin: Api, body: bytes, shown: bytes) -> None:
    """As auditlog_verify.canonical says: one hash, and no second reading of it anywhere."""
    made = admin.send("POST", LOGS, body).json()
    sequence_all()
    answer = admin.get(f"{LOGS}/{made['id']}")
    assert shown in answer.content.replace(b" ", b"")
    assert b"first" not in answer.content
    assert admin.get(f"{LOGS}/{made['id']}/proof").status_code == 200


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"1", b'"text"', b"{}", b"{", b"\xef\xbb\xbf{}", b"[[]]", b"true", b"\x00", b"[{}]"])
def test_body_of_another_shape_is_refused_by_every_route(admin: Api, tenant: Tenant, body: bytes) -> None:
    before = stored_count(tenant)
    for method, path, _ in bodies_with(b"1"):
        # The test client leaves the length of nothing away, and complains when somebody reads.
        answer = admin.send(method, path, body, Content_Length=str(len(body)))
        # An empty PATCH changes nothing; an empty array of entries stores none.
        harmless = (method == "PATCH" and body in (b"{}", b"")) or (path == BULK and body == b"[]")
        assert 400 <= answer.status_code < 500 or harmless, (path, body, answer.status_code, answer.content)
    assert stored_count(tenant) == before


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def zstd_unsized(data: bytes) -> bytes:
    """A frame that does not say how large its content is."""
    output = io.BytesIO()
    with zstandard.ZstdCompressor(write_content_size=False).stream_writer(output, closefd=False) as writer:
        writer.write(data)
    return output.getvalue()


def packed(data: bytes, level: int = 9) -> bytes:
    """gzip without the time in it: the cases of a test are named by their bytes, and every worker has to name them alike."""
    return gzip.compress(data, level, mtime=0)


BOMB_BYTES = 200 * 2**20


@pytest.fixture(scope="module")
def bombs() -> dict[str, tuple[str, bytes]]:
    zeros = b" " * BOMB_BYTES
    return {
        "gzip": ("gzip", packed(zeros, 1)),
        "gzip of many members": ("gzip", packed(b" " * 2**20, 9) * 200),
        "zstd": ("zstd", zstd(zeros)),
        "zstd of many frames": ("zstd", zstd(b" " * 2**20) * 200),
        "zstd of unknown size": ("zstd", zstd_unsized(zeros)),
        "gzip in gzip": ("gzip", packed(packed(zeros, 1), 1)),
    }


@pytest.mark.parametrize("name", ["gzip", "gzip of many members", "zstd", "zstd of many frames", "zstd of unknown size", "gzip in gzip"])
@pytest.mark.parametrize("path", [LOGS, BULK])
def test_bomb_is_refused_quickly(admin: Api, tenant: Tenant, bombs: dict[str, tuple[str, bytes]], path: str, name: str) -> None:
    coding, body = bombs[name]
    before, started = stored_count(tenant), time.monotonic()
    answer = admin.post(path, body, Content_Encoding=coding)
    assert answer.status_code in (400, 413), answer.content
    assert time.monotonic() - started < 10
    assert stored_count(tenant) == before


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", b"not gzip"),
        ("gzip", packed(BODY)[:-4]),
        ("gzip", packed(BODY)[:20]),
        ("gzip", packed(BODY) + b"rest"),
        ("zstd", b"not zstd"),
        ("zstd", zstd(BODY)[:-3]),
        ("zstd", zstd_unsized(BODY * 2_000)[:-20]),
        ("zstd", zstd(BODY) + b"rest"),
        ("gzip", b""),
        ("br", BODY),
        ("gzip, gzip", packed(packed(BODY))),
        ("deflate", zlib.compress(BODY)),
        ("identity, gzip", packed(BODY)),
        ("\u00e9", BODY),
    ],
)
def test_damaged_or_unknown_compression_is_refused(admin: Api, tenant: Tenant, coding: str, body: bytes) -> None:
    before = stored_count(tenant)
    for path in (LOGS, BULK):
        assert admin.post(path, body, Content_Encoding=coding, Content_Length=str(len(body))).status_code in (400, 415), path
    assert stored_count(tenant) == before


@pytest.mark.parametrize(("coding", "part"), [("gzip", packed(b"")), ("zstd", zstd(b"")), ("zstd", b"\x50\x2a\x4d\x18\x00\x00\x00\x00")])
def test_body_of_many_empty_parts_is_refused_quickly(admin: Api, tenant: Tenant, coding: str, part: bytes) -> None:
    before, started = stored_count(tenant), time.monotonic()
    assert admin.post(LOGS, part * (2**20 // len(part)) * 8, Content_Encoding=coding).status_code in (400, 413)
    assert time.monotonic() - started < 5
    assert stored_count(tenant) == before


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_body_in_several_parts_is_read_whole(admin: Api, tenant: Tenant, coding: str) -> None:
    before = stored_count(tenant)
    lines = BODY + b"\n"
    body = b"".join((packed if coding == "gzip" else zstd)(lines) for _ in range(7))
    assert admin.post(BULK, body, content_type="application/x-ndjson", Content_Encoding=coding).status_code == 201
    assert stored_count(tenant) == before + 7


def test_body_of_an_account_route_is_bounded(admin: Api, settings: Any) -> None:
    settings.AUDITLOG_MAX_BODY_BYTES = 2**20
    body = b'{"name":"' + b"a" * 3 * 2**20 + b'","scopes":["logs:read"]}'
    answer = admin.post("/api/v1/api-keys", body)
    assert_refused(answer, answer.status_code, "invalid" if answer.status_code == 422 else "body_too_large")
    assert answer.status_code in (413, 422)
