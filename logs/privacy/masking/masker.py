"""A tenant's masking, compiled: what goes in is an entry's content, what comes out is what of it may be kept. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from logs.models.masking import MaskedField
from logs.privacy.masking.marks import Marks, Seal
from logs.privacy.masking.rules import RuleSet
from logs.privacy.masking.selection import Selection, entry_set
from logs.privacy.masking.walking import Walk

MAX_POINTERS = 100
# Stands last in the list when more was masked than is named. No JSON Pointer begins so.
MORE = "…"
MAX_SELECTIONS = 1000
EVERY_FIELD: Collection[MaskedField] = tuple(MaskedField)


@dataclass(frozen=True, slots=True)
class Masked:
    """An entry's content after masking. `pointers`: sorted, at most MAX_POINTERS of them, then MORE if there are others."""

    message: str | None
    user_agent: str | None
    metadata: dict[str, Any] | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    pointers: list[str]


class Masker:
    """Masks by one set of rules. `secret`: the key of hashes. Safe for threads."""

    def __init__(self, rules: RuleSet, secret: bytes) -> None:
        self.rules = rules
        self._marks = Marks(secret)
        self._resource_types = {resource_type for rule in rules.own for resource_type in rule.resource_types}
        self._selections: dict[tuple[MaskedField, str | None], Selection] = {}
        every = [self._selection(field, resource_type) for field in MaskedField for resource_type in (None, *sorted(self._resource_types)[:20])]
        self._has_own_patterns = any(selection.has_own_patterns for selection in every) or len(self._resource_types) > 20
        self._entry_set = entry_set(every)

    def suspects(
        self, message: str | None, user_agent: str | None, metadata: bytes | None, before: bytes | None, after: bytes | None
    ) -> Collection[MaskedField]:
        """The fields in which there may be something to mask; JSON as its canonical text. In others `mask` would change nothing (tested)."""
        if self._has_own_patterns:
            return EVERY_FIELD
        if self._entry_set is None:
            return ()
        texts = (message.encode() if message else b"", user_agent.encode() if user_agent else b"", metadata or b"", before or b"", after or b"")
        if self._entry_set.Match(b"\x00".join(texts)) is None:
            return ()
        return [field for field, text in zip(MaskedField, texts, strict=True) if text and self._entry_set.Match(text) is not None]

    def mask(
        self,
        message: str | None,
        user_agent: str | None,
        metadata: dict[str, Any] | None,
        before: dict[str, Any] | None,
        after: dict[str, Any] | None,
        seal: Seal | None = None,
        *,
        resource_type: str = "",
        fields: Collection[MaskedField] = EVERY_FIELD,
    ) -> Masked | None:
        """What of an entry may be kept; None: all of it. Without a seal, what is to be encrypted is redacted.

        `fields`: where to look, from `suspects`.
        """
        pointers: list[str] = []

        def walk(field: MaskedField) -> Walk | None:
            return Walk(self._selection(field, resource_type), self._marks, seal, pointers) if field in fields else None

        def text(given: str | None, field: MaskedField) -> str | None:
            return walking.column(given, f"/{field}") if given and (walking := walk(field)) else given

        def json(given: dict[str, Any] | None, field: MaskedField) -> dict[str, Any] | None:
            return walking.value(given, f"/{field}") if given and (walking := walk(field)) else given

        found = (
            text(message, MaskedField.MESSAGE),
            text(user_agent, MaskedField.USER_AGENT),
            json(metadata, MaskedField.METADATA),
            json(before, MaskedField.BEFORE),
            json(after, MaskedField.AFTER),
        )
        return Masked(*found, _bounded(pointers)) if pointers else None

    def _selection(self, field: MaskedField, resource_type: str | None) -> Selection:
        named = resource_type if resource_type in self._resource_types else None
        found = self._selections.get((field, named))
        if found is None:
            own = [rule for rule in self.rules.own if (not rule.fields or field in rule.fields) and (not rule.resource_types or named in rule.resource_types)]
            # Fields that the same rules count for share what is compiled.
            found = next((other for other in self._selections.values() if other.own == own), None) or Selection(self.rules, own)
            if len(self._selections) < MAX_SELECTIONS:
                self._selections[field, named] = found
        return found


def _bounded(pointers: list[str]) -> list[str]:
    found = sorted(set(pointers))
    return found if len(found) <= MAX_POINTERS else [*found[:MAX_POINTERS], MORE]
