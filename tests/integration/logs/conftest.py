"""Fixtures for what calls other people's servers."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

import pytest

from tests.delivering import Receiver, receiving


@pytest.fixture
def loopback_may_be_called(settings: Any) -> None:
    """Addresses that people give may lead to this machine, where a test's receivers are."""
    settings.AUDITLOG_OUTBOUND_ALLOW = [ipaddress.ip_network("127.0.0.1")]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody's HTTP server."""
    with receiving() as found:
        yield found
