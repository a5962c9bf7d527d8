"""Which address counts: what clients make up changes nothing."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.addresses import counted_address, forwarded_hops, nearest_stranger, parse_address, settle_address

PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8:1::/48")]


def settled(peer: str, **headers: str) -> dict[str, Any]:
    meta: dict[str, Any] = {"REMOTE_ADDR": peer, **headers}
    settle_address(meta)
    return meta


@pytest.fixture
def behind_proxies(settings: Any) -> Any:
    settings.AUDITLOG_TRUSTED_PROXIES = PROXIES
    return settings


@pytest.mark.parametrize("name", ["HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_FORWARDED_PROTO", "HTTP_X_REAL_IP"])
def test_headers_of_a_stranger_are_dropped(behind_proxies: Any, name: str) -> None:
    meta = settled("203.0.113.9", **{name: "for=198.51.100.1;proto=https" if name == "HTTP_FORWARDED" else "198.51.100.1"})
    assert meta == {"REMOTE_ADDR": "203.0.113.9", "auditlog.client_address": "203.0.113.9"}


def test_nobody_is_trusted_by_default() -> None:
    assert settled("127.0.0.1", HTTP_X_FORWARDED_FOR="198.51.100.1")["auditlog.client_address"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("198.51.100.1", "198.51.100.1"),
        # What the client sent stands to the left of what the proxy added.
        ("192.0.2.66, 198.51.100.1", "198.51.100.1"),
        ("192.0.2.66, 198.51.100.1, 10.2.0.1", "198.51.100.1"),
        ("10.9.9.9, 198.51.100.1", "198.51.100.1"),
        ("10.2.0.1", "10.2.0.1"),
        # Where nothing is known, the last that is known counts.
        ("unknown", "10.0.0.1"),
        ("198.51.100.1, unknown, 10.2.0.1", "10.2.0.1"),
        ("", "10.0.0.1"),
        ("198.51.100.1:4711", "198.51.100.1"),
        ("[2001:db8:2::7]:443", "2001:db8:2::7"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db8:2::7, 2001:db8:1::1", "2001:db8:2::7"),
    ],
)
def test_the_first_stranger_from_the_right_is_the_client(behind_proxies: Any, header: str, expected: str) -> None:
    assert settled("10.0.0.1", HTTP_X_FORWARDED_FOR=header)["auditlog.client_address"] == expected


def test_only_the_header_that_the_proxies_write_counts(behind_proxies: Any) -> None:
    forged = "for=192.0.2.66;proto=https"
    meta = settled("10.0.0.1", HTTP_X_FORWARDED_FOR="198.51.100.1", HTTP_FORWARDED=forged, HTTP_X_FORWARDED_PROTO="https")
    assert meta["auditlog.client_address"] == "198.51.100.1"
    assert "HTTP_FORWARDED" not in meta
    assert meta["HTTP_X_FORWARDED_PROTO"] == "https"
    behind_proxies.AUDITLOG_FORWARDED_HEADER = "forwarded"
    meta = settled("10.0.0.1", HTTP_X_FORWARDED_FOR="192.0.2.66", HTTP_X_FORWARDED_PROTO="https", HTTP_FORWARDED="for=198.51.100.1;proto=http")
    assert meta["auditlog.client_address"] == "198.51.100.1"
    assert "HTTP_X_FORWARDED_FOR" not in meta
    assert meta["HTTP_X_FORWARDED_PROTO"] == "http"


@pytest.mark.parametrize(
    ("header", "hops"),
    [
        ("for=192.0.2.1", [("192.0.2.1", None)]),
        ('for="[2001:db8::1]:4711";proto=https, for=10.0.0.2;by=10.0.0.1', [("[2001:db8::1]:4711", "https"), ("10.0.0.2", None)]),
        ('for="_a,b;c", for=192.0.2.1', [("_a,b;c", None), ("192.0.2.1", None)]),
        ("proto=https", [("", "https")]),
        ("for=192.0.2.1 garbage, for=192.0.2.2", [("", None), ("192.0.2.2", None)]),
    ],
)
def test_forwarded_is_read_by_rfc_7239(header: str, hops: list[tuple[str, str | None]]) -> None:
    assert forwarded_hops(header) == hops


@settings(deadline=None)
@given(forged=st.lists(st.ip_addresses(), max_size=5), client=st.ip_addresses(v=4).filter(lambda one: one not in PROXIES[0]))
def test_whatever_a_client_sends_the_address_that_the_proxy_saw_counts(forged: list[Any], client: Any) -> None:
    hops = [(str(one), None) for one in [*forged, client]]
    assert nearest_stranger(parse_address("10.0.0.1"), hops, PROXIES)[0] == client


@settings(deadline=None)
@given(st.text(max_size=200))
def test_no_header_breaks_anything(text: str) -> None:
    nearest_stranger(parse_address("10.0.0.1"), forwarded_hops(text), PROXIES)
    assert parse_address(text) is None or counted_address(str(parse_address(text)))


def test_ipv6_is_counted_by_the_network_that_one_client_has() -> None:
    assert counted_address("2001:db8:2:3::1") == counted_address("2001:db8:2:3:ffff::9") == "2001:db8:2:3::/64"
    assert counted_address("2001:db8:2:4::1") != counted_address("2001:db8:2:3::1")
    assert counted_address("198.51.100.1") == "198.51.100.1"
