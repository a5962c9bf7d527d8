"""The rules that count for one field of entries of one resource type, compiled."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from accounts.problems import escape_pointer
from logs.models.masking import MaskingAction, MaskingKind
from logs.privacy.masking.built_in import BUILT_IN
from logs.privacy.masking.detectors import Find, Span
from logs.privacy.masking.expressions import compiled_set
from logs.privacy.masking.rules import OwnRule, RuleSet, compile_pattern, key_expression

# What the automata of all rules together may take in each process. RE2 grows them as texts need, and begins anew when they are full.
MAX_MEM_BYTES = 16 << 20
MAX_CACHED_KEYS = 4096
MAX_CACHED_KEY_CHARACTERS = 100
MAX_CACHED_TEXTS = 4096
MAX_CACHED_TEXT_CHARACTERS = 64
# Detectors of what may hold other secrets come before the names, the others after.
_EARLY = {rule.name for rule in itertools.takewhile(lambda rule: rule.names is None, BUILT_IN)}
# A character of a name or a value may be written as \u0070 or %70, a space between digits as +.
_ENCODED = r"\\u[0-9A-Fa-f]{4}|%[2-7][0-9A-Fa-f]|[0-9]\+[0-9]"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to look for in texts. `number`: its place in the set of hints."""

    find: Find
    action: MaskingAction
    number: int


@dataclass(frozen=True, slots=True)
class KeyRule:
    """What happens to the value of a key. `has_secret(value)`: may it be one?"""

    action: MaskingAction
    has_secret: Callable[[Any], bool]
    is_harmless: Callable[[str], bool]
    is_header: bool = False


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """`rule`: for values of the key; `is_plain`: the key itself is no secret; `escaped`: as JSON Pointers have it."""

    rule: KeyRule | None
    is_plain: bool
    escaped: str


class Selection:
    """Compiled rules, in their order: a tenant's own first, then the built-in ones."""

    def __init__(self, rules: RuleSet, own: Sequence[OwnRule]) -> None:
        self.own = list(own)
        hints: list[str] = []
        self.own_steps: list[Step] = []
        self.early_steps: list[Step] = []
        self.late_steps: list[Step] = []
        self._key_rules: list[KeyRule] = []
        key_patterns: list[str] = []
        name_hints: list[str] = []
        for rule in own:
            if rule.kind is MaskingKind.PATTERN:
                self.own_steps.append(Step(_find(rule.pattern), rule.action, len(hints)))
                hints.append(rule.pattern)
            else:
                whole, hint = key_expression(rule.pattern)
                key_patterns.append(whole)
                name_hints.append(hint)
                self._key_rules.append(KeyRule(rule.action, _always, _never))
        own_hints = len(hints)
        for built_in in BUILT_IN:
            action = rules.built_in.get(built_in.name)
            if action is None:
                continue
            if built_in.names is not None:
                key_patterns.append(built_in.names.key_pattern())
                name_hints.append(built_in.names.hint())
                self._key_rules.append(KeyRule(action, built_in.names.has_secret, built_in.names.is_harmless, built_in.name == "headers"))
            if built_in.detector is not None:
                steps = self.early_steps if built_in.name in _EARLY else self.late_steps
                steps.append(Step(built_in.detector.find, action, len(hints)))
                hints.append(built_in.detector.hint)
        self.names_number = len(hints)
        if name_hints:
            hints.append("|".join(name_hints))
        self.encoded_number = len(hints)
        if hints:
            hints.append(_ENCODED)
        self.has_own_patterns = own_hints > 0
        # Own patterns may be anchored to their text, so they say nothing of the entry as a whole.
        self.entry_hints = tuple(hints[own_hints:])
        self._hints = _set_of(tuple(hints)) if hints else None
        self._keys = _set_of(tuple(key_patterns)) if key_patterns else None
        self._known_keys: dict[str, KeyFacts] = {}
        self._plain_texts: set[str] = set()

    def hits(self, content: bytes) -> list[int] | None:
        """The numbers of those hints that the text has; None: it has none, so nothing in it is masked."""
        return self._hints.Match(content) if self._hints is not None else None

    def is_plain(self, text: str) -> bool:
        """Has the text no hint? Short texts come again and again; those that have none are remembered, so no secret is."""
        if text in self._plain_texts:
            return True
        if self.hits(text.encode()) is not None:
            return False
        if len(text) <= MAX_CACHED_TEXT_CHARACTERS:
            if len(self._plain_texts) >= MAX_CACHED_TEXTS:
                self._plain_texts.clear()
            self._plain_texts.add(text)
        return True

    def key_rule(self, key: str) -> KeyRule | None:
        """The first rule for values of this key."""
        return self.key_facts(key).rule

    def key_facts(self, key: str) -> KeyFacts:
        """What there is to know of a key. The same few keys come again and again."""
        found = self._known_keys.get(key)
        if found is None:
            found = KeyFacts(self._find_key_rule(key), self.hits(key.encode()) is None, escape_pointer(key))
            if len(key) <= MAX_CACHED_KEY_CHARACTERS:
                if len(self._known_keys) >= MAX_CACHED_KEYS:
                    self._known_keys.clear()
                self._known_keys[key] = found
        return found

    def _find_key_rule(self, key: str) -> KeyRule | None:
        numbers = self._keys.Match(key.encode()) if self._keys is not None else None
        rules = (self._key_rules[number] for number in sorted(numbers or ()))
        return next((rule for rule in rules if not rule.is_harmless(key)), None)


def _find(pattern: str) -> Find:
    compiled = compile_pattern(pattern)
    group = compiled.groupindex.get(b"secret", 0)

    def find(content: bytes) -> Iterator[Span]:
        for match in compiled.finditer(content):
            begin, end = match.span(group)
            if end > begin >= 0:
                yield begin, end

    return find


@functools.lru_cache(maxsize=64)
def _set_of(patterns: tuple[str, ...]) -> Any:
    """Kept, for most tenants have the same."""
    return compiled_set(patterns, MAX_MEM_BYTES)


def entry_set(selections: Sequence[Selection]) -> Any:
    """One pattern over all hints of the selections: what has none of it is not masked. None: nothing would be."""
    hints = {hint: None for selection in selections for hint in selection.entry_hints}
    return _set_of(("|".join(f"(?:{hint})" for hint in hints),)) if hints else None


def _always(value: Any) -> bool:
    return True


def _never(key: str) -> bool:
    return False
