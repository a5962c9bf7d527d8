"""README.md holds what it says: its commands run, its numbers are the measured ones, its links lead somewhere."""

from __future__ import annotations

import functools
import json
import operator
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.storing import new_key, new_tenant
from tests.web import CHECKOUT, Web, product_environment

README = (CHECKOUT / "README.md").read_text()
RESULTS = CHECKOUT / "benchmarks" / "results"
_MARKER = re.compile(r"<!-- ((?:single|bulk|verify|search|stats|export)\.[\w.]+) -->")
_MARKED_NUMBER = re.compile(r"\*\*([\d.]+)(?: times)?\*\* " + _MARKER.pattern)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^()\s]+)\)")
PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")])
# What a reader's curl shows and leaves to the reader, a failed request, ends the script here.
CURL = 'curl() { command curl --fail-with-body --silent --show-error "$@"; }'
END_OF_BLOCK = "-- end of block --"


@dataclass(frozen=True)
class Step:
    """A block of commands, and what README.md shows of its output (`…` stands for what differs every time)."""

    commands: str
    shown: str | None


def marked_numbers() -> list[tuple[str, str]]:
    return [(marker, number) for number, marker in _MARKED_NUMBER.findall(README)]


def steps() -> list[Step]:
    """The steps between the run markers, in order."""
    found: list[Step] = []
    for part in re.findall(r"<!-- run -->\n(.*?)<!-- /run -->", README, re.DOTALL):
        for language, text in _FENCE.findall(part):
            if language == "bash":
                found.append(Step(text, None))
            else:
                assert found, "an output stands before every command"
                assert found[-1].shown is None, f"a second output of one block: {text}"
                found[-1] = Step(found[-1].commands, text)
    return found


def test_every_marker_belongs_to_a_number() -> None:
    assert [marker for marker, _ in marked_numbers()] == _MARKER.findall(README)
    assert {"single.ratios.over_stock_view", "single.ratios.of_bare_insert", "bulk.ratios.of_raw_copy"} <= set(_MARKER.findall(README))


@pytest.mark.parametrize(("marker", "number"), marked_numbers())
def test_marked_number_is_the_measured_one(marker: str, number: str) -> None:
    name, *keys = marker.split(".")
    file = RESULTS / f"{name}.json"
    assert file.exists(), f"{file.relative_to(CHECKOUT)} is missing: run `make bench`"
    results: Any = json.loads(file.read_text())
    measured = float(functools.reduce(operator.getitem, keys, results))
    decimals = len(number.partition(".")[2])
    assert number == f"{measured:.{decimals}f}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in _LINK.findall(_FENCE.sub("", page.read_text())) if not re.match(r"[a-z]+:|#", link)]
    missing = [link for link in links if not (page.parent / link.partition("#")[0]).exists()]
    assert missing == []


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    started = Web(product_environment()).start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def outputs(web: Web) -> list[str]:
    """What each step prints, run in one shell with a new tenant's key."""
    lines = [CURL, *(f"{step.commands}printf '\\n%s\\n' '{END_OF_BLOCK}'" for step in steps())]
    script = "\n".join(lines).replace("http://localhost:8000", web.url).replace(".venv/bin/python", shlex.quote(sys.executable))
    environment = product_environment(AUDITLOG_API_KEY=new_key(new_tenant()), AUDITLOG_URL=web.url)
    command = ["bash", "-e", "-o", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{web.output}"
    return done.stdout.split(f"\n{END_OF_BLOCK}\n")[:-1]


def test_readme_has_commands() -> None:
    assert len(steps()) >= 7


def test_every_step_prints_what_is_shown(outputs: list[str]) -> None:
    assert len(outputs) == len(steps())
    for step, output in zip(steps(), outputs, strict=True):
        if step.shown is not None:
            pattern = ".*?".join(map(re.escape, step.shown.strip().split("…")))
            assert re.fullmatch(pattern, output.strip()), f"{step.commands}\nprints\n{output}\nand not\n{step.shown}"


def test_searches_find_what_was_posted(outputs: list[str]) -> None:
    by_command = {step.commands: output for step, output in zip(steps(), outputs, strict=True)}
    (read_back,) = [output for commands, output in by_command.items() if "user_id=alice" in commands]
    (entry,) = json.loads(read_back)["results"]
    assert entry["changed_fields"] == ["status"]
    assert entry["after"] == {"status": "sent"}
