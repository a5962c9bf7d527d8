"""Destinations: what each kind is told, and when it has taken it.

`send` comes back when the destination has the batch; whatever else happens is an exception, and the batch is sent again.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import socket
import ssl
import struct
import termios
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
from django.conf import settings

from logs.deliveries.signing import headers_of
from logs.forwarding.syslog import framed, message_of
from logs.models import Forwarder, ForwarderKind
from logs.outbound import Answer, OutboundError, Reach, connect, post
from logs.privacy.encryption.sealed import keep_sealed, kept_in
from logs.storage import objects
from logs.streaming.reading import Streamed

TIMEOUT_SECONDS = 15.0
HEC_PATH = "/services/collector/event"
# A syslog receiver acknowledges nothing: what its kernel has taken counts as arrived only when the connection lived on for so long.
SETTLE_SECONDS = 5.0
_encode = msgspec.json.encode


class NotTaken(Exception):
    """The destination has not taken the batch, or nobody knows. The message is for people, without addresses."""


class Secrets(msgspec.Struct, frozen=True):
    """What of a forwarder is secret. `token`: of Splunk; `secret`: signs webhooks; `certificate`: PEM by which a syslog server with TLS is known."""

    url: str
    token: str = ""
    secret: str = ""
    index: str = ""
    certificate: str = ""


def keep_secrets(forwarder: Forwarder, secrets: Secrets) -> None:
    """Put them into the row; it is not saved yet. Raises ImproperlyConfigured without a master key."""
    keep_sealed(forwarder, secrets)


def secrets_of(forwarder: Forwarder) -> Secrets:
    """Raises KeyLost, or ImproperlyConfigured without a master key."""
    return kept_in(forwarder, Secrets)


@dataclass(frozen=True)
class Batch:
    """Entries with positions in `[first, last]`, in order; there may be positions between that the query leaves out."""

    tenant_id: uuid.UUID
    tenant: str
    first: int
    last: int
    entries: Sequence[Streamed]

    def ndjson(self) -> bytes:
        return b"".join(one.encoded + b"\n" for one in self.entries)


class Destination(Protocol):
    """One way out. Used by one thread."""

    def send(self, batch: Batch) -> None:
        """Send, and come back when it is taken. Raises NotTaken."""

    def settled(self, now: float) -> int | None:
        """The last position that surely arrived of those sent; None: all that `send` came back from. Raises NotTaken if what was sent may be lost."""

    def close(self) -> None: ...


def destination_of(forwarder: Forwarder) -> Destination:
    """Raises KeyLost, ImproperlyConfigured."""
    secrets = secrets_of(forwarder)
    match forwarder.kind:
        case ForwarderKind.WEBHOOK:
            return Webhook(secrets, forwarder.seal_key)
        case ForwarderKind.SPLUNK:
            return Splunk(secrets)
        case ForwarderKind.SYSLOG:
            return Syslog(secrets)
        case _:
            return Objects(secrets)


class _Http:
    """Destinations that answer."""

    def settled(self, now: float) -> int | None:
        return None

    def close(self) -> None:
        """Nothing is kept open."""

    @staticmethod
    def _post(url: str, content: bytes, headers: dict[str, str]) -> Answer:
        try:
            answer = post(url, content, reach=Reach.PUBLIC, headers=headers, timeout_seconds=TIMEOUT_SECONDS)
        except OutboundError as error:
            raise NotTaken(str(error)) from error
        if not answer.is_success:
            raise NotTaken(f"The receiver answered {answer.status}.")
        return answer


class Webhook(_Http):
    """A POST of NDJSON, compressed and signed. `webhook-id` is made of the positions, so that a batch that comes twice is known."""

    def __init__(self, secrets: Secrets, key: uuid.UUID) -> None:
        self._secrets = secrets
        self._key = key

    def send(self, batch: Batch) -> None:
        content = gzip.compress(batch.ndjson(), 6, mtime=0)
        headers = headers_of(f"{self._key.hex}-{batch.first}-{batch.last}", datetime.now(UTC), content, [self._secrets.secret])
        headers |= {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        headers |= {"Auditlog-First-Position": str(batch.first), "Auditlog-Last-Position": str(batch.last)}
        self._post(self._secrets.url, content, headers)


class Splunk(_Http):
    """HTTP Event Collector: events as concatenated JSON objects; taken when the code is 0."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def send(self, batch: Batch) -> None:
        content = b"".join(self._event(batch, one) for one in batch.entries)
        url = self._secrets.url.rstrip("/")
        url = url if urlsplit(url).path.strip("/") else url + HEC_PATH
        answer = self._post(url, content, {"Authorization": f"Splunk {self._secrets.token}", "Content-Type": "application/json"})
        try:
            code = msgspec.json.decode(answer.content)["code"]
        except (msgspec.DecodeError, KeyError, TypeError):
            raise NotTaken("The receiver's answer is none of a Splunk HTTP Event Collector.") from None
        if code != 0:
            raise NotTaken(f"The collector answered with code {code}.")

    def _event(self, batch: Batch, one: Streamed) -> bytes:
        told: dict[str, Any] = {"time": datetime.fromisoformat(one.entry.timestamp).timestamp(), "host": "auditlog", "source": f"auditlog:{batch.tenant}"}
        told |= {"sourcetype": "auditlog:entry", "event": msgspec.Raw(one.encoded), "fields": {"position": one.position}}
        if self._secrets.index:
            told["index"] = self._secrets.index
        return _encode(told)


class Objects:
    """Objects `<url>/tenant=<id>/date=YYYY-MM-DD/hour=HH/<first>-<last>.ndjson.gz`, by the hour in which the first of their entries was received.

    The same positions make the same bytes under the same name, so that writing again changes nothing.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._url = secrets.url

    def send(self, batch: Batch) -> None:
        if not batch.entries:
            return
        hour = datetime.fromisoformat(batch.entries[0].entry.received_at).astimezone(UTC)
        path = f"tenant={batch.tenant_id}/date={hour:%Y-%m-%d}/hour={hour:%H}/{batch.first:020d}-{batch.last:020d}.ndjson.gz"
        if not is_allowed(self._url):
            raise NotTaken("AUDITLOG_FORWARD_URLS does not allow this object storage any more.")
        try:
            writer = objects.open_writer(objects.open_store(self._url), path)
            writer.write(gzip.compress(batch.ndjson(), 6, mtime=0))
            writer.close()
        except (*objects.StorageError, ValueError) as error:
            raise NotTaken(f"The object storage: {type(error).__name__}.") from error

    def settled(self, now: float) -> int | None:
        return None

    def close(self) -> None:
        """Nothing is kept open."""


def is_allowed(url: str) -> bool:
    """Is the object storage below one that the operator allows?"""
    return any(url.rstrip("/") == one.rstrip("/") or url.startswith(one.rstrip("/") + "/") for one in settings.AUDITLOG_FORWARD_URLS)


class Syslog:
    """One connection, kept. TCP acknowledges bytes to the kernel and nobody knows what the program has read, so what was sent counts as arrived
    only when the peer's kernel has taken it and the connection still lives SETTLE_SECONDS later; when it breaks, all of the rest is sent again."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._connection: socket.socket | None = None
        # What was sent and has not settled: when, the last position, and how many bytes this connection has been given with it. Oldest first.
        self._sent: list[tuple[float, int, int]] = []
        self._given_bytes = 0

    def send(self, batch: Batch) -> None:
        try:
            connection = self._connection or self._connect()
            self._check_alive()
            content = b"".join(framed(message_of(one.entry, one.position, one.encoded, batch.tenant)) for one in batch.entries)
            connection.sendall(content)
        except OutboundError as error:
            self.close()
            raise NotTaken(str(error)) from error
        except OSError as error:
            self.close()
            raise NotTaken(f"The connection broke: {type(error).__name__}.") from error
        self._given_bytes += len(content)
        self._sent.append((time.monotonic(), batch.last, self._given_bytes))

    def settled(self, now: float) -> int | None:
        if not self._sent:
            return None
        try:
            self._check_alive()
            # While there is always more to send the queue is never empty. TLS makes bytes more, never fewer, so that this is too few at worst.
            taken_bytes = self._given_bytes - _unacknowledged_bytes(self._connection) if self._connection is not None else 0
        except OSError as error:
            self.close()
            raise NotTaken(f"The connection broke: {type(error).__name__}.") from error
        done = -1
        while self._sent and self._sent[0][2] <= taken_bytes and now - self._sent[0][0] >= SETTLE_SECONDS:
            done = self._sent.pop(0)[1]
        return done

    def close(self) -> None:
        self._sent.clear()
        self._given_bytes = 0
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None

    def _connect(self) -> socket.socket:
        parts = urlsplit(self._secrets.url)
        tls = None
        if parts.scheme == "syslog+tls":
            tls = ssl.create_default_context(cadata=self._secrets.certificate or None)
            tls.minimum_version = ssl.TLSVersion.TLSv1_2
        host, port = parts.hostname or "", parts.port or (6514 if tls else 514)
        self._connection = connect(host, port, reach=Reach.PUBLIC, timeout_seconds=TIMEOUT_SECONDS, tls=tls)
        return self._connection

    def _check_alive(self) -> None:
        """Raises OSError if the other side has closed. A syslog receiver says nothing, so whatever comes is read and dropped."""
        connection = self._connection
        if connection is None:
            return
        # Without waiting: what there is to read may be TLS's own (tickets of a session), and no data.
        connection.settimeout(0)
        try:
            while True:
                if not connection.recv(4096):
                    raise ConnectionResetError
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        finally:
            connection.settimeout(TIMEOUT_SECONDS)


def _unacknowledged_bytes(connection: socket.socket) -> int:
    """How much of what was sent the peer's kernel has not acknowledged (SIOCOUTQ, tcp(7))."""
    return int(struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0])
