"""Which addresses a call may reach. Pure.

Networks are those of the IANA special-purpose registries (RFC 6890), written out: what `ipaddress.is_global` takes for global has changed
between releases of Python.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Sequence
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Reach(enum.Enum):
    """How far a call may go."""

    # Addresses that people give: the public internet, and what AUDITLOG_OUTBOUND_ALLOW names.
    PUBLIC = "public"
    # Addresses from the operator's own environment: machines inside as well.
    INSIDE = "inside"


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# Machines of one's own.
_INSIDE = {
    "loopback": _networks("127.0.0.0/8", "::1/128"),
    "private": _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
    "shared (carrier-grade NAT)": _networks("100.64.0.0/10"),
}
# Nobody's receiver is here.
_NEVER = {
    # 168.63.129.16 is Azure's and lies in a public range; the others lie in ranges that an operator may reach.
    "a cloud's metadata": _networks("168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::254/128", "fd20:ce::254/128"),
    "link-local": _networks("169.254.0.0/16", "fe80::/10"),
    "unspecified": _networks("0.0.0.0/8", "::/128"),
    "multicast": _networks("224.0.0.0/4", "ff00::/8"),
    "reserved": _networks("192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4", "2001::/23", "2002::/16"),
    "for documentation": _networks("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"),
}
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
# RFC 6052: an IPv4 address as a machine without IPv4 sees it.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def fault_of_address(address: Address, reach: Reach, allowed: Sequence[Network] = ()) -> str | None:
    """Why a call of this reach may not go to `address`, in a word or two; None if it may. `allowed` networks may be reached by any call."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return "link-local"
        if (inner := _ipv4_in(address)) is not None:
            # The prefix may be allowed as such, or the address that is meant by it.
            return None if _is_in(address, allowed) else fault_of_address(inner, reach, allowed)
    if _is_in(address, allowed):
        return None
    for name, networks in _NEVER.items():
        if _is_in(address, networks):
            return name
    for name, networks in _INSIDE.items():
        if _is_in(address, networks):
            return None if reach == Reach.INSIDE else name
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_IPV6:
        return "reserved"
    return None


def _ipv4_in(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for (mapped, or by NAT64). 6to4 and Teredo are refused as they are."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else None


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
