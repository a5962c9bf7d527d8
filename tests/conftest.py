"""Fixtures for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker


@pytest.fixture(scope="session", autouse=True)
def django_db_setup(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Replaces pytest-django's: the worker's database is made already (tests/servers.py), and every test may use it.

    Entries are never deleted and a commit is the point of most tests, so tests are not rolled back: each has a tenant
    of its own.
    """
    with django_db_blocker.unblock():
        yield
