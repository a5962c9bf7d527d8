"""One request to an address that somebody gave: checked, bounded, and by nobody else's configuration.

Invariants:
- A name is resolved once for each call, and the socket is connected to an address of that very answer.
- An answer with one refused address is refused whole: whoever mixes them means the refused one.
- A call is over by its deadline, whatever the other side does: names, connection, TLS and every read share it.
"""

from __future__ import annotations

import ipaddress
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpcore
import httpx
from django.conf import settings

from logs.outbound.addresses import Address, Reach, fault_of_address

# (host, port) -> its addresses, in the order in which they are to be tried. Raises OSError.
Resolve = Callable[[str, int], Sequence[Address]]

TIMEOUT_SECONDS = 10.0
MAX_ANSWER_BYTES = 64 * 1024
MAX_URL_LENGTH = 2048
# Below 1024 lie other protocols' services, which a request might be made to speak to.
_LOW_PORTS = (80, 443)
# A name in ASCII, or an address. Percent signs would hide other characters, or name one of this machine's network interfaces.
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_HEADERS = {"User-Agent": "auditlog/1", "Accept": "*/*", "Connection": "close"}


class OutboundError(Exception):
    """The call came to nothing. The message names the host at most: the rest of an address may be a secret."""


class DestinationRefused(OutboundError):
    """The address may not be called. Nothing was sent."""


class CallFailed(OutboundError):
    """No whole answer came within the bounds. Something may have arrived."""


@dataclass(frozen=True)
class Answer:
    """What the other side said. A redirect (3xx) is an answer like any other: nobody follows it."""

    status: int
    content: bytes
    # By name in lower case; of what is given twice the last.
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")


def post(
    url: str,
    content: bytes,
    *,
    reach: Reach,
    headers: Mapping[str, str] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    max_answer_bytes: int = MAX_ANSWER_BYTES,
    resolve: Resolve | None = None,
) -> Answer:
    """POST `content`. Blocks for `timeout_seconds` at most. Raises DestinationRefused or CallFailed."""
    parsed = check_url(url, reach=reach)
    network = _Network(reach, time.monotonic() + timeout_seconds, resolve or addresses_of)
    sent = {**_HEADERS, "Host": parsed.netloc.decode("ascii"), "Content-Length": str(len(content)), **(headers or {})}
    try:
        with (
            httpcore.ConnectionPool(ssl_context=httpx.create_ssl_context(), network_backend=network, retries=0) as pool,
            pool.stream("POST", _core_url(parsed), headers=list(sent.items()), content=content) as response,
        ):
            told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            return Answer(response.status, _bounded(response.iter_stream(), max_answer_bytes), told)
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError) as error:
        raise CallFailed(f"{parsed.host}: {str(error) or type(error).__name__}") from error


def check_url(url: str, *, reach: Reach) -> httpx.URL:
    """The address, parsed. Raises DestinationRefused for one that no call may have; of names it can't tell yet where they lead."""
    if len(url) > MAX_URL_LENGTH:
        raise DestinationRefused(f"The address has more than {MAX_URL_LENGTH} characters.")
    try:
        parsed = httpx.URL(url)
        raw_host = parsed.raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise DestinationRefused("This is no address of the form https://host/path.") from None
    if parsed.scheme not in ("http", "https"):
        raise DestinationRefused("The address has to begin with https:// or http://.")
    if parsed.userinfo:
        raise DestinationRefused("The address may not hold a user name or password.")
    if not _HOST.fullmatch(raw_host) or "\\" in url:
        raise DestinationRefused("The address names no host.")
    port = _port_of(parsed)
    if not 0 < port < 65_536 or (reach == Reach.PUBLIC and port < 1024 and port not in _LOW_PORTS):
        raise DestinationRefused(f"Port {port} may not be called. Use 80, 443, or one from 1024.")
    for address in _written_addresses(raw_host, port):
        _refuse(raw_host, address, reach)
    return parsed


def addresses_of(host: str, port: int) -> Sequence[Address]:
    """What the machine's resolver says. It also reads numbers of every spelling (0x7f.1, 2130706433), so that these are judged by what they mean."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))


def _written_addresses(host: str, port: int) -> Sequence[Address]:
    """The address that `host` is, written as a number in whatever way; none for a name."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(entry[4][0]) for entry in found]


def _refuse(host: str, address: Address, reach: Reach) -> None:
    fault = fault_of_address(address, reach, settings.AUDITLOG_OUTBOUND_ALLOW)
    if fault is not None:
        raise DestinationRefused(f"{host} may not be called: its address is {fault}. (AUDITLOG_OUTBOUND_ALLOW names networks that may be.)")


def _port_of(url: httpx.URL) -> int:
    return url.port if url.port is not None else {"http": 80, "https": 443}[url.scheme]


def _core_url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=_port_of(url), target=url.raw_path)


def _bounded(pieces: Iterable[bytes], max_bytes: int) -> bytes:
    found = bytearray()
    for piece in pieces:
        found += piece
        if len(found) > max_bytes:
            raise CallFailed(f"The answer has more than {max_bytes} bytes.")
    return bytes(found)


class _Network(httpcore.NetworkBackend):
    """Where httpcore gets its connections: to judged addresses, until the deadline of the call (in `time.monotonic`)."""

    def __init__(self, reach: Reach, deadline: float, resolve: Resolve) -> None:
        self._reach = reach
        self._deadline = deadline
        self._resolve = resolve
        self._system = httpcore.SyncBackend()

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, local_address: str | None = None, socket_options: Any = None) -> Any:
        addresses = judged_addresses(self._resolve, host, port, self._reach, _remaining(self._deadline))
        for number, address in enumerate(addresses, 1):
            try:
                stream = self._system.connect_tcp(str(address), port, _remaining(self._deadline), local_address, socket_options)
            except httpcore.ConnectError:
                if number == len(addresses):
                    raise
            else:
                return _Stream(stream, self._deadline)
        raise AssertionError("unreachable")


class _Stream(httpcore.NetworkStream):
    """A connection whose every step is over by the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _remaining(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _remaining(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, _remaining(self._deadline)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _remaining(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise httpcore.ReadTimeout("no whole answer in time")
    return seconds


def judged_addresses(resolve: Resolve, host: str, port: int, reach: Reach, seconds: float) -> Sequence[Address]:
    """The addresses of a host, at least one, all of which may be called. Raises DestinationRefused or CallFailed."""
    addresses = _resolved_within(resolve, host, port, seconds)
    if not addresses:
        raise CallFailed(f"{host} has no address.")
    for address in addresses:
        _refuse(host, address, reach)
    return addresses


def _resolved_within(resolve: Resolve, host: str, port: int, seconds: float) -> Sequence[Address]:
    """The resolver's answer, if it comes in time. The system's has no time limit of its own to give: it is left to end by itself."""
    answers: queue.SimpleQueue[Sequence[Address] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolve(host, port))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise CallFailed(f"{host}: its address was not found in time") from None
    if isinstance(answer, Exception):
        raise CallFailed(f"{host}: its address was not found ({answer})") from answer
    return answer
