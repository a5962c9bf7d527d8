"""docs/dependencies.md has a row for each line of requirements*.in, in the same order, and no other."""

from __future__ import annotations

import re

import pytest

from tests.web import CHECKOUT

PAGE = (CHECKOUT / "docs" / "dependencies.md").read_text()
_NAME = re.compile(r"[A-Za-z0-9._-]+(?:\[[^\]]*\])?")
_ROW = re.compile(r"^\| `([^`]+)` \| (.+) \| (.+) \|$", re.MULTILINE)


def required(file: str) -> list[str]:
    """What `file` asks for, without versions; files that it includes do not count."""
    lines = [line.partition("#")[0].strip() for line in (CHECKOUT / file).read_text().splitlines()]
    found = []
    for line in lines:
        if not line or line.startswith("-"):
            continue
        name = _NAME.match(line)
        assert name, f"{file}: {line!r} is no requirement"
        found.append(name[0])
    return found


def described(file: str) -> list[str]:
    """The names in the section of `file`."""
    _, heading, rest = PAGE.partition(f"## {file}\n")
    assert heading, f"docs/dependencies.md has no section {file}"
    return [name for name, _, _ in _ROW.findall(rest.partition("\n## ")[0])]


@pytest.mark.parametrize("file", ["requirements.in", "requirements-dev.in"])
def test_each_requirement_is_described_and_nothing_else(file: str) -> None:
    assert required(file)
    assert described(file) == required(file)
