"""Which address a request comes from. What a client writes into a header counts only if a proxy that we trust passed it on.

Invariants:
- The peer of the connection is the one address that can't be made up. Headers are read from the right, where the nearest proxy wrote, and
  only as far as every proxy on the way is trusted.
- Headers from other peers are taken out of the request before anything reads them, `X-Forwarded-Proto` too: Django believes that one.
- One header counts (`AUDITLOG_FORWARDED_HEADER`): a proxy that writes the one passes the other on as the client made it up.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_ADDRESS = "auditlog.client_address"
_FORWARDING_HEADERS = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT", "HTTP_X_REAL_IP")
# A longer chain of proxies than this is nobody's.
MAX_HOPS = 32
# RFC 7239 §4: token or quoted string.
_PAIR = re.compile(r"""\s*([A-Za-z]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;,"]*)\s*(?=;|$)""")


def client_address(request: HttpRequest) -> str | None:
    """The address of the client, or of the last hop that is known for sure. None: the connection has no address (a Unix socket)."""
    if _ADDRESS not in request.META:
        settle_address(request.META)
    found: str | None = request.META[_ADDRESS]
    return found


def meta_of_scope(scope: Mapping[str, Any]) -> dict[str, Any]:
    """What an ASGI scope says of where its connection comes from, as `request.META` has it."""
    meta: dict[str, Any] = {"REMOTE_ADDR": (scope.get("client") or ("", 0))[0]}
    for name, value in scope["headers"]:
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        if key in _FORWARDING_HEADERS and b"_" not in name:
            # Several of one name are one list (RFC 9110 §5.3).
            meta[key] = f"{meta[key]},{value.decode('latin-1')}" if key in meta else value.decode("latin-1")
    settle_address(meta)
    return meta


def settle_address(meta: dict[str, Any]) -> None:
    """Find out the client's address, and take out of `meta` the headers that nobody may believe."""
    text = meta.get("REMOTE_ADDR", "")
    networks: Sequence[Network] = settings.AUDITLOG_TRUSTED_PROXIES
    peer = _parsed(text) if networks else None
    if not is_trusted(peer, networks):
        for name in _FORWARDING_HEADERS:
            meta.pop(name, None)
        meta[_ADDRESS] = _canonical(text)
        return
    if settings.AUDITLOG_FORWARDED_HEADER == "forwarded":
        hops = forwarded_hops(meta.get("HTTP_FORWARDED", ""))
        unread = "HTTP_X_FORWARDED_FOR"
    else:
        hops = [(hop, None) for hop in meta.get("HTTP_X_FORWARDED_FOR", "").split(",")]
        unread = "HTTP_FORWARDED"
    meta.pop(unread, None)
    client, scheme = nearest_stranger(peer, hops, networks)
    if unread == "HTTP_X_FORWARDED_FOR":
        # The scheme comes with the address then; Django reads it here.
        meta.pop("HTTP_X_FORWARDED_PROTO", None)
        if scheme:
            meta["HTTP_X_FORWARDED_PROTO"] = scheme
    meta[_ADDRESS] = str(client) if client else None


def nearest_stranger(peer: Address | None, hops: Sequence[tuple[str, str | None]], networks: Sequence[Network]) -> tuple[Address | None, str | None]:
    """The first address from the right that is no trusted proxy's, and the scheme by which it came. `hops` are as they stand in the header."""
    found, scheme = peer, None
    for text, its_scheme in list(reversed(hops))[:MAX_HOPS]:
        hop = parse_address(text)
        if hop is None:
            # Whoever wrote this is the last that is known.
            break
        found, scheme = hop, its_scheme
        if not is_trusted(hop, networks):
            break
    return found, scheme


def forwarded_hops(header: str) -> list[tuple[str, str | None]]:
    """Addresses and schemes in a `Forwarded` header (RFC 7239), in its order. What can't be read is an empty address."""
    hops: list[tuple[str, str | None]] = []
    for element in _elements(header)[-MAX_HOPS:]:
        pairs, at = {}, 0
        while at < len(element) and (match := _PAIR.match(element, at)):
            pairs[match[1].lower()] = match[2].strip('"').replace("\\", "")
            at = match.end() + 1
        is_whole = at >= len(element)
        hops.append((pairs.get("for", "") if is_whole else "", pairs.get("proto")))
    return hops


def _elements(header: str) -> list[str]:
    """The header at its commas, but for those in quotes."""
    found = [""]
    for number, part in enumerate(re.split(r'("(?:[^"\\]|\\.)*")', header)):
        # Every second part is a quoted string.
        before, *others = [part] if number % 2 else part.split(",")
        found[-1] += before
        found += others
    return found


def parse_address(text: str) -> Address | None:
    """An address as headers have it: with a port or none, IPv6 in brackets or not. None if it is none. IPv4 in IPv6 is the IPv4 address."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return _parsed(text)


@functools.lru_cache(maxsize=4096)
def _parsed(text: str) -> Address | None:
    try:
        # A zone is this machine's business, and would make one address look like many.
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@functools.lru_cache(maxsize=4096)
def _canonical(text: str) -> str | None:
    address = _parsed(text)
    return None if address is None else str(address)


def is_trusted(address: Address | None, networks: Sequence[Network]) -> bool:
    """Is it one of our proxies? A peer without an address (a Unix socket) is none."""
    return address is not None and any(address in network for network in networks)


def counted_address(address: str | None) -> str:
    """What limits count an address by. A household or a rented machine has a whole /64 of IPv6 addresses, to change as it likes."""
    if address is None:
        # A Unix socket: everybody behind it is one.
        return "local"
    return _network_of(address, settings.RATELIMIT_IPV6_MASK)


@functools.lru_cache(maxsize=4096)
def _network_of(address: str, ipv6_mask: int) -> str:
    return str(ipaddress.ip_network(f"{address}/{ipv6_mask}", strict=False)) if ":" in address else address
