"""docs/problems.md has every problem and every fault code that the sources can answer, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import logs.errors
from accounts.problems import NotAuthenticated, Problem
from logs.ingest import faults
from tests.web import CHECKOUT

PAGE = (CHECKOUT / "docs" / "problems.md").read_text()
_PROBLEM_ROW = re.compile(r"^\| `(\w+)` \| (\d{3}) \| (.+?) \| .+ \|$", re.MULTILINE)
_FAULT_ROW = re.compile(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", re.MULTILINE)
# Where a Fault's code is no literal, and the codes come from somewhere that `fault_codes` knows.
COMPUTED = {
    ("accounts/problems.py", "_faults"): "Django REST framework's own codes and `code=` of our ValidationErrors",
    ("logs/search/filters.py", "tree"): "Django's own codes and `code=` of our ValidationErrors",
    ("logs/search/cursor.py", "_wrong"): "the first argument of `_wrong`",
    ("logs/ingest/faults.py", "fault_of"): "`_CODES`, and `invalid`",
    ("logs/search/grammar.py", "refuse"): "the first argument of `refuse`",
    ("logs/alerts/definition.py", "check_rule"): "the codes of the query language, at another pointer",
    ("logs/forwarding/forwarders.py", "check_forwarder"): "the codes of the query language, at another pointer",
    ("archival/holds.py", "check_hold"): "the codes of the query language, at another pointer",
    ("archival/restoring.py", "check_restore"): "the codes of the query language, at another pointer",
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for package in ("accounts", "archival", "logs"):
        for file in sorted((CHECKOUT / package).rglob("*.py")):
            if "migrations" not in file.parts:
                yield file.relative_to(CHECKOUT).as_posix(), ast.parse(file.read_text())


def calls_within(tree: ast.AST, function: str = "") -> Iterator[tuple[str, ast.Call]]:
    """Every call, with the name of the innermost function around it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call):
            yield function, node
        yield from calls_within(node, node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function)


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""


def code_of(call: ast.Call, place: int | None) -> ast.expr | None:
    """The argument `code`: by keyword, or the positional one at `place`."""
    by_keyword = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    if by_keyword:
        return by_keyword[0]
    return call.args[place] if place is not None and place < len(call.args) else None


def literals(name: str, place: int | None) -> set[str]:
    """The codes written out in calls of `name`."""
    codes = [code_of(call, place) for _, tree in sources() for _, call in calls_within(tree) if name_of(call) == name]
    return {code.value for code in codes if isinstance(code, ast.Constant) and isinstance(code.value, str)}


def fault_codes() -> set[str]:
    from_messages = {code for _, code in faults._CODES} | {"invalid"}
    validators = literals("ValidationError", 1) | literals("RegexValidator", 2)
    return literals("Fault", 1) | literals("_wrong", 0) | literals("refuse", 0) | validators | from_messages


def problem_kinds(kind: type[Problem] = Problem) -> Iterator[type[Problem]]:
    yield kind
    for below in kind.__subclasses__():
        yield from problem_kinds(below)


def section(heading: str) -> str:
    return PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def test_every_problem_is_in_the_page_and_nothing_else() -> None:
    assert logs.errors.InvalidQuery in set(problem_kinds())
    expected = {(kind.code, str(kind.status), kind.title) for kind in problem_kinds()}
    expected |= {(code, str(NotAuthenticated.status), NotAuthenticated.title) for code in literals("NotAuthenticated", 1)}
    rows = _PROBLEM_ROW.findall(section("Problem types"))
    assert len(rows) == len(set(rows))
    assert set(rows) == expected


def test_every_fault_code_is_in_the_page_and_nothing_else() -> None:
    rows = _FAULT_ROW.findall(section("Fault codes"))
    assert len(rows) == len(set(rows))
    assert set(rows) == fault_codes()


def test_codes_are_literals_or_come_from_a_known_place() -> None:
    """Otherwise a code could be answered that this file does not see."""
    found = set()
    for file, tree in sources():
        for function, call in calls_within(tree):
            if name_of(call) == "Fault" and not isinstance(code_of(call, 1), ast.Constant):
                found.add((file, function))
    assert found == set(COMPUTED)


def test_sources_are_found() -> None:
    assert {Path(file).name for file, _ in sources()} >= {"problems.py", "check.py", "filters.py"}
