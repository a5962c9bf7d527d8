"""What a rule would do, shown before it is kept: on the newest entries that the asker may see, and on samples that they send.

Of entries, what is stored is shown: masked already by the rules of their time. Nothing is stored.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from django.http import QueryDict

from accounts.principals import Principal
from auditlog_verify.canonical import decode_json, encode_json
from logs.models import MaskedField
from logs.privacy.masking import Masker, OwnRule, RuleSet, hash_secret, rules_of
from logs.privacy.masking.masker import Masked
from logs.search import EntryOutput, find_page, question_of

MAX_ENTRIES = 200
MAX_SHOWN = 20
# Of JSON, in all that is shown.
MAX_SHOWN_BYTES = 512 * 1024
MAX_SECONDS = 2.0
Values = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """An entry that the rule would change: the fields that it would change, as they are stored and as they would be."""

    id: str
    masked: list[str]
    before: Values
    after: Values


@dataclass(frozen=True)
class SampleMasked:
    """A sample as it was sent, and as it would be stored with the rule beside all others. `masked`: pointers, empty if it stays."""

    masked: list[str]
    before: Values
    after: Values


@dataclass
class Preview:
    """What the rule would do. `looked_at`: entries; less than asked for if there are no more, or the time was over."""

    looked_at: int = 0
    would_change: int = 0
    changes: list[Seen] = field(default_factory=list)
    samples: list[SampleMasked] = field(default_factory=list)


class _ShownSeal:
    """Shows what would be encrypted as those see it who may not decrypt."""

    def seal_value(self, pointer: str, value: Any) -> Any:
        return {"encrypted": True}

    def seal_text(self, pointer: str, text: str) -> str:
        return "[encrypted]"


def preview(principal: Principal, rule: OwnRule, entries: int, samples: Sequence[Values]) -> Preview:
    """Try a rule, which has been checked, on up to so many entries, for MAX_SECONDS at most, and on samples (fields of an entry by name)."""
    found = Preview()
    secret = hash_secret(principal.tenant_id)
    if samples:
        rules = rules_of(principal.tenant_id)
        with_all = Masker(RuleSet((*rules.own, rule), rules.built_in), secret)
        found.samples = [_sample(with_all, sample) for sample in samples]
    if not entries:
        return found
    masker = Masker(RuleSet((replace(rule, resource_types=()),), {}), secret)
    deadline = time.monotonic() + MAX_SECONDS
    shown_bytes = 0
    for entry in find_page(_question(principal, rule, entries)).entries:
        if time.monotonic() > deadline:
            break
        found.looked_at += 1
        values = _values_of(entry)
        masked = _masked(masker, values)
        if masked is None:
            continue
        found.would_change += 1
        before, after = _differing(values, masked)
        shown_bytes += len(msgspec.json.encode((before, after)))
        if len(found.changes) < MAX_SHOWN and shown_bytes <= MAX_SHOWN_BYTES:
            found.changes.append(Seen(entry.id, masked.pointers, before, after))
    return found


def _question(principal: Principal, rule: OwnRule, entries: int) -> Any:
    """The newest entries that the rule is for, of those that the principal may see."""
    query = QueryDict(mutable=True)
    query["limit"] = str(min(entries, MAX_ENTRIES))
    if rule.resource_types:
        query.setlist("resource_type", list(rule.resource_types))
    return question_of(query, principal)


def _values_of(entry: EntryOutput) -> Values:
    raw = {"metadata": entry.metadata, "before": entry.before, "after": entry.after}
    values: Values = {name: decode_json(bytes(value)) if isinstance(value, msgspec.Raw) else None for name, value in raw.items()}
    return {"message": entry.message, "user_agent": entry.user_agent} | values


def _sample(masker: Masker, sample: Values) -> SampleMasked:
    resource_type = sample.get("resource_type", "")
    # Numbers as ingest has them: exact.
    values: Values = {name: decode_json(msgspec.json.encode(sample.get(name))) for name in MaskedField.values}
    masked = _masked(masker, values, resource_type)
    if masked is None:
        return SampleMasked([], {}, {})
    before, after = _differing(values, masked)
    return SampleMasked(masked.pointers, before, after)


def _masked(masker: Masker, values: Values, resource_type: str = "") -> Masked | None:
    return masker.mask(
        values["message"], values["user_agent"], values["metadata"], values["before"], values["after"], _ShownSeal(), resource_type=resource_type
    )  # fmt: skip


def _differing(values: Values, masked: Masked) -> tuple[Values, Values]:
    """The fields that differ, before and after. JSON as its exact text: numbers are of any size."""
    names = [name for name in MaskedField.values if values[name] != getattr(masked, name)]
    return {name: _shown(values[name]) for name in names}, {name: _shown(getattr(masked, name)) for name in names}


def _shown(value: Any) -> Any:
    return msgspec.Raw(encode_json(value)) if isinstance(value, dict) else value
