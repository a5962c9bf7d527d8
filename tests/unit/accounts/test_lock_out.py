"""How long who failed too often has to wait, and what counts as one network."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.lock_out import FEW, LONGEST_WAIT_SECONDS, digest_of, network_of, wait_seconds


def test_wait_begins_at_a_minute_and_doubles_to_an_hour() -> None:
    assert [wait_seconds(failures, FEW) for failures in range(13)] == [0, 0, 0, 0, 0, 60, 120, 240, 480, 960, 1920, 3600, 3600]


@given(st.integers(0, 10**9), st.integers(1, 100))
def test_nobody_waits_longer_than_an_hour_and_never_less_for_more_failures(failures: int, allowed: int) -> None:
    assert 0 <= wait_seconds(failures, allowed) <= wait_seconds(failures + 1, allowed) <= LONGEST_WAIT_SECONDS


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("no address", "unknown"),
    ],
)
def test_network_is_what_one_attacker_has(address: str | None, network: str) -> None:
    assert network_of(address) == network


def test_a_name_is_one_however_it_is_written() -> None:
    assert digest_of("Alice") == digest_of("alice") == digest_of("\uff21lice")
    assert digest_of("alice") != digest_of("alicia")
    assert len(digest_of("\ud800")) == 32
