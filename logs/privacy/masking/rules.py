"""Rules as values, checked: what a tenant may write as a rule, and why not otherwise."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import re2

from accounts.problems import Fault, Invalid
from logs.models.masking import MaskedField, MaskingAction, MaskingKind
from logs.privacy.masking import expressions
from logs.privacy.masking.built_in import BUILT_IN

MAX_PATTERN_CHARACTERS = 1000
MAX_RULES = 100
# What one pattern's automata may take in each process. RE2 never takes more; it refuses a program that is over two thirds of it.
PATTERN_BYTES = 1 << 20
MIN_NAME_CHARACTERS = 2
_LITERAL = re.compile(r"[^\W_]+")
# Some of what patterns are tried with: one that matches nothing at all matches everywhere.
_NOTHING = (b"", b" ", b"a", b"0")


@dataclass(frozen=True, slots=True)
class OwnRule:
    """A rule of a tenant's own. Empty `fields` and `resource_types` mean all."""

    name: str
    kind: MaskingKind
    pattern: str
    action: MaskingAction
    fields: tuple[MaskedField, ...] = ()
    resource_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All that a tenant masks by. `built_in`: the built-in rules that are on, with their actions."""

    own: tuple[OwnRule, ...] = ()
    built_in: dict[str, MaskingAction] = field(default_factory=lambda: {rule.name: rule.action for rule in BUILT_IN})


def compile_pattern(pattern: str) -> Any:
    """RE2 of a person's pattern, within bounds of memory; its time is linear in the text. Raises ValueError with the reason."""
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise ValueError(f"The pattern has {len(pattern)} characters; {MAX_PATTERN_CHARACTERS} are the most.")
    try:
        compiled = re2.compile(pattern.encode(), expressions.options(PATTERN_BYTES))
    except UnicodeEncodeError:
        raise ValueError("The pattern has half a surrogate pair, which is no character.") from None
    except re2.error as error:
        reason = error.args[0] if error.args else "no reason given"
        raise ValueError(f"RE2 says: {reason.decode(errors='replace') if isinstance(reason, bytes) else reason}.") from None
    if any(match.end() == match.start() for text in _NOTHING for match in [compiled.search(text)] if match is not None):
        raise ValueError("The pattern matches the empty text, so it would match everywhere.")
    return compiled


def key_expression(pattern: str) -> tuple[str, str]:
    """Two RE2 patterns of a key's name in which * stands for anything: of the whole key, and of what any text with such a key has.

    Case, `_`, `-`, `.` and spaces don't count. Raises ValueError with the reason.
    """
    pieces = [[character for character in piece if character.isalnum()] for piece in pattern.split("*")]
    if any(character not in "*-_. " and not character.isalnum() for character in pattern):
        raise ValueError("A key's name has letters, digits, _, -, ., spaces, and * for anything.")
    if max(map(len, pieces)) < MIN_NAME_CHARACTERS:
        raise ValueError(f"At least {MIN_NAME_CHARACTERS} letters or digits have to stand together, or nearly every key would be meant.")
    between = "[-_. ]*"
    bodies = [between.join(map(re.escape, piece)) for piece in pieces]
    whole = f"(?is)^{between}{'.*'.join(bodies)}{between}$"
    return whole, f"(?i:{max(bodies, key=len)})"


def check_rule(kind: MaskingKind, pattern: str) -> None:
    """Raises Invalid if the pattern is none of its kind."""
    try:
        if kind is MaskingKind.PATTERN:
            compile_pattern(pattern)
        else:
            if len(pattern) > MAX_PATTERN_CHARACTERS:
                raise ValueError(f"The name has {len(pattern)} characters; {MAX_PATTERN_CHARACTERS} are the most.")
            key_expression(pattern)
    except ValueError as error:
        raise Invalid([Fault("/pattern", "bad_pattern", str(error))]) from error
