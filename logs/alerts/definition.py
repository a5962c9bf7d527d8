"""What a rule says, checked: its query as a predicate, its condition, its grouping. Pure but for the time zones of the system."""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from accounts.problems import Fault, Invalid
from logs.alerts.conditions import Condition, EveryMatch
from logs.alerts.quieting import MAX_COOL_DOWN_SECONDS, Quiet, Schedule
from logs.errors import InvalidQuery
from logs.models import AlertGroupField, AlertRule, AlertSeverity
from logs.search.predicate import Predicate, predicate_of
from logs.search.qualifiers import Reader
from logs.search.tree import All, AnyOf, Node, TextIs, TimestampBefore, TimestampFrom, leaves
from logs.storage.kinds import OWN_SOURCE

MAX_NAME_CHARACTERS, MAX_DESCRIPTION_CHARACTERS = 200, 2_000
MAX_GROUP_FIELDS = 4
# Of the text that rules are imported from (logs.alerts.sigma).
MAX_SIGMA_CHARACTERS = 200_000
EVERY_MATCH = EveryMatch()
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, kw_only=True)
class NewRule:
    """An alert rule to be made. `group_by`: names of fields; `target_ids`: of delivery targets of the tenant."""

    name: str
    query: str
    condition: Condition = EVERY_MATCH
    group_by: Sequence[str] = ()
    severity: str = "WARNING"
    cool_down_seconds: int = 300
    schedule: Schedule | None = None
    is_active: bool = True
    description: str = ""
    target_ids: Sequence[int] = ()


@dataclass(frozen=True)
class Compiled:
    """A rule's query and grouping, ready for entries. `actions`: it finds entries with one of these actions only; None: with any."""

    tree: All
    predicate: Predicate
    actions: frozenset[str] | None
    group_by: tuple[str, ...]
    sees_own_entries: bool


def check_rule(new: NewRule, now: datetime.datetime) -> None:
    """Raises Invalid, with a pointer for each thing that is wrong."""
    faults = list(_faults_of(new))
    try:
        compiled_of(new.query, new.group_by, now)
    except InvalidQuery as error:
        faults += [Fault("/query", fault.code, fault.detail, fault.column) for fault in error.faults]
    if faults:
        raise Invalid(faults)


def compiled_of(query: str, group_by: Sequence[str], now: datetime.datetime) -> Compiled:
    """Raises InvalidQuery."""
    tree = Reader(now).tree(query)
    if any(isinstance(node, TimestampFrom | TimestampBefore) for node in leaves(tree)):
        raise InvalidQuery([Fault("q", "time_in_rule", "after: and before: have no place in a rule: it looks at entries as they come. Leave them out.")])
    return Compiled(tree, predicate_of(tree), actions_of(tree), tuple(group_by), _names_own(tree))


def condition_of(rule: AlertRule) -> Condition:
    """The rule's condition. Raises msgspec.ValidationError."""
    found: Condition = msgspec.convert(rule.condition, Condition)
    return found


def quiet_of(rule: AlertRule) -> Quiet:
    """Raises msgspec.ValidationError."""
    schedule = None if rule.schedule is None else msgspec.convert(rule.schedule, Schedule)
    return Quiet(rule.cool_down_seconds, schedule, rule.muted_until)


def group_of(values: Sequence[str | None]) -> str | None:
    """The group of these values, as text; None if one is missing: what has no value is in no group."""
    return None if None in values else _encode(values).decode()


def values_of(group: str, group_by: Sequence[str]) -> dict[str, str]:
    """The values of a group by field."""
    return dict(zip(group_by, msgspec.json.decode(group), strict=True))


def _faults_of(new: NewRule) -> Iterator[Fault]:
    if not new.name.strip():
        yield Fault("/name", "empty", "The name is empty.")
    for pointer, text, most in (("/name", new.name, MAX_NAME_CHARACTERS), ("/description", new.description, MAX_DESCRIPTION_CHARACTERS)):
        if len(text) > most:
            yield Fault(pointer, "too_long", f"The text has {len(text)} characters; at most {most} are kept.")
        if "\x00" in text:
            yield Fault(pointer, "nul_character", "The text has a NUL character (\\u0000), which can't be kept.")
    if new.severity not in AlertSeverity.values:
        yield Fault("/severity", "unknown_value", f"{new.severity!r} is none of {', '.join(AlertSeverity.values)}.")
    if not 0 <= new.cool_down_seconds <= MAX_COOL_DOWN_SECONDS:
        yield Fault("/cool_down_seconds", "out_of_range", f"The cool-down is from 0 to {MAX_COOL_DOWN_SECONDS} seconds.")
    yield from _faults_of_grouping(new.group_by)
    # A condition and a schedule that were made in Python have not been through a decoder, which knows their bounds.
    yield from _out_of_range("/condition", new.condition, Condition)
    yield from _out_of_range("/schedule", new.schedule, Schedule | None)
    if new.schedule is not None and not _is_time_zone(new.schedule.time_zone):
        yield Fault("/schedule/time_zone", "unknown_value", f"There is no time zone {new.schedule.time_zone!r}. One is Europe/Berlin.")


def _faults_of_grouping(group_by: Sequence[str]) -> Iterator[Fault]:
    for index, name in enumerate(group_by):
        if name not in AlertGroupField.values:
            yield Fault(f"/group_by/{index}", "unknown_value", f"{name!r} is none of {', '.join(AlertGroupField.values)}.")
        elif name in group_by[:index]:
            yield Fault(f"/group_by/{index}", "repeated", f"{name} is named twice.")
    if len(group_by) > MAX_GROUP_FIELDS:
        yield Fault("/group_by", "too_long", f"At most {MAX_GROUP_FIELDS} fields make a group.")


def _out_of_range(pointer: str, value: Any, kind: Any) -> Iterator[Fault]:
    try:
        msgspec.convert(msgspec.to_builtins(value), kind)
    except msgspec.ValidationError as error:
        yield Fault(pointer, "out_of_range", f"{error}.")


def _is_time_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def actions_of(node: Node) -> frozenset[str] | None:
    """The actions that an entry has to have one of for the node to hold; None: it may have any."""
    match node:
        case TextIs("action", values):
            return frozenset(values)
        case All(nodes):
            wanted = [actions for member in nodes if (actions := actions_of(member)) is not None]
            return frozenset.intersection(*wanted) if wanted else None
        case AnyOf(nodes):
            possible = [actions_of(member) for member in nodes]
            return None if None in possible else frozenset[str]().union(*(actions for actions in possible if actions is not None))
        case _:
            return None


def _names_own(node: Node) -> bool:
    """Does the query ask for the log's own entries by name?"""
    match node:
        case TextIs("source", values):
            return OWN_SOURCE in values
        case All(nodes) | AnyOf(nodes):
            return any(_names_own(member) for member in nodes)
        case _:
            return False
