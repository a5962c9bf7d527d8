"""Which addresses a call may reach."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs.outbound import DestinationRefused, Reach, check_url, fault_of_address
from logs.outbound.addresses import Network

# Name of the fault: addresses of which it is told to those who may reach the public only.
REFUSED = {
    "loopback": ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12:3456::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1"],
    "shared (carrier-grade NAT)": ["100.64.0.1", "100.127.255.255", "::ffff:100.64.0.1"],
    "link-local": ["169.254.0.1", "169.254.169.254", "fe80::1", "fe80::1%2", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"],
    "a cloud's metadata": ["168.63.129.16", "100.100.100.200", "fd00:ec2::254", "::ffff:168.63.129.16"],
    "unspecified": ["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0"],  # noqa: S104  judged, not bound
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1"],
    "reserved": ["192.0.0.192", "198.18.0.1", "240.0.0.1", "255.255.255.255", "2002:7f00:1::", "2001::1", "::7f00:1", "64:ff9b:1::1", "4000::1"],
    "for documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
}
FOR_INSIDE = ("loopback", "private", "shared (carrier-grade NAT)")


@pytest.mark.parametrize(("fault", "text"), [(fault, text) for fault, texts in REFUSED.items() for text in texts])
def test_no_public_call_reaches_a_special_address(fault: str, text: str) -> None:
    address = ipaddress.ip_address(text)
    assert fault_of_address(address, Reach.PUBLIC) == fault
    assert fault_of_address(address, Reach.INSIDE) == (None if fault in FOR_INSIDE else fault)


@pytest.mark.parametrize("text", ["1.1.1.1", "93.184.215.14", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"])
def test_public_address_may_be_reached(text: str) -> None:
    assert fault_of_address(ipaddress.ip_address(text), Reach.PUBLIC) is None


ALLOWED = [("10.1.2.0/24", "10.1.2.3"), ("10.1.2.0/24", "::ffff:10.1.2.3"), ("fd00::/8", "fd00::1"), ("127.0.0.1/32", "127.0.0.1")]


@pytest.mark.parametrize(("network", "text"), ALLOWED)
def test_allowed_network_may_be_reached_and_its_neighbours_not(network: str, text: str) -> None:
    allowed: list[Network] = [ipaddress.ip_network(network)]
    assert fault_of_address(ipaddress.ip_address(text), Reach.PUBLIC, allowed) is None
    for other in ("10.1.3.1", "192.168.0.1", "127.0.0.2", "fe80::1", "169.254.169.254"):
        assert fault_of_address(ipaddress.ip_address(other), Reach.PUBLIC, allowed) is not None


@given(st.ip_addresses(v=4))
def test_mapped_address_is_judged_as_the_one_that_it_means(address: ipaddress.IPv4Address) -> None:
    for form in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert fault_of_address(ipaddress.ip_address(form), Reach.PUBLIC) == fault_of_address(address, Reach.PUBLIC)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_what_python_takes_for_private_is_never_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        assert fault_of_address(address, Reach.PUBLIC) is not None or (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None)


SPELLINGS = [
    "http://127.0.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://0/",
    "http://017700000001/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[fe80::1%25eth0]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://[fd00:ec2::254]/",
    "http://[2002:7f00:1::]/",
    "http://127.0.0.1:80/",
    "http://0177.0.0.1/",
    # Digits of other scripts, which some parsers fold (\uff11\uff12\uff17 and the like).
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://\u2460\u2461\u2466.0.0.1/",
]


@pytest.mark.parametrize("url", SPELLINGS)
def test_written_address_is_refused_in_every_spelling(url: str) -> None:
    with pytest.raises(DestinationRefused):
        check_url(url, reach=Reach.PUBLIC)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/path",
        "//host/path",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "unix:///run/redis.sock",
        "http+unix://%2Frun%2Fredis.sock/",
        "https://user:password@example.com/",
        "https://example.com@127.0.0.1/",
        "https://127.0.0.1\\@example.com/",
        "https://example.com:99999/",
        "https://example.com:0/",
        "https://exa mple.com/",
        "https://example.com/\r\nX: 1",
        "https://example.com/\x00",
        "https://",
        "https://[::1",
        "https://example.com/" + "a" * 2048,
        "http://example.com:22/",
        "http://example.com:25/",
        "http://example.com:445/",
    ],
)
def test_what_is_no_address_to_call_is_refused(url: str) -> None:
    with pytest.raises(DestinationRefused) as refused:
        check_url(url, reach=Reach.PUBLIC)
    assert "password" not in str(refused.value).replace("user name or password", "")


@pytest.mark.parametrize("url", ["https://example.com/hook?x=1", "http://example.com:8080/", "https://b\u00fccher.example/", "https://example.com.:443/"])
def test_ordinary_address_is_taken(url: str) -> None:
    assert check_url(url, reach=Reach.PUBLIC).host


def test_operator_may_name_machines_inside_but_no_metadata_service() -> None:
    for url in ("http://127.0.0.1:9000/hook", "http://10.0.0.5:25/", "http://[fd00::1]/"):
        assert check_url(url, reach=Reach.INSIDE).host
    for url in ("http://169.254.169.254/", "http://0.0.0.0/", "http://100.100.100.200/", "http://user:pw@10.0.0.5/"):
        with pytest.raises(DestinationRefused):
            check_url(url, reach=Reach.INSIDE)
