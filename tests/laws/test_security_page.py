"""docs/security.md names tests that there are, and each kind of threat has one."""

from __future__ import annotations

import re

from tests.web import CHECKOUT

PAGE = (CHECKOUT / "docs" / "security.md").read_text()
_TEST = re.compile(r"`(tests/[\w/]+\.py)`")
_ROW = re.compile(r"^\| ([STRIDE](?:, [STRIDE])*) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)


def test_every_test_that_the_page_names_exists() -> None:
    named = set(_TEST.findall(PAGE))
    assert len(named) > 20
    assert sorted(name for name in named if not (CHECKOUT / name).is_file()) == []


def test_every_threat_has_its_test() -> None:
    rows = _ROW.findall(PAGE)
    assert len(rows) > 25
    assert [threat for _, threat, _, tests in rows if not _TEST.search(tests)] == []


def test_every_security_test_is_in_the_page() -> None:
    """So that nobody writes one that the threat model does not know. Those that ask every route for nonsense are of no one threat."""
    files = {file.relative_to(CHECKOUT).as_posix() for file in (CHECKOUT / "tests" / "security").glob("test_*.py")}
    assert files - set(_TEST.findall(PAGE)) == {"tests/security/test_schemathesis.py"}
