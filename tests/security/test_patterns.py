"""No regular expression of ours takes more than linear time, whatever it is given (ReDoS). Found by reading the sources, so none is forgotten.

Patterns that people give never run on Python's engine: those of JSON Schemas run on that of jsonschema-rs, which is linear, those of masking
rules on RE2. Timing tells linear from quadratic by a factor of thousands here, so the limits can be wide.
"""

from __future__ import annotations

import ast
import hmac
import importlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import api_keys
from accounts.problems import NotAuthenticated
from logs.catalogue import compile_schema
from logs.ingest.entry_input import EntryInput
from logs.ingest.faults import fault_of
from logs.search.highlighting import Highlighter
from logs.search.tree import HasPhrase
from logs.search.words import phrase_of
from tests.storing import new_key, new_tenant
from tests.web import CHECKOUT

# Named as in the standard library since 3.11; `sre_parse` before.
_parser: Any = importlib.import_module("re._parser")
PACKAGES = ("accounts", "archival", "auditlog_project", "auditlog_verify", "logs")
FUNCTIONS = {"compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
SEARCHING = {"search", "sub", "subn", "split", "findall", "finditer"}
# File: why a pattern there is not a constant.
MADE_WHEN_RUNNING = {
    "logs/export/pseudonyms.py": "names of people, each escaped, one beside the other: nothing in it repeats",
    "logs/search/highlighting.py": "made of the words of a query, each escaped; tried below with hostile queries and texts",
    "logs/verification/heads.py": "holds the tenant's id, a UUID, between constants",
}
# Long enough for a quadratic pattern to take seconds; a linear one takes milliseconds.
# Close together where an exponential one goes from nothing to for ever, so that it is caught before it hangs.
LENGTHS = (*range(8, 50, 2), 64, 128, 256, 512, 1024, 2048, 4096, 20_000, 60_000)
MOST_SECONDS = 1.0


@dataclass(frozen=True)
class Found:
    """One pattern of the sources. `is_searched`: it may begin anywhere in a text."""

    where: str
    pattern: str
    flags: int
    is_searched: bool


def module_of(file: Path) -> ModuleType:
    name = ".".join(file.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")
    return importlib.import_module(name)


def value_of(node: ast.expr, file: Path) -> Any:
    """The value of an expression of constants, and of names of its module. Raises ValueError."""
    try:
        return eval(compile(ast.Expression(node), str(file), "eval"), vars(module_of(file)))  # noqa: S307  our own sources
    except Exception as error:
        raise ValueError(ast.unparse(node)) from error


def patterns_in(file: Path) -> Iterator[Found]:
    text = file.read_text()
    if "re." not in text and "RegexValidator" not in text and "pattern=" not in text:
        return
    tree = ast.parse(text)
    names = {id(node.value): target.id for node in ast.walk(tree) if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        flags = 0
        if called in {f"re.{name}" for name in FUNCTIONS} and node.args:
            argument = node.args[0]
            given = [keyword.value for keyword in node.keywords if keyword.arg == "flags"] + (node.args[1:2] if called == "re.compile" else [])
            flags = int(value_of(given[0], file)) if given else 0
            function = called.removeprefix("re.")
            # A compiled one is used by its name; where it has none, in any way.
            used = set(re.findall(rf"\b{re.escape(names[id(node)])}\.(\w+)", text)) if id(node) in names else SEARCHING
            is_searched = bool(used & SEARCHING) or not used if function == "compile" else function in SEARCHING
        elif called.endswith("RegexValidator"):
            argument, is_searched = node.args[0], True
        elif called.endswith("Meta") and (given := [keyword.value for keyword in node.keywords if keyword.arg == "pattern"]):
            argument, is_searched = given[0], True
        else:
            continue
        where = f"{file.relative_to(CHECKOUT)}:{node.lineno}"
        try:
            value = value_of(argument, file)
        except ValueError:
            assert str(file.relative_to(CHECKOUT)) in MADE_WHEN_RUNNING, f"{where}: {ast.unparse(argument)} is no constant; say why in MADE_WHEN_RUNNING"
            continue
        pattern = value.pattern if isinstance(value, re.Pattern) else value
        yield Found(where, pattern if isinstance(pattern, str) else pattern.decode("latin-1"), flags, is_searched)


def python_files() -> list[Path]:
    return [file for package in PACKAGES for file in sorted((CHECKOUT / package).rglob("*.py")) if "migrations" not in file.parts]


FOUND = [found for file in python_files() for found in patterns_in(file)]


def sample(tokens: Any) -> str:
    """A short text that the tokens match, roughly: alternatives by their first, sets by a member."""
    text = ""
    for operation, argument in tokens:
        match str(operation):
            case "LITERAL":
                text += chr(argument)
            case "NOT_LITERAL":
                text += "b" if chr(argument) == "a" else "a"
            case "ANY":
                text += "a"
            case "IN":
                text += member(argument)
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                text += sample(argument[2]) * max(argument[0], 1 if argument[1] else 0)
            case "SUBPATTERN":
                text += sample(argument[3])
            case "ATOMIC_GROUP":
                text += sample(argument)
            case "BRANCH":
                text += sample(argument[1][0])
            case _:
                # Assertions, anchors and back-references have no width of their own here.
                pass
    return text


def member(options: Any) -> str:
    """A character of a set."""
    is_negated = str(options[0][0]) == "NEGATE"
    pattern = re.compile("".join(["[", "^" if is_negated else "", *(spelled(option) for option in options if str(option[0]) != "NEGATE"), "]"]))
    return next((character for character in "aZ0_-. /:@=\"'\\\t\n\x01\x80\u2028\ud800" if pattern.match(character)), "a")


def spelled(option: Any) -> str:
    operation, argument = option
    match str(operation):
        case "LITERAL":
            return re.escape(chr(argument))
        case "RANGE":
            return f"{re.escape(chr(argument[0]))}-{re.escape(chr(argument[1]))}"
        case _:
            return {"CATEGORY_DIGIT": r"\d", "CATEGORY_SPACE": r"\s", "CATEGORY_WORD": r"\w", "CATEGORY_NOT_SPACE": r"\S",
                    "CATEGORY_NOT_DIGIT": r"\D", "CATEGORY_NOT_WORD": r"\W"}[str(argument)]  # fmt: skip


def evils(tokens: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """What leads into each repetition, and what it repeats: for every repetition of the pattern, nested ones too."""
    for operation, argument in tokens:
        name = str(operation)
        if name.endswith("_REPEAT"):
            yield before, sample(argument[2])
            yield from evils(argument[2], before)
        elif name == "SUBPATTERN":
            yield from evils(argument[3], before)
        elif name == "BRANCH":
            for branch in argument[1]:
                yield from evils(branch, before)
        before += sample([(operation, argument)])


def seconds_for(found: Found, text: str) -> float:
    compiled = re.compile(found.pattern, found.flags)
    started = time.perf_counter()
    compiled.fullmatch(text)
    if found.is_searched:
        for _ in compiled.finditer(text):
            pass
    return time.perf_counter() - started


def check(found: Found, most_seconds: float = MOST_SECONDS) -> None:
    tokens = _parser.parse(found.pattern, found.flags)
    whole = sample(tokens)
    texts = {(before, repeated or "a") for before, repeated in evils(tokens)} | {("", whole or "a"), ("", " "), ("", "a")}
    for before, repeated in sorted(texts):
        for length in LENGTHS:
            for end in ("", "\x00", "!\n"):
                text = before + repeated * (length // len(repeated) + 1) + end
                seconds = seconds_for(found, text)
                assert seconds < most_seconds, f"{found.where}: {found.pattern!r} takes {seconds:.1f} s for {before!r} + {repeated!r} × {length} + {end!r}"


def test_patterns_are_found() -> None:
    files = {found.where.partition(":")[0] for found in FOUND}
    assert {"logs/models/catalogue.py", "accounts/api_keys.py", "accounts/models/tenancy.py", "auditlog_project/log_lines.py"} <= files
    assert len(FOUND) > 20


@pytest.mark.parametrize("found", FOUND, ids=lambda found: found.where)
def test_pattern_is_linear(found: Found) -> None:
    check(found)


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|a)*$", r"(a|aa)+$", r"\s+$", r"^(\w+\s?)*$", r"x*y", r"a*a*b"])
def test_control_other_patterns_are_caught(pattern: str) -> None:
    with pytest.raises(AssertionError, match="takes"):
        # Less than the claim allows: what grows is caught while it is small, and a text that takes seconds need not be waited for.
        check(Found("here", pattern, 0, is_searched=True), most_seconds=MOST_SECONDS / 4)


def test_schema_of_a_tenant_runs_on_a_linear_engine() -> None:
    validator = compile_schema({"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}})
    started = time.monotonic()
    assert not validator.is_valid({"a": "a" * 30_000 + "!"})
    assert time.monotonic() - started < MOST_SECONDS


@pytest.mark.parametrize("query", ["a " * 100, '"' + "a " * 50 + '"', '"a b a b a b c"', '"a a a a a a a b"', "a.a.a.a.b"])
@pytest.mark.parametrize("text", ["a " * 5_000, "a" + " " * 9_999, "a b " * 2_500, "a." * 5_000, ". " * 5_000, "a" * 10_000])
def test_words_of_a_query_are_marked_in_linear_time(query: str, text: str) -> None:
    phrase = phrase_of(query.strip('"'))
    assert phrase is not None
    highlighter = Highlighter(HasPhrase(phrase))
    assert highlighter._pattern is not None
    started = time.monotonic()
    for _ in highlighter._pattern.finditer(text):
        pass
    assert time.monotonic() - started < MOST_SECONDS


def test_name_of_an_unknown_field_is_read_in_linear_time() -> None:
    """It is quoted in a message that is taken apart, and may have 256 KiB."""
    name = " - at `$a`" * 25_000
    started = time.monotonic()
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(msgspec.json.encode({"user_id": "a", "action": "B", "resource_type": "c", name: 1}), type=EntryInput)
    fault = fault_of(refused.value, "")
    assert time.monotonic() - started < MOST_SECONDS
    assert (fault.code, fault.pointer.startswith("/")) == ("unknown_field", True)


# -- timing of credentials: the same work, whoever asks


def test_unknown_prefix_costs_what_a_wrong_secret_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the calls that are made, not by the clock: one look into the table, one hash, one comparison of full length."""

    key = new_key(new_tenant())
    prefix = key.split("_")[1]
    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((len(a), len(b)))
        return real(a, b)

    monkeypatch.setattr("accounts.opaque.hmac.compare_digest", compare)
    work = []
    for tried in (f"alk_{prefix}_{'x' * 43}", f"alk_{'0' * 12}_{'x' * 43}"):
        compared.clear()
        with CaptureQueriesContext(connection) as queries, pytest.raises(NotAuthenticated) as refused:
            api_keys.principal_of_key(tried)
        work.append((len(queries), list(compared), refused.value.code, refused.value.detail))
    assert work[0] == work[1]
    assert work[0][:2] == (1, [(32, 32)])
