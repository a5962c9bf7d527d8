"""What people write for a value, read once for the query string and the query language: addresses, times, names, numbers."""

from __future__ import annotations

import datetime
import ipaddress
import re
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from auditlog_verify.canonical import MAX_NUMBER_DIGITS, MAX_NUMBER_EXPONENT

_AwareDatetime = Annotated[datetime.datetime, Meta(tz=True)]
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_AGO = re.compile(r"-(\d{1,6})(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,4})?", re.ASCII)


def moment_of(text: str) -> datetime.datetime:
    """RFC 3339 date and time with offset, in UTC. Raises ValueError."""
    try:
        return msgspec.convert(text, _AwareDatetime).astimezone(datetime.UTC)
    except (msgspec.ValidationError, OverflowError):
        raise ValueError(f"{text!r} is no RFC 3339 time with offset, such as 2026-01-31T12:00:00Z") from None


def time_of(text: str, now: datetime.datetime) -> datetime.datetime:
    """A time as the query language has it: RFC 3339, a date (its midnight, UTC), or so long ago (`-7d`). Raises ValueError."""
    if ago := _AGO.fullmatch(text):
        try:
            return now - datetime.timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            raise ValueError(f"{text!r} is before the calendar begins") from None
    try:
        if _DATE.fullmatch(text):
            return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)
        return moment_of(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time. Expected 2026-01-31, 2026-01-31T12:00:00Z, or so long ago: -7d (s, m, h, d, w)") from None


def network_of(text: str) -> str:
    """An address or a network in CIDR notation, as PostgreSQL and entries have it. Raises ValueError."""
    try:
        if "%" in text:
            raise ValueError("PostgreSQL keeps no zones (fe80::1%eth0)")
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is no IP address and no network such as 10.0.0.0/8") from None
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped and network.prefixlen >= 96:
        # Entries keep the IPv4 address that a mapped one means.
        return f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}"
    return str(network)


def number_of(text: str) -> Decimal | None:
    """The number that a text reads as in JSON, if it is one that an entry may have."""
    if len(text) > MAX_NUMBER_DIGITS + 10 or not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    return number if not number or abs(number.adjusted()) <= MAX_NUMBER_EXPONENT else None
