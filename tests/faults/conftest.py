"""Fixtures of the fault tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.rig import Rig, installed


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    """An installation for one file's tests, whose servers may be killed."""
    with installed() as made:
        yield made
