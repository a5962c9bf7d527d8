"""A connection by TCP or TLS to an address that somebody gave: judged as a request's is (`calling`)."""

from __future__ import annotations

import socket
import ssl
import time

from logs.outbound.addresses import Reach
from logs.outbound.calling import CallFailed, DestinationRefused, addresses_of, judged_addresses

# Of ports below 1024 those of syslog: by TCP (514, 601) and by TLS (RFC 5425).
SYSLOG_PORTS = (514, 601, 6514)


def check_port(port: int) -> None:
    """Raises DestinationRefused for a port that is another protocol's."""
    if not 0 < port < 65_536 or (port < 1024 and port not in SYSLOG_PORTS):
        raise DestinationRefused(f"Port {port} may not be called. Use 514, 601, 6514, or one from 1024.")


def connect(host: str, port: int, *, reach: Reach, timeout_seconds: float, tls: ssl.SSLContext | None = None) -> socket.socket:
    """A connected socket; with `tls` after a handshake that proved the name. Its operations end within `timeout_seconds` each.

    The name is resolved once, every address that it has is judged, and the connection goes to one that was judged. Raises DestinationRefused or CallFailed.
    """
    check_port(port)
    deadline = time.monotonic() + timeout_seconds
    addresses = judged_addresses(addresses_of, host, port, reach, timeout_seconds)
    last: OSError | None = None
    for address in addresses:
        try:
            connection = socket.create_connection((str(address), port), max(0.1, deadline - time.monotonic()))
        except OSError as error:
            last = error
            continue
        try:
            connection.settimeout(max(0.1, deadline - time.monotonic()))
            wrapped = tls.wrap_socket(connection, server_hostname=host) if tls else connection
            wrapped.settimeout(timeout_seconds)
            return wrapped
        except (OSError, ValueError) as error:
            connection.close()
            raise CallFailed(f"{host}: {error}") from error
    raise CallFailed(f"{host}: {last}")
