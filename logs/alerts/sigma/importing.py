"""From the text of Sigma rules to alert rules: what is detected becomes the query, a correlation the condition, the rest the description."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction
from sigma.correlations import SigmaCorrelationCondition, SigmaCorrelationConditionOperator, SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.rule import SigmaLevel, SigmaRule
from sigma.rule.logsource import SigmaLogSource

from accounts.problems import Fault, Invalid
from logs.alerts.conditions import MAX_COUNT, MAX_WINDOW_SECONDS, Condition, EveryMatch, Threshold
from logs.alerts.definition import MAX_DESCRIPTION_CHARACTERS, MAX_GROUP_FIELDS, NewRule, check_rule
from logs.alerts.rules import create_rule
from logs.alerts.sigma.detection import Query, Reading, any_of, query_of, without_brackets
from logs.alerts.sigma.documents import POINTER, read_documents
from logs.alerts.sigma.fields import Fields
from logs.models import AlertGroupField, AlertRule

SEVERITIES: Mapping[SigmaLevel, str] = {
    SigmaLevel.INFORMATIONAL: "INFO",
    SigmaLevel.LOW: "INFO",
    SigmaLevel.MEDIUM: "WARNING",
    SigmaLevel.HIGH: "ERROR",
    SigmaLevel.CRITICAL: "CRITICAL",
}
NOTE_LOGSOURCE = "The log source is not asked for. If entries of other systems have the same fields, narrow the query down by source: or otherwise."
MAX_FAULTS = 100
_MAX_NAMED = 5


@dataclass(frozen=True)
class ImportedRule:
    """An alert rule to be made of a Sigma rule. `mapped`: fields of the Sigma rule, and what is asked of instead; `notes`: what is not quite the same."""

    # The number of its document in the text, from 0.
    document: int
    new: NewRule
    mapped: Mapping[str, str]
    notes: Sequence[str]


@dataclass
class _Document:
    """A rule of the text while it is read. `query`: what it detects; None for a correlation, and for what does not fit."""

    index: int
    raw: dict[str, Any]
    reading: Reading
    query: Query | None = None

    @property
    def pointer(self) -> str:
        return f"{POINTER}/{self.index}"

    @property
    def names(self) -> set[str]:
        return {str(self.raw[key]) for key in ("name", "id") if self.raw.get(key) is not None}


def read_rules(text: str, overrides: Mapping[str, str], now: datetime.datetime) -> list[ImportedRule]:
    """The alert rules that the Sigma rules of a YAML text stand for. What a correlation counts is no rule of its own, unless it says `generate`.

    Raises Invalid with a fault for each part of it that does not fit, by its path: `/sigma/<document>/detection/<selection>/<field>`.
    """
    fields = Fields(overrides)
    documents = [_Document(index, raw, Reading(fields)) for index, raw in enumerate(read_documents(text))]
    rules = [document for document in documents if not _is_of_other_kind(document)]
    for document in rules:
        if "correlation" not in document.raw:
            document.query = query_of(document.raw.get("detection"), f"{document.pointer}/detection", document.reading)
    counted: set[int] = set()
    found = [_correlation(document, rules, counted) if "correlation" in document.raw else _plain(document) for document in rules]
    kept = [one for one in found if one is not None and one.document not in counted]
    faults = [fault for document in documents for fault in document.reading.faults]
    for one in kept:
        faults += _faults_of(one, now)
    if len(faults) > MAX_FAULTS:
        faults = [*faults[:MAX_FAULTS], Fault(POINTER, "sigma_unfit", f"{len(faults) - MAX_FAULTS} more parts do not fit.")]
    if faults:
        raise Invalid(faults)
    return kept


def _is_of_other_kind(document: _Document) -> bool:
    for key, what in (("action", "collections of rules by action: are a form that Sigma has given up"), ("filter", "filters are not imported")):
        if key in document.raw:
            document.reading.unfit(f"{document.pointer}/{key}", f"{what}. Write each rule out")
            return True
    return False


def _plain(document: _Document) -> ImportedRule | None:
    new = _described(document)
    if new is None or document.query is None:
        return None
    return _imported(document, replace(new, query=without_brackets(document.query)), [document])


def _correlation(document: _Document, rules: Sequence[_Document], counted: set[int]) -> ImportedRule | None:
    """A rule that counts what other rules find; those are added to `counted` if they are not to be rules themselves."""
    pointer, reading = f"{document.pointer}/correlation", document.reading
    raw = document.raw["correlation"]
    if isinstance(raw, dict) and raw.get("type") != "event_count":
        reading.unfit(f"{pointer}/type", f"{raw.get('type')!r} is not counted by alert rules; event_count is")
        return None
    correlation = _parsed(document, pointer, lambda: SigmaCorrelationRule.from_dict(document.raw))
    if correlation is None:
        return None
    named: list[_Document] = []
    for index, reference in enumerate(correlation.rules or []):
        one = next((one for one in rules if str(reference.reference) in one.names and "correlation" not in one.raw), None)
        if one is None:
            reading.unfit(f"{pointer}/rules/{index}", f"there is no rule {reference.reference!r} with a detection in this text")
        else:
            named.append(one)
    if not correlation.generate:
        counted.update(one.index for one in named)
    condition = _condition_of(correlation, pointer, reading)
    group_by = _group_by(correlation, named, pointer, reading)
    new = _described(document)
    queries = [one.query for one in named if one.query is not None]
    if new is None or condition is None or len(queries) < max(len(named), 1):
        return None
    rule = replace(new, query=without_brackets(any_of(queries)), condition=condition, group_by=group_by)
    return _imported(document, rule, [document, *named])


def _condition_of(rule: SigmaCorrelationRule, pointer: str, reading: Reading) -> Condition | None:
    given = rule.condition
    assert isinstance(given, SigmaCorrelationCondition)  # noqa: S101  # nosec B101  # pySigma has no other for event_count
    at_least = {SigmaCorrelationConditionOperator.GTE: given.count, SigmaCorrelationConditionOperator.GT: given.count + 1}.get(given.op)
    if at_least is None:
        reading.unfit(f"{pointer}/condition", "an alert rule fires when enough was counted: gte or gt. That there was less or none is told by an absence rule")
        return None
    if not isinstance(at_least, int) or not 1 <= at_least <= MAX_COUNT:
        reading.unfit(f"{pointer}/condition", f"an alert rule counts whole numbers up to {MAX_COUNT}")
        return None
    if rule.timespan.seconds > MAX_WINDOW_SECONDS:
        reading.unfit(f"{pointer}/timespan", f"an alert rule counts within {MAX_WINDOW_SECONDS // 86_400} days at most")
        return None
    return EveryMatch() if at_least == 1 else Threshold(at_least, rule.timespan.seconds)


def _group_by(rule: SigmaCorrelationRule, named: Sequence[_Document], pointer: str, reading: Reading) -> list[str]:
    found: list[str] = []
    names = rule.group_by or []
    if len(names) > MAX_GROUP_FIELDS:
        reading.unfit(f"{pointer}/group-by", f"at most {MAX_GROUP_FIELDS} fields make a group")
        return []
    for index, name in enumerate(names):
        alias = rule.aliases.aliases.get(name)
        meant = [name] if alias is None else [str(one) for reference, one in alias.mapping.items() if any(reference.reference in doc.names for doc in named)]
        targets = {None if target is None else target.qualifier for target in reading.fields.group_of(meant)}
        target = next(iter(targets)) if len(targets) == 1 else None
        if target not in AlertGroupField.values:
            known = ", ".join(AlertGroupField.values)
            reading.unfit(f"{pointer}/group-by/{index}", f"{name} is none of the fields by which entries are told apart ({known})")
        elif target not in found:
            found.append(target)
            reading.mapped[name, target] = None
    return found


def _described(document: _Document) -> NewRule | None:
    """Name, severity and description of a rule, without its query."""
    reading, pointer, raw = document.reading, document.pointer, document.raw
    common = _parsed(document, pointer, lambda: SigmaRule.from_dict_common_params(raw))
    logsource = _parsed(document, f"{pointer}/logsource", lambda: SigmaLogSource.from_dict(raw["logsource"])) if "correlation" not in raw else None
    if common is None:
        return None
    told = common[0]
    if logsource is not None:
        reading.notes[NOTE_LOGSOURCE] = None
    parts = [
        str(told["description"] or "").strip(),
        f"Sigma rule {told['id']}" * (told["id"] is not None),
        f"Author: {told['author']}" if told["author"] else "",
        f"Licence: {told['license']}" if told["license"] else "",
        f"Log source: {_told(logsource)}" if logsource is not None else "",
        *(
            f"{what}: {'; '.join(map(str, told[key][:_MAX_NAMED]))}"
            for key, what in (("falsepositives", "False positives"), ("references", "See"))
            if told[key]
        ),
        f"Tags: {', '.join(map(str, told['tags']))}" if told["tags"] else "",
    ]
    description = "\n".join(filter(None, parts))
    if len(description) > MAX_DESCRIPTION_CHARACTERS:
        description = description[: MAX_DESCRIPTION_CHARACTERS - 1] + "…"
    return NewRule(name=told["title"], query="", severity=SEVERITIES.get(told["level"], "WARNING"), description=description)


def _told(source: SigmaLogSource) -> str:
    given = (("product", source.product), ("category", source.category), ("service", source.service))
    return ", ".join(f"{name} {value}" for name, value in given if value)


def _parsed(document: _Document, pointer: str, parse: Any) -> Any:
    """What pySigma makes of a part; None if it can't, which is a fault then."""
    try:
        return parse()
    except SigmaError as error:
        document.reading.unfit(pointer, f"it can't be read as Sigma: {error}")
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        # It takes the types of values for granted here and there.
        document.reading.unfit(pointer, f"it can't be read as Sigma: {type(error).__name__}: {error}")
    return None


def _imported(document: _Document, new: NewRule, read: Sequence[_Document]) -> ImportedRule:
    mapped = {name: target for one in read for name, target in one.reading.mapped}
    notes = dict.fromkeys(note for one in read for note in one.reading.notes)
    return ImportedRule(document.index, new, mapped, list(notes))


def _faults_of(one: ImportedRule, now: datetime.datetime) -> list[Fault]:
    """What alert rules refuse: a query that is too long, a title with a NUL."""
    try:
        check_rule(one.new, now)
    except Invalid as error:
        return _in_the_text(one, error.faults)
    return []


def _in_the_text(one: ImportedRule, faults: Sequence[Fault]) -> list[Fault]:
    """Faults of an alert rule as such of the Sigma rule."""
    pointers = {"/name": "/title", "/query": "/detection"}
    return [replace(fault, pointer=f"{POINTER}/{one.document}{pointers.get(fault.pointer, fault.pointer)}", column=None) for fault in faults]


def keep_rules(tenant_id: uuid.UUID, made_by: str, rules: Sequence[ImportedRule], *, is_active: bool, now: datetime.datetime) -> list[AlertRule]:
    """Keep imported rules, all of them or none. Raises Invalid, with pointers into the text."""
    kept = []
    with transaction.atomic():
        for one in rules:
            try:
                kept.append(create_rule(tenant_id, made_by, replace(one.new, is_active=is_active), now))
            except Invalid as error:
                raise Invalid(_in_the_text(one, error.faults)) from error
    return kept
